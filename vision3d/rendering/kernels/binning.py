"""Tile lists: which splats touch which 16x16 tile, in depth order, by counting sort (one view).

A Gaussian owns a run of slots, one per tile of its bounding rectangle; the first `touched[n]` of them are used, for
the tiles its ellipse {alpha >= 1/255} really reaches. Slots are what makes the backward pass race-free. With each goes
a span: the rows the ellipse reaches in the two 8-column strips of the tile, so that compositing sweeps little else.
"""

import math

import numpy as np
from numba import njit, prange

from vision3d.rendering.kernels.constants import (
    ALPHA_MIN,
    FASTMATH,
    HALF,
    ONE,
    PIXEL_SLACK,
    QUADRATIC_SLACK,
    STRIP,
    TILE,
    ZERO,
    float32,
)

_INVERSE_TILE = float32(1.0 / TILE)
_RADIX_BITS = 11
_RADIX = 1 << _RADIX_BITS
_HUGE = float32(1e30)
_ALMOST_ONE = float32(0.99999)
_RIM_SLACK = 5e-4
"""Share of the ellipse's half height over its middle: sqrt(2^-22), the square root of what rounding u^2 leaves."""


@njit(cache=True, inline="always")
def _tile_rectangle(n, means2d, radii, tiles_x, tiles_y):
    x = means2d[n, 0] * _INVERSE_TILE
    y = means2d[n, 1] * _INVERSE_TILE
    rx = float32(radii[n, 0]) * _INVERSE_TILE
    ry = float32(radii[n, 1]) * _INVERSE_TILE
    x0 = int(min(max(math.floor(x - rx), ZERO), float32(tiles_x)))
    x1 = int(min(max(math.ceil(x + rx), ZERO), float32(tiles_x)))
    y0 = int(min(max(math.floor(y - ry), ZERO), float32(tiles_y)))
    y1 = int(min(max(math.ceil(y + ry), ZERO), float32(tiles_y)))
    return x0, x1, y0, y1


@njit(cache=True, forceinline=True)
def _ellipse(a, b, c, bound):
    """Shape of {(u, v): a uu + 2 b uv + c vv <= bound}: half width, u of the top, slope and gain of the rim, margin.

    Over column u the ellipse spans v = slope u -+ gain sqrt(half_width^2 - u^2). In float64: the determinant of a thin
    ellipse cancels. The margin covers what float32 loses near the ends, where the rim is steep.
    """
    a, b, c = float(a), float(b), float(c)
    determinant = max(a * c - b * b, 1e-12 * a * c)
    half_width = math.sqrt(bound * c / determinant)
    top_u = -b / a * math.sqrt(bound * a / determinant)
    gain = math.sqrt(determinant) / c
    margin = float(PIXEL_SLACK) + _RIM_SLACK * gain * half_width
    return float32(half_width), float32(top_u), float32(-b / c), float32(gain), float32(margin)


@njit(cache=True, inline="always")
def _strip_reach(ellipse, left):
    """Lowest and highest v of the ellipse over the strip that starts at u = left; low > high if it misses it."""
    half_width, top_u, slope, gain, margin = ellipse
    low = max(left, -half_width - margin)
    high = min(left + float32(STRIP - 1), half_width + margin)
    square = half_width * half_width
    bottom_u = min(max(-top_u, low), high)
    top_u = min(max(top_u, low), high)
    bottom = slope * bottom_u - gain * math.sqrt(max(square - bottom_u * bottom_u, ZERO)) - margin
    top = slope * top_u + gain * math.sqrt(max(square - top_u * top_u, ZERO)) + margin
    return (bottom, top) if low <= high else (_HUGE, -_HUGE)


@njit(cache=True, inline="always")
def _rows(low, high, top):
    """Rows of a tile whose centres lie in low-high, packed: first | end << 8; `top` is the v of row 0. 0 if none."""
    rows = float32(TILE)
    first = np.int32(min(max(low - top + _ALMOST_ONE, ZERO), rows))
    end = np.int32(min(max(high - top + ONE, ZERO), rows))
    return first | (end << 8) if first < end else np.int32(0)


@njit(parallel=True, cache=True)
def count_rectangles(means2d, radii, tiles_x, tiles_y, counts):
    """counts[n] = tiles of the bounding rectangle of Gaussian n (0 when culled)."""
    for n in prange(means2d.shape[0]):
        if radii[n, 0] > 0:
            x0, x1, y0, y1 = _tile_rectangle(n, means2d, radii, tiles_x, tiles_y)
            counts[n] = (x1 - x0) * (y1 - y0)
        else:
            counts[n] = 0


