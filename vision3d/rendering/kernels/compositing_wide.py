"""Compositing of five or more channels: weights across pixels, then channels of each contributing pixel.

Only about 40 % of the splat-pixel pairs evaluated contribute, so the channel loop runs over those alone.
"""

import numpy as np
from numba import njit, prange

from vision3d.rendering.kernels.constants import (
    ALPHA_MAX,
    ALPHA_MIN,
    FASTMATH,
    HALF,
    ONE,
    STRIP,
    STRIP_PIXELS,
    TILE,
    TILE_PIXELS,
    ZERO,
    exp_negative,
    float32,
    int32,
    uint64,
)
from vision3d.rendering.kernels.splat_weights import blend_strip, new_hits, pixels_hit
from vision3d.rendering.kernels.tile_state import (
    BEHIND,
    LAST,
    TRANSMITTANCE,
    V0,
    V1,
    V2,
    V3,
    X,
    Y,
    mark_full,
    new_state,
    pixel_index,
    span_of,
)


@njit(cache=True, forceinline=True, fastmath=FASTMATH, error_model="numpy")
def _blend_tile_wide(
    start, stop, entries, spans, means2d, conics, opacities, channels, x0, y0, live_pixels, state, sums
):
    dims = channels.shape[1]
    hits = new_hits()
    for k in range(start, stop):
        n = entries[k]
        filled = ZERO
        for strip in range(2):
            base, count, full = blend_strip(n, spans[k], strip, means2d, conics, opacities, x0, y0, state)
            filled += full
            for i in range(pixels_hit(base, count, state, hits)):
                p = uint64(hits[i])
                weight = state[V0 + p]
                for d in range(dims):
                    sums[p, d] += weight * channels[n, d]
        if filled > ZERO:
            mark_full(state, float32(k - start - 1))
            live_pixels -= filled
            if live_pixels <= ZERO:
                break


