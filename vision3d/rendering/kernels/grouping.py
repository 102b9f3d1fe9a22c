"""Sums of blending weights over groups of pixels, from the sparse matrix of a view."""

from __future__ import annotations

from numba import njit


@njit(cache=True)
def sum_by_group(groups, row_offsets, gaussians, weights, minimum, every, strong):
    """Add each pixel's weights to every[group of the pixel, gaussian], those >= minimum to strong too; group -1: none.

    One thread, pixels in order: the sums do not depend on the number of threads.
    """
    for pixel in range(groups.shape[0]):
        group = groups[pixel]
        if group < 0:
            continue
        for entry in range(row_offsets[pixel], row_offsets[pixel + 1]):
            weight = weights[entry]
            every[group, gaussians[entry]] += weight
            if weight >= minimum:
                strong[group, gaussians[entry]] += weight


@njit(cache=True)
def count_filled(dense, counts):
    """Entries above 0 in each row of `dense`."""
    for row in range(dense.shape[0]):
        count = 0
        for column in range(dense.shape[1]):
            if dense[row, column] > 0:
                count += 1
        counts[row] = count


@njit(cache=True)
def gather_filled(dense, columns, values):
    """Columns and values of the entries above 0, row by row."""
    entry = 0
    for row in range(dense.shape[0]):
        for column in range(dense.shape[1]):
            if dense[row, column] > 0:
                columns[entry] = column
                values[entry] = dense[row, column]
                entry += 1
