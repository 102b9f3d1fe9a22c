"""The per-tile state array: one float32 row of 256 pixels per quantity, flat, so that LLVM needs no alias checks.

Pixels run strip by strip (two strips of 8 columns), row by row inside a strip: see `pixel_index`. A quantity of pixel p
is `state[QUANTITY + p]`.

Quantities: TRANSMITTANCE (in the forward pass negated once the pixel is full), BEHIND (backward: sum of weight x
<channel, gradient> over the splats behind), V0-V3 (four accumulators or upstream gradients; the wide path keeps weight,
alpha and exponential there), X and Y (pixel inside the tile), LAST (index of the last splat that may have been blended,
relative to the tile's list).
"""

import numpy as np
from numba import njit

from vision3d.rendering.kernels.constants import ONE, STRIP, STRIP_PIXELS, TILE, TILE_PIXELS, ZERO, float32, uint64

STRIDE = TILE_PIXELS + 16
"""Not a multiple of 1024 bytes: rows that far apart would wait for each other's stores."""
STATE_SIZE = 9 * STRIDE
TRANSMITTANCE, BEHIND, V0, V1, V2, V3, X, Y, LAST = (uint64(row * STRIDE) for row in range(9))


@njit(cache=True, inline="always")
def pixel_index(x, y):
    """Place of pixel (x, y) of a tile in the state rows."""
    return uint64((x // STRIP) * STRIP_PIXELS + y * STRIP + x % STRIP)


@njit(cache=True, inline="always")
def new_state(columns, rows, splat_count):
    """State before the first splat; pixels outside the first `columns` x `rows` count as full."""
    state = np.zeros(STATE_SIZE, np.float32)
    for y in range(TILE):
        for x in range(TILE):
            p = pixel_index(x, y)
            state[TRANSMITTANCE + p] = ONE if (y < rows and x < columns) else -ONE
            state[X + p] = float32(x)
            state[Y + p] = float32(y)
            state[LAST + p] = float32(splat_count - 1)
    return state


@njit(cache=True, forceinline=True)
def mark_full(state, index):
    """Note `index` as the last splat of the pixels that have become full since the last call."""
    for i in range(TILE_PIXELS):
        p = uint64(i)
        last = state[LAST + p]
        state[LAST + p] = min(last, index) if state[TRANSMITTANCE + p] < ZERO else last


@njit(cache=True, inline="always")
def span_of(spans, strip):
    """First row and end row of strip 0 or 1, as `binning` packed them: a byte each."""
    bits = spans >> (16 * strip)
    return bits & 255, (bits >> 8) & 255
