"""Whether this CPU computes in half precision, or only pretends to."""

from __future__ import annotations

import platform

import torch

_X86_UNITS = ("avx512_bf16", "amx_bf16", "avx10_1")


def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself; emulated, it is tens of times slower than float32.

    Where torch cannot tell (before 2.10, or another architecture than x86), True: weights stay as they are stored.
    """
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is None or platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    found = capabilities()
    return any(found.get(unit, False) for unit in _X86_UNITS)
