"""Tile lists: which splats touch which 16x16 tile, in depth order, by counting sort (one view).

A Gaussian owns a run of slots, one per tile of its bounding rectangle; the first `touched[n]` of them are used, for
the tiles its ellipse {alpha >= 1/255} really reaches. Slots are what makes the backward pass race-free.
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
    TILE,
    TWO,
    ZERO,
    float32,
)

_INVERSE_TILE = float32(1.0 / TILE)
_RADIX_BITS = 11
_RADIX = 1 << _RADIX_BITS
_HUGE = float32(1e30)


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


@njit(cache=True, inline="always")
def _ellipse_touches(tile_x, tile_y, mx, my, a, b, c, bound):
    """Does {d: d' conic d <= bound} around (mx, my) reach a pixel centre's rectangle of the tile?"""
    x0 = float32(tile_x * TILE) + HALF - mx
    x1 = x0 + float32(TILE - 1)
    y0 = float32(tile_y * TILE) + HALF - my
    y1 = y0 + float32(TILE - 1)
    if x0 <= ZERO and x1 >= ZERO and y0 <= ZERO and y1 >= ZERO:
        return True
    best = _HUGE
    edge_x = x0 if x0 > ZERO else (x1 if x1 < ZERO else ZERO)
    if edge_x != ZERO:
        y = min(max(-b * edge_x / c, y0), y1)
        best = min(best, a * edge_x * edge_x + TWO * b * edge_x * y + c * y * y)
    edge_y = y0 if y0 > ZERO else (y1 if y1 < ZERO else ZERO)
    if edge_y != ZERO:
        x = min(max(-b * edge_y / a, x0), x1)
        best = min(best, a * x * x + TWO * b * x * edge_y + c * edge_y * edge_y)
    return best <= bound


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
    means2d, radii, conics, opacities, tiles_x, tiles_y, cull, first_slot, slot_tile, touched, half_rows
):
    """Fill slot_tile with the tiles each ellipse reaches, touched with their number, half_rows with its half height."""
    for n in prange(means2d.shape[0]):
        touched[n] = 0
        half_rows[n] = ZERO
        if radii[n, 0] <= 0:
            continue
        x0, x1, y0, y1 = _tile_rectangle(n, means2d, radii, tiles_x, tiles_y)
        a, b, c = conics[n, 0], conics[n, 1], conics[n, 2]
        bound = TWO * math.log(max(opacities[n] / ALPHA_MIN, ONE)) + QUADRATIC_SLACK
        half_rows[n] = math.sqrt(max(bound * a / (a * c - b * b), ZERO)) + PIXEL_SLACK
        slot = first_slot[n]
        for tile_y in range(y0, y1):
            for tile_x in range(x0, x1):
                if not cull or _ellipse_touches(tile_x, tile_y, means2d[n, 0], means2d[n, 1], a, b, c, bound):
                    slot_tile[slot] = tile_y * tiles_x + tile_x
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
def fill_tiles(order, first_slot, touched, slot_tile, offsets, strips, entry_gaussian, entry_slot):
    """Write each tile's splats in depth order; strips of tiles run in parallel and never share a list."""
    tile_count = offsets.shape[0] - 1
    for strip in prange(strips):
        low = strip * tile_count // strips
        high = (strip + 1) * tile_count // strips
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
