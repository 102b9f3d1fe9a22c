"""Compositing of up to four channels (RGB, depth): vectorised across the pixels of a tile, forward and backward.

Gaussian-outer, pixel-inner: a splat is loaded once and swept over the rows its ellipse can reach in each strip.
Channels are always padded to four.
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
    TRANSMITTANCE_MIN,
    ZERO,
    exp_negative,
    float32,
    int32,
    uint64,
)
from vision3d.rendering.kernels.tile_state import (
    BEHIND,
    LAST,
    STRIDE,
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

GRADIENT_COLUMNS = 8
"""Slot columns before the channels: mean x, y; conic xx, xy, yy; opacity; |mean x|, |mean y|."""


@njit(cache=True, forceinline=True, fastmath=FASTMATH, error_model="numpy")
def _blend_tile(start, stop, entries, spans, means2d, conics, opacities, channels, x0, y0, live_pixels, state):
    for k in range(start, stop):
        n = entries[k]
        a, b, c = conics[n, 0], conics[n, 1], conics[n, 2]
        opacity = opacities[n]
        mx = means2d[n, 0] - x0
        my = means2d[n, 1] - y0
        half_a = HALF * a
        half_c = HALF * c
        c0, c1, c2, c3 = channels[n, 0], channels[n, 1], channels[n, 2], channels[n, 3]
        filled = ZERO
        for strip in range(2):
            first_row, end_row = span_of(spans[k], strip)
            base = uint64(strip * STRIP_PIXELS + first_row * STRIP)
            for i in range(int32((end_row - first_row) * STRIP)):
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
                weight = candidate if takes else ZERO
                state[TRANSMITTANCE + p] = remaining if takes else -abs(transmittance)
                filled += ONE if (transmittance > ZERO and not takes) else ZERO
                state[V0 + p] += c0 * weight
                state[V1 + p] += c1 * weight
                state[V2 + p] += c2 * weight
                state[V3 + p] += c3 * weight
        if filled > ZERO:
            mark_full(state, float32(k - start - 1))
            live_pixels -= filled
            if live_pixels <= ZERO:
                break


@njit(parallel=True, cache=True, fastmath=FASTMATH)
def composite_forward(
    means2d, conics, opacities, channels, background, tiles_x, offsets, entries, spans, image, transmittances, lasts
):
    """Fill image [h w d<=4], transmittances [h w] and lasts [h w] (index in the tile's list, -1 = none)."""
    height, width, dims = image.shape
    for tile in prange(offsets.shape[0] - 1):
        top = (tile // tiles_x) * TILE
        left = (tile % tiles_x) * TILE
        columns = min(TILE, width - left)
        rows = min(TILE, height - top)
        state = new_state(columns, rows, offsets[tile + 1] - offsets[tile])
        _blend_tile(
            offsets[tile], offsets[tile + 1], entries, spans, means2d, conics, opacities, channels,
            float32(left) + HALF, float32(top) + HALF, float32(columns * rows), state,
        )  # fmt: skip
        for y in range(rows):
            for x in range(columns):
                p = pixel_index(x, y)
                transmittance = abs(state[TRANSMITTANCE + p])
                transmittances[top + y, left + x] = transmittance
                lasts[top + y, left + x] = np.int32(state[LAST + p])
                for d in range(dims):
                    image[top + y, left + x, d] = state[V0 + uint64(d * STRIDE) + p] + transmittance * background[d]


@njit(cache=True, forceinline=True, fastmath=FASTMATH, error_model="numpy")
def _unblend_tile(start, newest, entries, spans, slots, means2d, conics, opacities, channels, x0, y0, state, gradients):
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
        c0, c1, c2, c3 = channels[n, 0], channels[n, 1], channels[n, 2], channels[n, 3]
        g_opacity = ZERO
        m_x = ZERO
        m_y = ZERO
        m_xx = ZERO
        m_xy = ZERO
        m_yy = ZERO
        abs_x = ZERO
        abs_y = ZERO
        g0 = ZERO
        g1 = ZERO
        g2 = ZERO
        g3 = ZERO
        for strip in range(2):
            if k - start > newest[strip]:
                continue
            first_row, end_row = span_of(spans[k], strip)
            base = uint64(strip * STRIP_PIXELS + first_row * STRIP)
            for i in range(int32((end_row - first_row) * STRIP)):
                p = base + uint64(i)
                dx = mx - state[X + p]
                dy = my - state[Y + p]
                sigma = dx * (half_a * dx + b * dy) + half_c * dy * dy
                falloff = exp_negative(-max(sigma, ZERO))
                uncapped = opacity * falloff
                alpha = min(ALPHA_MAX, uncapped)
                after = state[TRANSMITTANCE + p]
                behind = state[BEHIND + p]
                last = state[LAST + p]
                v0 = state[V0 + p]
                v1 = state[V1 + p]
                v2 = state[V2 + p]
                v3 = state[V3 + p]
                alpha = alpha if alpha >= ALPHA_MIN else ZERO
                alpha = alpha if index <= last else ZERO
                inverse = ONE / (ONE - alpha)
                before = after * inverse
                weight = alpha * before
                along = c0 * v0 + c1 * v1 + c2 * v2 + c3 * v3
                g_alpha = before * along - behind * inverse
                state[TRANSMITTANCE + p] = before
                state[BEHIND + p] = behind + weight * along
                slope = falloff if alpha > ZERO else ZERO
                slope = slope if uncapped <= ALPHA_MAX else ZERO
                pull = slope * g_alpha
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
                g0 += weight * v0
                g1 += weight * v1
                g2 += weight * v2
                g3 += weight * v3
        gradients[slot, 0] = -opacity * (a * m_x + b * m_y)
        gradients[slot, 1] = -opacity * (b * m_x + c * m_y)
        gradients[slot, 2] = -opacity * HALF * m_xx
        gradients[slot, 3] = -opacity * m_xy
        gradients[slot, 4] = -opacity * HALF * m_yy
        gradients[slot, 5] = g_opacity
        gradients[slot, 6] = opacity * abs_x
        gradients[slot, 7] = opacity * abs_y
        gradients[slot, 8] = g0
        gradients[slot, 9] = g1
        gradients[slot, 10] = g2
        gradients[slot, 11] = g3


@njit(parallel=True, cache=True, fastmath=FASTMATH)
def composite_backward(
    means2d, conics, opacities, channels, background, tiles_x, offsets, entries, spans, slots,
    transmittances, lasts, grad_image, grad_alpha, gradients,
):  # fmt: skip
    """Fill gradients [slot 12]: one row per splat-tile pair (see GRADIENT_COLUMNS, then four channels)."""
    height, width, dims = grad_image.shape
    for tile in prange(offsets.shape[0] - 1):
        start = offsets[tile]
        stop = offsets[tile + 1]
        if start == stop:
            continue
        top = (tile // tiles_x) * TILE
        left = (tile % tiles_x) * TILE
        state = new_state(0, 0, 0)
        newest = np.full(2, -1, np.int64)
        for y in range(min(TILE, height - top)):
            for x in range(min(TILE, width - left)):
                p = pixel_index(x, y)
                transmittance = transmittances[top + y, left + x]
                seed = -grad_alpha[top + y, left + x]
                for d in range(dims):
                    g = grad_image[top + y, left + x, d]
                    state[V0 + uint64(d * STRIDE) + p] = g
                    seed += g * background[d]
                last = lasts[top + y, left + x]
                state[TRANSMITTANCE + p] = transmittance
                state[BEHIND + p] = transmittance * seed
                state[LAST + p] = float32(last)
                newest[x // STRIP] = max(newest[x // STRIP], last)
        for k in range(start + max(newest[0], newest[1]) + 1, stop):
            for column in range(gradients.shape[1]):
                gradients[slots[k], column] = ZERO
        _unblend_tile(
            start, newest, entries, spans, slots, means2d, conics, opacities, channels,
            float32(left) + HALF, float32(top) + HALF, state, gradients,
        )  # fmt: skip
