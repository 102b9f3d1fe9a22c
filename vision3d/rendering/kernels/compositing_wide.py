"""Compositing of five or more channels: weights across pixels, then channels of each contributing pixel.

Only about 40 % of the splat-pixel pairs evaluated contribute, so the channel loop runs over those alone.
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
    ZERO,
    exp_negative,
    float32,
    int32,
    uint64,
)
from vision3d.rendering.kernels.splat_weights import blend_splat
from vision3d.rendering.kernels.tile_state import (
    BEHIND,
    CHECK_EVERY,
    LAST,
    NONE,
    STATE_ROWS,
    TRANSMITTANCE,
    V0,
    V1,
    X,
    Y,
    any_alive,
    new_state,
)


@njit(cache=True, fastmath=FASTMATH, error_model="numpy")
def _blend_tile_wide(start, stop, entries, means2d, conics, opacities, half_rows, channels, x0, y0, state, sums):
    dims = channels.shape[1]
    for k in range(start, stop):
        n = entries[k]
        base, count = blend_splat(n, k - start, means2d, conics, opacities, half_rows, x0, y0, state)
        for i in range(count):
            p = base + uint64(i)
            weight = state[V0, p]
            if weight > ZERO:
                for d in range(dims):
                    sums[p, d] += weight * channels[n, d]
        if (k & CHECK_EVERY) == CHECK_EVERY and not any_alive(state):
            break


@njit(parallel=True, cache=True, fastmath=FASTMATH)
def composite_forward_wide(
    means2d, conics, opacities, half_rows, channels, background, tiles_x, offsets, entries, image, transmittances, lasts
):
    """Fill image [h w d], transmittances [h w] and lasts [h w] (index in the tile's list, -1 = none)."""
    height, width, dims = image.shape
    for tile in prange(offsets.shape[0] - 1):
        top = (tile // tiles_x) * TILE
        left = (tile % tiles_x) * TILE
        columns = min(TILE, width - left)
        rows = min(TILE, height - top)
        state = new_state(columns, rows)
        sums = np.zeros((TILE_PIXELS, dims), np.float32)
        _blend_tile_wide(
            offsets[tile], offsets[tile + 1], entries, means2d, conics, opacities, half_rows, channels,
            float32(left) + HALF, float32(top) + HALF, state, sums,
        )  # fmt: skip
        for y in range(rows):
            for x in range(columns):
                p = y * TILE + x
                transmittance = state[0, p]
                transmittances[top + y, left + x] = transmittance
                lasts[top + y, left + x] = np.int32(state[2, p])
                for d in range(dims):
                    image[top + y, left + x, d] = sums[p, d] + transmittance * background[d]


@njit(cache=True, fastmath=FASTMATH, error_model="numpy")
def _unblend_tile_wide(
    start, newest, entries, slots, means2d, conics, opacities, half_rows, channels, x0, y0, state, upstream,
    channel_sums, with_geometry, gradients,
):  # fmt: skip
    dims = channels.shape[1]
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
        base = uint64(max(first_row, 0) * TILE)
        count = int32((end_row - first_row) * TILE)
        for i in range(count):
            p = base + uint64(i)
            dx = mx - state[X, p]
            dy = my - state[Y, p]
            sigma = dx * (half_a * dx + b * dy) + half_c * dy * dy
            falloff = exp_negative(-max(sigma, ZERO))
            alpha = min(ALPHA_MAX, opacity * falloff)
            last = state[LAST, p]
            alpha = alpha if alpha >= ALPHA_MIN else ZERO
            alpha = alpha if index <= last else ZERO
            state[V0, p] = alpha
            state[V1, p] = falloff
        for i in range(count):
            p = base + uint64(i)
            alpha = state[V0, p]
            if alpha > ZERO:
                inverse = ONE / (ONE - alpha)
                before = state[TRANSMITTANCE, p] * inverse
                weight = alpha * before
                along = ZERO
                for d in range(dims):
                    along += channels[n, d] * upstream[p, d]
                for d in range(dims):
                    channel_sums[d] += weight * upstream[p, d]
                state[TRANSMITTANCE, p] = before
                if with_geometry:
                    behind = state[BEHIND, p]
                    state[BEHIND, p] = behind + weight * along
                    falloff = state[V1, p]
                    uncapped = opacity * falloff
                    if uncapped <= ALPHA_MAX:
                        g_alpha = before * along - behind * inverse
                        dx = mx - state[X, p]
                        dy = my - state[Y, p]
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
        gradients[slot, 0] = a * m_x + b * m_y
        gradients[slot, 1] = b * m_x + c * m_y
        gradients[slot, 2] = HALF * m_xx
        gradients[slot, 3] = m_xy
        gradients[slot, 4] = HALF * m_yy
        gradients[slot, 5] = g_opacity
        gradients[slot, 6] = abs_x
        gradients[slot, 7] = abs_y
        for d in range(dims):
            gradients[slot, 8 + d] = channel_sums[d]


@njit(parallel=True, cache=True, fastmath=FASTMATH)
def composite_backward_wide(
    means2d, conics, opacities, half_rows, channels, background, tiles_x, offsets, entries, slots,
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
        state = np.zeros((STATE_ROWS, TILE_PIXELS), np.float32)
        upstream = np.zeros((TILE_PIXELS, dims), np.float32)
        channel_sums = np.zeros(dims, np.float32)
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
                    upstream[p, d] = g
                    seed += g * background[d]
                last = lasts[top + y, left + x]
                state[0, p] = transmittance
                state[1, p] = transmittance * seed
                state[2, p] = float32(last)
                newest = max(newest, last)
        for k in range(start + newest + 1, stop):
            for column in range(gradients.shape[1]):
                gradients[slots[k], column] = ZERO
        _unblend_tile_wide(
            start, start + newest, entries, slots, means2d, conics, opacities, half_rows, channels,
            float32(left) + HALF, float32(top) + HALF, state, upstream, channel_sums, with_geometry, gradients,
        )  # fmt: skip
