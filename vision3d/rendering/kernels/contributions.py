"""Who painted which pixel: per-label sums, strongest Gaussians, sparse blending weights (one view)."""

import numpy as np
from numba import njit, prange

from vision3d.rendering.kernels.constants import HALF, TILE, TILE_PIXELS, ZERO, float32, uint64
from vision3d.rendering.kernels.splat_weights import blend_strip, new_hits, pixels_hit
from vision3d.rendering.kernels.tile_state import V0, new_state, pixel_index


@njit(cache=True)
def local_labels(labels, label_count, tiles_x, tile_count):
    """Number of distinct labels of each tile, the labels, and per pixel the place of its label in its tile (-1 none).

    Places follow the order of first appearance; tile lists are padded with -1 to 256.
    """
    height, width = labels.shape
    counts = np.zeros(tile_count, np.int32)
    tables = np.full((tile_count, TILE_PIXELS), -1, np.int32)
    places = np.full((height, width), -1, np.int32)
    seen_in = np.full(label_count, -1, np.int64)
    place_of = np.zeros(label_count, np.int32)
    for tile in range(tile_count):
        top = (tile // tiles_x) * TILE
        left = (tile % tiles_x) * TILE
        for y in range(top, min(top + TILE, height)):
            for x in range(left, min(left + TILE, width)):
                label = labels[y, x]
                if label < 0:
                    continue
                if seen_in[label] != tile:
                    seen_in[label] = tile
                    place_of[label] = counts[tile]
                    tables[tile, counts[tile]] = label
                    counts[tile] += 1
                places[y, x] = place_of[label]
    return counts, tables, places


@njit(parallel=True, cache=True)
def sum_by_label(
    means2d, conics, opacities, tiles_x, offsets, entries, spans, slots, places, label_counts, tile_rows,
    slot_row, slot_total, slot_pixels, row_sums,
):  # fmt: skip
    """Per splat-tile pair: total weight, pixels touched, and one sum per label of the tile.

    Pair k of a tile owns row_sums[tile_rows[tile] + (k - start) * label_counts[tile] + place]; slot_row keeps where.
    """
    height, width = places.shape
    for tile in prange(offsets.shape[0] - 1):
        top = (tile // tiles_x) * TILE
        left = (tile % tiles_x) * TILE
        columns = min(TILE, width - left)
        rows = min(TILE, height - top)
        state = new_state(columns, rows, 0)
        live_pixels = float32(columns * rows)
        hits = new_hits()
        place = np.full(TILE_PIXELS, -1, np.int32)
        for y in range(rows):
            for x in range(columns):
                place[pixel_index(x, y)] = places[top + y, left + x]
        x0 = float32(left) + HALF
        y0 = float32(top) + HALF
        start = offsets[tile]
        for k in range(start, offsets[tile + 1]):
            row = tile_rows[tile] + (k - start) * label_counts[tile]
            slot = slots[k]
            slot_row[slot] = row
            total = ZERO
            pixels = 0
            for i in range(label_counts[tile]):
                row_sums[row + i] = ZERO
            if live_pixels > ZERO:
                for strip in range(2):
                    base, count, filled = blend_strip(
                        entries[k], spans[k], strip, means2d, conics, opacities, x0, y0, state
                    )
                    live_pixels -= filled
                    for i in range(pixels_hit(base, count, state, hits)):
                        p = uint64(hits[i])
                        weight = state[V0 + p]
                        total += weight
                        pixels += 1
                        if place[p] >= 0:
                            row_sums[row + place[p]] += weight
            slot_total[slot] = total
            slot_pixels[slot] = pixels


@njit(parallel=True, cache=True)
def gather_labels(
    first_slot, touched, slot_tile, slot_row, slot_total, slot_pixels, row_sums, label_counts, tables,
    per_label, total, pixel_counts,
):  # fmt: skip
    """Add the pair sums of one view to per_label [n label], total [n] and pixel_counts [n]."""
    for n in prange(touched.shape[0]):
        for slot in range(first_slot[n], first_slot[n] + touched[n]):
            total[n] += slot_total[slot]
            pixel_counts[n] += slot_pixels[slot]
            tile = slot_tile[slot]
            for i in range(label_counts[tile]):
                per_label[n, tables[tile, i]] += row_sums[slot_row[slot] + i]


@njit(parallel=True, cache=True)
def strongest(means2d, conics, opacities, tiles_x, offsets, entries, spans, gaussians, weights):
    """Fill gaussians and weights [h w k]: the k largest weights of each pixel, largest first, ties nearest first."""
    height, width, keep = gaussians.shape
    for tile in prange(offsets.shape[0] - 1):
        top = (tile // tiles_x) * TILE
        left = (tile % tiles_x) * TILE
        columns = min(TILE, width - left)
        rows = min(TILE, height - top)
        state = new_state(columns, rows, 0)
        live_pixels = float32(columns * rows)
        hits = new_hits()
        x0 = float32(left) + HALF
        y0 = float32(top) + HALF
        best_weight = np.zeros((TILE_PIXELS, keep), np.float32)
        best = np.full((TILE_PIXELS, keep), -1, np.int32)
        start = offsets[tile]
        for k in range(start, offsets[tile + 1]):
            n = entries[k]
            for strip in range(2):
                base, count, filled = blend_strip(n, spans[k], strip, means2d, conics, opacities, x0, y0, state)
                live_pixels -= filled
                for i in range(pixels_hit(base, count, state, hits)):
                    p = uint64(hits[i])
                    weight = state[V0 + p]
                    if weight > best_weight[p, keep - 1]:
                        j = keep - 1
                        while j > 0 and weight > best_weight[p, j - 1]:
                            best_weight[p, j] = best_weight[p, j - 1]
                            best[p, j] = best[p, j - 1]
                            j -= 1
                        best_weight[p, j] = weight
                        best[p, j] = n
            if live_pixels <= ZERO:
                break
        for y in range(rows):
            for x in range(columns):
                for j in range(keep):
                    gaussians[top + y, left + x, j] = best[pixel_index(x, y), j]
                    weights[top + y, left + x, j] = best_weight[pixel_index(x, y), j]


@njit(parallel=True, cache=True)
def sparse_rows(
    means2d, conics, opacities, tiles_x, offsets, entries, spans, filling, row_offsets, counts, gaussians, weights
):
    """First pass (filling False): counts [h w] of entries. Second pass: the entries of each pixel, front to back."""
    height, width = counts.shape
    for tile in prange(offsets.shape[0] - 1):
        top = (tile // tiles_x) * TILE
        left = (tile % tiles_x) * TILE
        columns = min(TILE, width - left)
        rows = min(TILE, height - top)
        state = new_state(columns, rows, 0)
        live_pixels = float32(columns * rows)
        hits = new_hits()
        x0 = float32(left) + HALF
        y0 = float32(top) + HALF
        count_here = np.zeros(TILE_PIXELS, np.int64)
        first = np.zeros(TILE_PIXELS, np.int64)
        if filling:
            for y in range(rows):
                for x in range(columns):
                    first[pixel_index(x, y)] = row_offsets[(top + y) * width + left + x]
        start = offsets[tile]
        for k in range(start, offsets[tile + 1]):
            n = entries[k]
            for strip in range(2):
                base, count, filled = blend_strip(n, spans[k], strip, means2d, conics, opacities, x0, y0, state)
                live_pixels -= filled
                for i in range(pixels_hit(base, count, state, hits)):
                    p = uint64(hits[i])
                    if filling:
                        entry = first[p] + count_here[p]
                        gaussians[entry] = n
                        weights[entry] = state[V0 + p]
                    count_here[p] += 1
            if live_pixels <= ZERO:
                break
        if not filling:
            for y in range(rows):
                for x in range(columns):
                    counts[top + y, left + x] = count_here[pixel_index(x, y)]


@njit(parallel=True, cache=True)
def multiply_rows(rows, row_offsets, gaussians, weights, channels, out):
    """out[r] = sum over the entries of pixel rows[r] of weight x channels[gaussian]."""
    dims = channels.shape[1]
    for r in prange(rows.shape[0]):
        for d in range(dims):
            out[r, d] = ZERO
        for entry in range(row_offsets[rows[r]], row_offsets[rows[r] + 1]):
            weight = weights[entry]
            n = gaussians[entry]
            for d in range(dims):
                out[r, d] += weight * channels[n, d]


@njit(cache=True)
def multiply_rows_transposed(rows, row_offsets, gaussians, weights, gradient, out):
    """Add to out[gaussian] weight x gradient[r] for the entries of pixel rows[r] (one thread: entries share rows)."""
    dims = gradient.shape[1]
    for r in range(rows.shape[0]):
        for entry in range(row_offsets[rows[r]], row_offsets[rows[r] + 1]):
            weight = weights[entry]
            n = gaussians[entry]
            for d in range(dims):
                out[n, d] += weight * gradient[r, d]
