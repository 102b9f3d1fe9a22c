"""The blending weights of one splat on one tile: the shared step of everything that looks at weights one by one."""

import math

from numba import njit

from vision3d.rendering.kernels.constants import (
    ALPHA_MAX,
    ALPHA_MIN,
    FASTMATH,
    HALF,
    TILE,
    TRANSMITTANCE_MIN,
    ZERO,
    exp_negative,
    float32,
    int32,
    uint64,
)
from vision3d.rendering.kernels.tile_state import LAST, LIVE, TRANSMITTANCE, V0, X, Y


@njit(cache=True, fastmath=FASTMATH, error_model="numpy")
def blend_splat(n, place, means2d, conics, opacities, half_rows, x0, y0, state):
    """Blend splat n into the tile and leave its weights in row V0.

    Returns the first pixel swept and how many follow; only these entries of V0 are fresh.
    """
    a, b, c = conics[n, 0], conics[n, 1], conics[n, 2]
    opacity = opacities[n]
    mx = means2d[n, 0] - x0
    my = means2d[n, 1] - y0
    first_row = max(0, int(math.ceil(my - half_rows[n])))
    end_row = max(min(TILE, int(math.floor(my + half_rows[n])) + 1), first_row)
    index = float32(place)
    half_a = HALF * a
    half_c = HALF * c
    base = uint64(first_row * TILE)
    count = int32((end_row - first_row) * TILE)
    for i in range(count):
        p = base + uint64(i)
        dx = mx - state[X, p]
        dy = my - state[Y, p]
        sigma = dx * (half_a * dx + b * dy) + half_c * dy * dy
        alpha = min(ALPHA_MAX, opacity * exp_negative(-max(sigma, ZERO)))
        alpha = alpha if alpha >= ALPHA_MIN else ZERO
        transmittance = state[TRANSMITTANCE, p]
        live = state[LIVE, p]
        last = state[LAST, p]
        candidate = alpha * live * transmittance
        remaining = transmittance - candidate
        dead = remaining <= TRANSMITTANCE_MIN
        weight = ZERO if dead else candidate
        state[TRANSMITTANCE, p] = transmittance if dead else remaining
        state[LIVE, p] = ZERO if dead else live
        state[LAST, p] = index if weight > ZERO else last
        state[V0, p] = weight
    return base, count