@njit(parallel=True, cache=True, fastmath=FASTMATH)
def composite_forward_wide(
    means2d, conics, opacities, channels, background, tiles_x, offsets, entries, spans, image, transmittances, lasts
):
    """Fill image [h w d], transmittances [h w] and lasts [h w] (index in the tile's list, -1 = none)."""
    height, width, dims = image.shape
    for tile in prange(offsets.shape[0] - 1):
        top = (tile // tiles_x) * TILE
        left = (tile % tiles_x) * TILE
        columns = min(TILE, width - left)
        rows = min(TILE, height - top)
        state = new_state(columns, rows, offsets[tile + 1] - offsets[tile])
        sums = np.zeros((TILE_PIXELS, channels.shape[1]), np.float32)
        _blend_tile_wide(
            offsets[tile], offsets[tile + 1], entries, spans, means2d, conics, opacities, channels,
            float32(left) + HALF, float32(top) + HALF, float32(columns * rows), state, sums,
        )  # fmt: skip
        for y in range(rows):
            for x in range(columns):
                p = pixel_index(x, y)
                transmittance = abs(state[TRANSMITTANCE + p])
                transmittances[top + y, left + x] = transmittance
                lasts[top + y, left + x] = np.int32(state[LAST + p])
                for d in range(dims):
                    image[top + y, left + x, d] = sums[p, d] + transmittance * background[d]


@njit(cache=True, forceinline=True, fastmath=FASTMATH, error_model="numpy")
def _unblend_tile_wide(
    start, newest, entries, spans, slots, means2d, conics, opacities, channels, x0, y0, state, upstream,
    channel_sums, with_geometry, gradients,
):  # fmt: skip
    dims = channels.shape[1]
    hits = new_hits()
    for k in range(start + max(newest[0], newest[1]), start - 1, -1):
        n = entries[k]
        slot = slots[k]
        a, b, c = conics[n, 0], conics[n, 1], conics[n, 2]
        opacity = opacities[n]
        mx = means2d[n, 0] - x0
        my = means2d[n, 1] - y0
        index = float32(k - start)
        half_a = HALF * a
        half_c = HALF * c
        for d in range(dims):
            channel_sums[d] = ZERO
        g_opacity = ZERO
        m_x = ZERO
        m_y = ZERO
        m_xx = ZERO
        m_xy = ZERO
        m_yy = ZERO
        abs_x = ZERO
        abs_y = ZERO
        for strip in range(2):
            if k - start > newest[strip]:
                continue
            first_row, end_row = span_of(spans[k], strip)
            base = uint64(strip * STRIP_PIXELS + first_row * STRIP)
            count = int32((end_row - first_row) * STRIP)
            for i in range(count):
                p = base + uint64(i)
                dx = mx - state[X + p]
                dy = my - state[Y + p]
                sigma = dx * (half_a * dx + b * dy) + half_c * dy * dy
                falloff = exp_negative(-max(sigma, ZERO))
                uncapped = opacity * falloff
                alpha = min(ALPHA_MAX, uncapped)
                alpha = alpha if alpha >= ALPHA_MIN else ZERO
                alpha = alpha if index <= state[LAST + p] else ZERO
                inverse = ONE / (ONE - alpha)
                before = state[TRANSMITTANCE + p] * inverse
                slope = falloff if alpha > ZERO else ZERO
                slope = slope if uncapped <= ALPHA_MAX else ZERO
                state[TRANSMITTANCE + p] = before
                state[V0 + p] = alpha * before
                state[V1 + p] = slope
                state[V2 + p] = inverse
                state[V3 + p] = ZERO
            for i in range(pixels_hit(base, count, state, hits)):
                p = uint64(hits[i])
                weight = state[V0 + p]
                along = ZERO
                for d in range(dims):
                    along += channels[n, d] * upstream[p, d]
                for d in range(dims):
                    channel_sums[d] += weight * upstream[p, d]
                state[V3 + p] = along
            if with_geometry:
                for i in range(count):
                    p = base + uint64(i)
                    dx = mx - state[X + p]
                    dy = my - state[Y + p]
                    along = state[V3 + p]
                    behind = state[BEHIND + p]
                    pull = state[V1 + p] * (state[TRANSMITTANCE + p] * along - behind * state[V2 + p])
                    state[BEHIND + p] = behind + state[V0 + p] * along
                    g_opacity += pull
                    sx = pull * dx
                    sy = pull * dy
                    m_x += sx
                    m_y += sy
                    m_xx += sx * dx
                    m_xy += sx * dy
                    m_yy += sy * dy
                    abs_x += abs(a * sx + b * sy)
                    abs_y += abs(b * sx + c * sy)
        gradients[slot, 0] = -opacity * (a * m_x + b * m_y)
        gradients[slot, 1] = -opacity * (b * m_x + c * m_y)
        gradients[slot, 2] = -opacity * HALF * m_xx
        gradients[slot, 3] = -opacity * m_xy
        gradients[slot, 4] = -opacity * HALF * m_yy
        gradients[slot, 5] = g_opacity
        gradients[slot, 6] = opacity * abs_x
        gradients[slot, 7] = opacity * abs_y
        for d in range(dims):
            gradients[slot, 8 + d] = channel_sums[d]


@njit(parallel=True, cache=True, fastmath=FASTMATH)
def composite_backward_wide(
    means2d, conics, opacities, channels, background, tiles_x, offsets, entries, spans, slots,
    transmittances, lasts, grad_image, grad_alpha, with_geometry, gradients,
):  # fmt: skip
    """Fill gradients [slot 8+d]: one row per splat-tile pair (geometry columns stay 0 unless asked for)."""
    height, width, dims = grad_image.shape
    for tile in prange(offsets.shape[0] - 1):
        start = offsets[tile]
        stop = offsets[tile + 1]
        if start == stop:
            continue
        top = (tile // tiles_x) * TILE
        left = (tile % tiles_x) * TILE
        state = new_state(0, 0, 0)
        upstream = np.zeros((TILE_PIXELS, channels.shape[1]), np.float32)
        channel_sums = np.zeros(channels.shape[1], np.float32)
        newest = np.full(2, -1, np.int64)
        for y in range(min(TILE, height - top)):
            for x in range(min(TILE, width - left)):
                p = pixel_index(x, y)
                transmittance = transmittances[top + y, left + x]
                seed = -grad_alpha[top + y, left + x]
                for d in range(dims):
                    g = grad_image[top + y, left + x, d]
                    upstream[p, d] = g
                    seed += g * background[d]
                last = lasts[top + y, left + x]
                state[TRANSMITTANCE + p] = transmittance
                state[BEHIND + p] = transmittance * seed
                state[LAST + p] = float32(last)
                newest[x // STRIP] = max(newest[x // STRIP], last)
        for k in range(start + max(newest[0], newest[1]) + 1, stop):
            for column in range(gradients.shape[1]):
                gradients[slots[k], column] = ZERO
        _unblend_tile_wide(
            start, newest, entries, spans, slots, means2d, conics, opacities, channels,
            float32(left) + HALF, float32(top) + HALF, state, upstream, channel_sums, with_geometry, gradients,
        )  # fmt: skip
