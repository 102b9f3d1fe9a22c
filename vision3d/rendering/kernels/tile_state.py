"""The per-tile state array: one float32 row of 256 pixels per quantity, so that LLVM needs no alias checks.

Rows: TRANSMITTANCE, LIVE (forward) or BEHIND (backward: sum of weight x <channel, gradient> over the splats behind),
LAST (index of the last splat blended, relative to the tile's list), V0-V3 (four accumulators or upstream gradients;
the wide path keeps weight, alpha and exponential there), X and Y (pixel inside the tile).
"""

import numpy as np
from numba import njit

from vision3d.rendering.kernels.constants import ONE, TILE, TILE_PIXELS, ZERO, float32, uint64

STATE_ROWS = 9
TRANSMITTANCE, LIVE, LAST, V0, V1, V2, V3, X, Y = (uint64(row) for row in range(STATE_ROWS))
BEHIND = LIVE
NONE = float32(-1.0)
CHECK_EVERY = 7
"""A tile asks whether any pixel still lives after every 8th splat (bit mask)."""


@njit(cache=True, inline="always")
def new_state(columns, rows):
    """State of a tile whose first `columns` x `rows` pixels lie inside the image; the others are dead."""
    state = np.zeros((STATE_ROWS, TILE_PIXELS), np.float32)
    for y in range(TILE):
        for x in range(TILE):
            p = y * TILE + x
            state[0, p] = ONE
            state[1, p] = ONE if (y < rows and x < columns) else ZERO
            state[2, p] = NONE
            state[7, p] = float32(x)
            state[8, p] = float32(y)
    return state


@njit(cache=True, inline="always")
def any_alive(state):
    """Is some pixel of the tile still waiting for light?"""
    total = ZERO
    for p in range(TILE_PIXELS):
        total += state[1, p]
    return total > ZERO
