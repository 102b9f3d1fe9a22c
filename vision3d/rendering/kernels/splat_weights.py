"""The blending weights of one splat on one strip: the shared step of everything that looks at weights one by one."""

import numpy as np
from numba import njit

from vision3d.rendering.kernels.constants import (
    ALPHA_MAX,
    ALPHA_MIN,
    FASTMATH,
    HALF,
    ONE,
    STRIP,
    STRIP_PIXELS,
    TRANSMITTANCE_MIN,
    ZERO,
    exp_negative,
    int32,
    uint64,
)
from vision3d.rendering.kernels.tile_state import TRANSMITTANCE, V0, X, Y, span_of


@njit(cache=True, forceinline=True, fastmath=FASTMATH, error_model="numpy")
def blend_strip(n, spans, strip, means2d, conics, opacities, x0, y0, state):
    """Blend splat n into a strip and leave its weights in row V0.

    Returns the first pixel swept, how many follow, and how many became full; only the swept entries of V0 are fresh.
    """
    a, b, c = conics[n, 0], conics[n, 1], conics[n, 2]
    opacity = opacities[n]
    mx = means2d[n, 0] - x0
    my = means2d[n, 1] - y0
    half_a = HALF * a
    half_c = HALF * c
    first_row, end_row = span_of(spans, strip)
    base = uint64(strip * STRIP_PIXELS + first_row * STRIP)
    count = int32((end_row - first_row) * STRIP)
    filled = ZERO
    for i in range(count):
        p = base + uint64(i)
        dx = mx - state[X + p]
        dy = my - state[Y + p]
        sigma = dx * (half_a * dx + b * dy) + half_c * dy * dy
        alpha = min(ALPHA_MAX, opacity * exp_negative(-max(sigma, ZERO)))
        alpha = alpha if alpha >= ALPHA_MIN else ZERO
        transmittance = state[TRANSMITTANCE + p]
        live = max(transmittance, ZERO)
        candidate = alpha * live
        remaining = live - candidate
        takes = remaining > TRANSMITTANCE_MIN
        state[V0 + p] = candidate if takes else ZERO
        state[TRANSMITTANCE + p] = remaining if takes else -abs(transmittance)
        filled += ONE if (transmittance > ZERO and not takes) else ZERO
    return base, count, filled


@njit(cache=True, forceinline=True)
def pixels_hit(base, count, state, hits):
    """List in `hits` the pixels of the swept ones whose entry in row V0 is above 0; returns how many."""
    found = uint64(0)
    for i in range(count):
        p = base + uint64(i)
        hits[found] = p
        found += uint64(1) if state[V0 + p] > ZERO else uint64(0)
    return int32(found)


@njit(cache=True, forceinline=True)
def new_hits():
    """Room for the pixels of a strip, and one more that `pixels_hit` writes before it knows."""
    return np.empty(STRIP_PIXELS + 1, np.uint32)
