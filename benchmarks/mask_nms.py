"""How many times faster mask suppression is than a loop over pairs, at 200 masks of a megapixel.

`python -m benchmarks.mask_nms` prints one row per loop. All loops decide alike; they differ in how they count pixels:
*written out* compares intersection and union anew for each pair, as the published pre-processing does, *areas kept*
finds the union from areas counted once, *counted bits* moreover lets numpy count true values without adding them up.
"""

from __future__ import annotations

import time

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from benchmarks.timing import describe_threads, time_in_turn
from tests.vision3d.masks.loop_over_pairs import Count, keep_by_loop, pool_of_masks, written_out
from vision3d.masks.mask_nms import MaskNmsSettings, keep_masks

_MASKS, _EDGE = 200, 1000
_ROUNDS = 5
_BAR = 50


def _areas_kept(masks: Bool[ndarray, "mask height width"]) -> Count:
    areas = [int(mask.sum()) for mask in masks]

    def count(one: int, other: int) -> tuple[int, int]:
        shared = int(np.logical_and(masks[one], masks[other]).sum())
        return shared, areas[one] + areas[other] - shared

    return count


def _counted_bits(masks: Bool[ndarray, "mask height width"]) -> Count:
    areas = [int(mask.sum()) for mask in masks]

    def count(one: int, other: int) -> tuple[int, int]:
        shared = int(np.count_nonzero(masks[one] & masks[other]))
        return shared, areas[one] + areas[other] - shared

    return count


_LOOPS = {"written out": written_out, "areas kept": _areas_kept, "counted bits": _counted_bits}


def main() -> None:
    """Check that all loops and the product keep the same masks, and print the table."""
    print(describe_threads())
    masks, scores = pool_of_masks(_MASKS, _EDGE)
    ours = time_in_turn({"ours": lambda: keep_masks(masks, scores)}, rounds=_ROUNDS, repeats={})["ours"]
    kept = keep_masks(masks, scores).tolist()
    print(f"{_MASKS} masks of {_EDGE}x{_EDGE}, {len(kept)} kept: {ours} ms")
    for name, counting in _LOOPS.items():
        start = time.perf_counter()
        by_loop = keep_by_loop(masks, scores, MaskNmsSettings(), counting)
        loop = 1e3 * (time.perf_counter() - start)
        same = "same masks" if by_loop == kept else "OTHER MASKS"
        print(f"{'loop, ' + name:20}{loop:10.0f} ms  {loop / ours.median:6.0f} times (bar {_BAR})  {same}")


if __name__ == "__main__":
    main()
