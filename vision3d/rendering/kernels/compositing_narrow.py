"""Compositing of up to four channels (RGB, depth): vectorised across the pixels of a tile, forward and backward.

Gaussian-outer, pixel-inner: a splat is loaded once and swept over the tile rows its ellipse can reach.
Channels are always padded to four.
"""

import math

import numpy as np
from numba import njit, prange

from vision3d.rendering.kernels.constants import (
    ALPHA_MAX,
    ALPHA_MIN,
    FASTMATH,
    HALF,
    ONE,
    TILE,
    TILE_PIXELS,
    TRANSMITTANCE_MIN,
    ZERO,
    exp_negative,
    float32,
    int32,
    uint64,
)
from vision3d.rendering.kernels.tile_state import (
    BEHIND,
    CHECK_EVERY,
    LAST,
    LIVE,
    NONE,
    STATE_ROWS,
    TRANSMITTANCE,
    V0,
    V1,
    V2,
    V3,
    X,
    Y,
    any_alive,
    new_state,
)

GRADIENT_COLUMNS = 8
"""Slot columns before the channels: mean x, y; conic xx, xy, yy; opacity; |mean x|, |mean y|."""


@njit(cache=True, fastmath=FASTMATH, error_model="numpy")
def _blend_tile(start, stop, entries, means2d, conics, opacities, half_rows, channels, x0, y0, state):
    for k in range(start, stop):
        n = entries[k]
        a, b, c = conics[n, 0], conics[n, 1], conics[n, 2]
        opacity = opacities[n]
        mx = means2d[n, 0] - x0
        my = means2d[n, 1] - y0
        first_row = max(0, int(math.ceil(my - half_rows[n])))
        end_row = min(TILE, int(math.floor(my + half_rows[n])) + 1)
        if first_row >= end_row:
            continue
        index = float32(k - start)
        half_a = HALF * a
        half_c = HALF * c
        c0, c1, c2, c3 = channels[n, 0], channels[n, 1], channels[n, 2], channels[n, 3]
        base = uint64(first_row * TILE)
        for i in range(int32((end_row - first_row) * TILE)):
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
            state[V0, p] += c0 * weight
            state[V1, p] += c1 * weight
            state[V2, p] += c2 * weight
            state[V3, p] += c3 * weight
        if (k & CHECK_EVERY) == CHECK_EVERY and not any_alive(state):
            break


@njit(parallel=True, cache=True, fastmath=FASTMATH)
def composite_forward(
    means2d, conics, opacities, half_rows, channels, background, tiles_x, offsets, entries, image, transmittances, lasts
):
    """Fill image [h w d<=4], transmittances [h w] and lasts [h w] (index in the tile's list, -1 = none)."""
    height, width, dims = image.shape
    for tile in prange(offsets.shape[0] - 1):
        top = (tile // tiles_x) * TILE
        left = (tile % tiles_x) * TILE
        columns = min(TILE, width - left)
        rows = min(TILE, height - top)
        state = new_state(columns, rows)
        _blend_tile(
            offsets[tile], offsets[tile + 1], entries, means2d, conics, opacities, half_rows, channels,
            float32(left) + HALF, float32(top) + HALF, state,
        )  # fmt: skip
        for y in range(rows):
            for x in range(columns):
                p = y * TILE + x
                transmittance = state[0, p]
                transmittances[top + y, left + x] = transmittance
                lasts[top + y, left + x] = np.int32(state[2, p])
                for d in range(dims):
                    image[top + y, left + x, d] = state[3 + d, p] + transmittance * background[d]


@njit(cache=True, fastmath=FASTMATH, error_model="numpy")
def _unblend_tile(
    start, newest, entries, slots, means2d, conics, opacities, half_rows, channels, x0, y0, state, gradients
):
    for k in range(newest, start - 1, -1):
        n = entries[k]
        slot = slots[k]
        a, b, c = conics[n, 0], conics[n, 1], conics[n, 2]
        opacity = opacities[n]
        mx = means2d[n, 0] - x0
        my = means2d[n, 1] - y0
        first_row = max(0, int(math.ceil(my - half_rows[n])))
        end_row = min(TILE, int(math.floor(my + half_rows[n])) + 1)
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
        base = uint64(max(first_row, 0) * TILE)
        for i in range(int32((end_row - first_row) * TILE)):
            p = base + uint64(i)
            dx = mx - state[X, p]
            dy = my - state[Y, p]
            sigma = dx * (half_a * dx + b * dy) + half_c * dy * dy
            falloff = exp_negative(-max(sigma, ZERO))
            uncapped = opacity * falloff
            alpha = min(ALPHA_MAX, uncapped)
            after = state[TRANSMITTANCE, p]
            behind = state[BEHIND, p]
            last = state[LAST, p]
            v0 = state[V0, p]
            v1 = state[V1, p]
            v2 = state[V2, p]
            v3 = state[V3, p]
            alpha = alpha if alpha >= ALPHA_MIN else ZERO
            alpha = alpha if index <= last else ZERO
            inverse = ONE / (ONE - alpha)
            before = after * inverse
            weight = alpha * before
            along = c0 * v0 + c1 * v1 + c2 * v2 + c3 * v3
            g_alpha = before * along - behind * inverse
            state[TRANSMITTANCE, p] = before
            state[BEHIND, p] = behind + weight * along
            g_alpha = g_alpha if alpha > ZERO else ZERO
            g_alpha = g_alpha if uncapped <= ALPHA_MAX else ZERO
            g_sigma = -uncapped * g_alpha
            g_opacity += falloff * g_alpha
            sx = g_sigma * dx
            sy = g_sigma * dy
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
        gradients[slot, 0] = a * m_x + b * m_y
        gradients[slot, 1] = b * m_x + c * m_y
        gradients[slot, 2] = HALF * m_xx
        gradients[slot, 3] = m_xy
        gradients[slot, 4] = HALF * m_yy
        gradients[slot, 5] = g_opacity
        gradients[slot, 6] = abs_x
        gradients[slot, 7] = abs_y
        gradients[slot, 8] = g0
        gradients[slot, 9] = g1
        gradients[slot, 10] = g2
        gradients[slot, 11] = g3


@njit(parallel=True, cache=True, fastmath=FASTMATH)
def composite_backward(
    means2d, conics, opacities, half_rows, channels, background, tiles_x, offsets, entries, slots,
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
        state = np.zeros((STATE_ROWS, TILE_PIXELS), np.float32)
        for p in range(TILE_PIXELS):
            state[0, p] = ONE
            state[2, p] = NONE
            state[7, p] = float32(p & (TILE - 1))
            state[8, p] = float32(p // TILE)
        newest = -1
        for y in range(min(TILE, height - top)):
            for x in range(min(TILE, width - left)):
                p = y * TILE + x
                transmittance = transmittances[top + y, left + x]
                seed = -grad_alpha[top + y, left + x]
                for d in range(dims):
                    g = grad_image[top + y, left + x, d]
                    state[3 + d, p] = g
                    seed += g * background[d]
                last = lasts[top + y, left + x]
                state[0, p] = transmittance
                state[1, p] = transmittance * seed
                state[2, p] = float32(last)
                newest = max(newest, last)
        for k in range(start + newest + 1, stop):
            for column in range(gradients.shape[1]):
                gradients[slots[k], column] = ZERO
        _unblend_tile(
            start, start + newest, entries, slots, means2d, conics, opacities, half_rows, channels,
            float32(left) + HALF, float32(top) + HALF, state, gradients,
        )  # fmt: skip
