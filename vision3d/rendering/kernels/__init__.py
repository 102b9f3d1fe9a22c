"""Numba kernels of the CPU renderer: plain functions on contiguous float32 arrays, one view at a time.

Rules that keep LLVM vectorising these loops (each was measured; breaking one costs a factor of 2-10):
one state array per tile with constant row numbers; an unsigned flat index in the inner loop; load first, select
afterwards; every constant a float32 global; our own branch-free exp; no atomics (each splat-tile pair owns a slot that
a second pass sums in a fixed order, which also makes results independent of the number of threads).
What a kernel calls is inlined (`forceinline`): a linked copy may round differently when it comes from the cache.
Fast-math leaves out nnan/ninf, so NaN checks keep their meaning.
"""
