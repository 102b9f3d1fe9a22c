"""Structural similarity of two images and its gradient: separable window, channels-last rows as flat vectors."""

import numpy as np
from numba import njit, prange

from vision3d.rendering.kernels.constants import FASTMATH, ONE, TWO, ZERO, float32

C1 = float32(0.01**2)
C2 = float32(0.03**2)


@njit(cache=True, forceinline=True, fastmath=FASTMATH)
def _add_shifted(values, shift, weight, sums):
    """sums[m, i] += weight x values[m, i + shift]."""
    for m in range(sums.shape[0]):
        source = values[m, shift : shift + sums.shape[1]]
        target = sums[m]
        for i in range(target.shape[0]):
            target[i] += weight * source[i]


@njit(cache=True, forceinline=True, fastmath=FASTMATH)
def _add_rows(maps, row, weight, sums):
    """sums[m] += weight x maps[m, row]."""
    for m in range(sums.shape[0]):
        source = maps[m, row]
        target = sums[m]
        for i in range(target.shape[0]):
            target[i] += weight * source[i]


@njit(cache=True, forceinline=True, fastmath=FASTMATH)
def _spread_shifted(sums, shift, weight, spread):
    """spread[m, i + shift] += weight x sums[m, i]."""
    for m in range(sums.shape[0]):
        source = sums[m]
        target = spread[m, shift : shift + source.shape[0]]
        for i in range(source.shape[0]):
            target[i] += weight * source[i]


@njit(parallel=True, cache=True, fastmath=FASTMATH)
def blur_along_rows(x, y, window, channels, blurred):
    """blurred[m, row]: horizontally filtered x, y, xx, yy, xy (m = 0-4); rows are flat (column, channel) vectors."""
    height, flat = x.shape
    taps = window.shape[0]
    valid = flat - (taps - 1) * channels
    for row in prange(height):
        values = np.empty((5, flat), np.float32)
        for i in range(flat):
            a = x[row, i]
            b = y[row, i]
            values[0, i] = a
            values[1, i] = b
            values[2, i] = a * a
            values[3, i] = b * b
            values[4, i] = a * b
        sums = np.zeros((5, valid), np.float32)
        for t in range(taps):
            _add_shifted(values, t * channels, window[t], sums)
        for m in range(5):
            for i in range(valid):
                blurred[m, row, i] = sums[m, i]


@njit(parallel=True, cache=True, fastmath=FASTMATH, error_model="numpy")
def similarity_rows(blurred, window, row_sums, slopes):
    """row_sums[row] = sum of SSIM over a row; slopes[0-2] = its derivatives by E[x], E[xx] and E[xy]."""
    taps = window.shape[0]
    valid = blurred.shape[2]
    for row in prange(row_sums.shape[0]):
        sums = np.zeros((5, valid), np.float32)
        for t in range(taps):
            _add_rows(blurred, row + t, window[t], sums)
        total = ZERO
        for i in range(valid):
            mean_x = sums[0, i]
            mean_y = sums[1, i]
            a1 = TWO * mean_x * mean_y + C1
            a2 = TWO * (sums[4, i] - mean_x * mean_y) + C2
            b1 = mean_x * mean_x + mean_y * mean_y + C1
            b2 = sums[2, i] - mean_x * mean_x + sums[3, i] - mean_y * mean_y + C2
            inverse = ONE / (b1 * b2)
            value = a1 * a2 * inverse
            total += value
            slopes[0, row, i] = TWO * (mean_y * (a2 - a1) * inverse + value * mean_x * (b1 - b2) * inverse)
            slopes[1, row, i] = -value * b1 * inverse
            slopes[2, row, i] = TWO * a1 * inverse
        row_sums[row] = total


@njit(parallel=True, cache=True, fastmath=FASTMATH)
def similarity_gradient(x, y, window, channels, slopes, factor, gradient):
    """gradient = factor x derivative of the summed SSIM by x: the transposed window over the three slopes."""
    height, flat = x.shape
    taps = window.shape[0]
    rows, valid = slopes.shape[1], slopes.shape[2]
    for row in prange(height):
        sums = np.zeros((3, valid), np.float32)
        for t in range(taps):
            if row - t >= 0 and row - t < rows:
                _add_rows(slopes, row - t, window[t], sums)
        spread = np.zeros((3, flat), np.float32)
        for t in range(taps):
            _spread_shifted(sums, t * channels, window[t], spread)
        for i in range(flat):
            gradient[row, i] = factor * (spread[0, i] + TWO * x[row, i] * spread[1, i] + y[row, i] * spread[2, i])