@njit(parallel=True, cache=True, error_model="numpy")
def list_touched_tiles(
    means2d, radii, conics, opacities, tiles_x, tiles_y, cull, first_slot, slot_tile, slot_spans, touched
):
    """Fill slot_tile with the tiles each ellipse reaches, slot_spans with their rows, touched with their number."""
    for n in prange(means2d.shape[0]):
        touched[n] = 0
        if radii[n, 0] <= 0:
            continue
        x0, x1, y0, y1 = _tile_rectangle(n, means2d, radii, tiles_x, tiles_y)
        bound = 2.0 * math.log(max(float(opacities[n]) / float(ALPHA_MIN), 1.0)) + float(QUADRATIC_SLACK)
        ellipse = _ellipse(conics[n, 0], conics[n, 1], conics[n, 2], bound)
        slot = first_slot[n]
        for tile_x in range(x0, x1):
            left = float32(tile_x * TILE) + HALF - means2d[n, 0]
            low, high = _strip_reach(ellipse, left)
            low_right, high_right = _strip_reach(ellipse, left + float32(STRIP))
            for tile_y in range(y0, y1):
                top = float32(tile_y * TILE) + HALF - means2d[n, 1]
                spans = _rows(low, high, top) | (_rows(low_right, high_right, top) << 16)
                if spans != 0 or not cull:
                    slot_tile[slot] = tile_y * tiles_x + tile_x
                    slot_spans[slot] = spans
                    slot += 1
        touched[n] = slot - first_slot[n]


@njit(cache=True)
def depth_order(depths, touched):
    """Rows with at least one tile, nearest first, ties by row (stable LSD radix sort of the float bits)."""
    count = 0
    for n in range(depths.shape[0]):
        if touched[n] > 0:
            count += 1
    order = np.empty(count, np.int32)
    keys = np.empty(count, np.uint32)
    bits = depths.view(np.uint32)
    i = 0
    for n in range(depths.shape[0]):
        if touched[n] > 0:
            order[i] = n
            keys[i] = bits[n]
            i += 1
    other_order = np.empty(count, np.int32)
    other_keys = np.empty(count, np.uint32)
    histogram = np.empty(_RADIX + 1, np.int64)
    for digit in range(3):
        shift = np.uint32(digit * _RADIX_BITS)
        histogram[:] = 0
        for i in range(count):
            histogram[((keys[i] >> shift) & np.uint32(_RADIX - 1)) + 1] += 1
        for i in range(_RADIX):
            histogram[i + 1] += histogram[i]
        for i in range(count):
            bucket = (keys[i] >> shift) & np.uint32(_RADIX - 1)
            place = histogram[bucket]
            histogram[bucket] = place + 1
            other_order[place] = order[i]
            other_keys[place] = keys[i]
        order, other_order = other_order, order
        keys, other_keys = other_keys, keys
    return order


@njit(cache=True)
def tile_offsets(first_slot, touched, slot_tile, tile_count):
    """Start of each tile's list [tile + 1]."""
    offsets = np.zeros(tile_count + 1, np.int64)
    for n in range(touched.shape[0]):
        for slot in range(first_slot[n], first_slot[n] + touched[n]):
            offsets[slot_tile[slot] + 1] += 1
    for tile in range(tile_count):
        offsets[tile + 1] += offsets[tile]
    return offsets


@njit(parallel=True, cache=True)
def fill_tiles(
    order, first_slot, touched, slot_tile, slot_spans, offsets, shares, entry_gaussian, entry_slot, entry_spans
):
    """Write each tile's splats in depth order; shares of the tiles run in parallel and never touch the same list."""
    tile_count = offsets.shape[0] - 1
    for share in prange(shares):
        low = share * tile_count // shares
        high = (share + 1) * tile_count // shares
        cursor = offsets[low:high].copy()
        for i in range(order.shape[0]):
            n = order[i]
            for slot in range(first_slot[n], first_slot[n] + touched[n]):
                tile = slot_tile[slot]
                if tile >= low and tile < high:
                    entry = cursor[tile - low]
                    cursor[tile - low] = entry + 1
                    entry_gaussian[entry] = n
                    entry_slot[entry] = slot
                    entry_spans[entry] = slot_spans[slot]


@njit(parallel=True, cache=True, fastmath=FASTMATH)
def reduce_slots(slots, first_slot, touched, sums):
    """sums[n] = sum of the slot rows of Gaussian n, always in the same order."""
    columns = slots.shape[1]
    for n in prange(touched.shape[0]):
        for column in range(columns):
            sums[n, column] = ZERO
        for slot in range(first_slot[n], first_slot[n] + touched[n]):
            for column in range(columns):
                sums[n, column] += slots[slot, column]
