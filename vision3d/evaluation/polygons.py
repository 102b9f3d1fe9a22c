"""Polygons as masks, pixel for pixel as OpenCV's `fillPoly` draws them, with which the benchmarks were scored."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

_ONE = 1 << 16
"""Columns along an edge advance in steps of this fraction of a pixel, rounded towards zero."""


def fill_polygon(corners: Int[ndarray, "corner 2"], height: int, width: int) -> Bool[ndarray, "height width"]:
    """The inside of a polygon (even-odd) and its outline; corners are column and row of pixels.

    Parts beyond the picture are cut off.

    Example:
        >>> fill_polygon(np.array([[1, 0], [3, 0], [1, 2]]), 3, 5).astype(int)
        array([[0, 1, 1, 1, 0],
               [0, 1, 1, 0, 0],
               [0, 1, 0, 0, 0]])
    """
    mask = np.zeros((height, width), bool)
    start, end = corners.astype(np.int64), np.roll(corners.astype(np.int64), -1, axis=0)
    for first, last in zip(start, end, strict=True):
        _draw_line(mask, first, last)
    _fill_rows(mask, start, end)
    return mask


def _draw_line(mask: ndarray, first: ndarray, last: ndarray) -> None:
    """Bresenham's line, one pixel per step of the longer axis, from left to right; halves stay behind."""
    if last[0] < first[0]:
        first, last = last, first
    extent = np.abs(last - first)
    steps = max(int(extent.max()), 1)
    step = np.arange(int(extent.max()) + 1)
    offsets = (2 * step[:, None] * extent + steps - 1) // (2 * steps)
    column, row = (first + np.where(last < first, -1, 1) * offsets).T
    inside = (column >= 0) & (column < mask.shape[1]) & (row >= 0) & (row < mask.shape[0])
    mask[row[inside], column[inside]] = True


def _fill_rows(mask: ndarray, start: ndarray, end: ndarray) -> None:
    downwards = start[:, 1] < end[:, 1]
    top, bottom = np.where(downwards[:, None], start, end), np.where(downwards[:, None], end, start)
    height = np.maximum(bottom[:, 1] - top[:, 1], 1)
    across = bottom[:, 0] - top[:, 0]
    slope = np.sign(across) * (np.abs(across) * _ONE // height)
    for row in range(max(0, int(top[:, 1].min())), min(len(mask), int(bottom[:, 1].max()))):
        crossed = (top[:, 1] <= row) & (row < bottom[:, 1])
        places = np.sort(top[crossed, 0] * _ONE + (row - top[crossed, 1]) * slope[crossed])
        columns = (places + _ONE // 2) // _ONE
        for left, right in columns.reshape(-1, 2).tolist():
            mask[row, max(0, left) : max(0, right + 1)] = True
