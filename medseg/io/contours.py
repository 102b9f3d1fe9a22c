"""Masks of a slice as closed polygons along the edges of pixels, and polygons filled back into masks.

Coordinates are (column, row) in pixels, a pixel's centre at whole numbers, its edges at halves. A polygon encloses
exactly the area of the mask, corners and all. Pixels that touch at a corner alone are of two polygons. A hole is joined
to the polygon around it by a channel of no width (DICOM's keyhole), which runs along pixel edges, so that filling by
any rule gives the mask again.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.ndimage import label

from medseg.errors import InvalidInputError

_ON_CENTRE = 0.01
"""A coordinate this near a whole number, in pixels, is taken as that number; files round to about a thousandth."""


def mask_contours(mask: Bool[ndarray, "row column"]) -> list[Float[ndarray, "_point 2"]]:
    """Polygons of a mask, one per part (4 neighbours), holes joined in; not closed by a repeated point.

    Example:
        >>> mask = np.zeros((3, 4), dtype=bool)
        >>> mask[1, 1:3] = True
        >>> mask_contours(mask)[0].tolist()
        [[2.5, 0.5], [2.5, 1.5], [0.5, 1.5], [0.5, 0.5]]
    """
    parts = np.zeros(mask.shape, dtype=np.int32)
    label(mask, output=parts)
    outer: dict[int, Int[ndarray, "_point 2"]] = {}
    holes: dict[int, list[Int[ndarray, "_point 2"]]] = {}
    for ring, (row, column) in _rings(mask):
        part = int(parts[row, column])
        if _twice_area(ring) > 0:
            outer[part] = ring
        else:
            holes.setdefault(part, []).append(ring)
    return [_joined(outer[part], holes.get(part, [])) / 2.0 - 0.5 for part in sorted(outer)]


def fill_polygons(polygons: list[Float[ndarray, "_point 2"]], shape: tuple[int, int]) -> Bool[ndarray, "row column"]:
    """Pixels whose centre lies inside an odd number of polygons, or on the line of one.

    Even and odd makes nested polygons holes and islands, as keyholes and DICOM's CLOSEDPLANAR_XOR mean it. Centres on a
    line belong to the mask, because programs that draw through the centres of the outermost pixels mean them.

    Example:
        >>> fill_polygons([np.array([[0.5, 0.5], [2.5, 0.5], [2.5, 1.5], [0.5, 1.5]])], (3, 4)).sum()
        2
    """
    starts, ends = [np.empty((0, 2))], [np.empty((0, 2))]
    for polygon in polygons:
        if polygon.ndim != 2 or polygon.shape[1] != 2 or not np.isfinite(polygon).all():
            raise InvalidInputError(f"Polygon: expected finite points [point 2], found {polygon.shape}.")
        nearest = np.rint(polygon)
        points = np.where(np.abs(polygon - nearest) < _ON_CENTRE, nearest, polygon)
        starts.append(points)
        ends.append(np.roll(points, -1, axis=0))
    start, end = np.concatenate(starts), np.concatenate(ends)
    level = start[:, 1] == end[:, 1]
    filled = _inside(start[~level], end[~level], shape)
    return filled | _on_level_lines(start[level], end[level], shape)


def _rings(mask: Bool[ndarray, "row column"]) -> list[tuple[Int[ndarray, "_point 2"], tuple[int, int]]]:
    """Closed walks around the mask with it at the right hand, in half pixels + 1, and a pixel each one touches."""
    padded = np.pad(mask, 1)
    rows, columns = padded.shape
    # The edge of a pixel in a direction is there where the pixel at its left hand is empty.
    beyond = (np.roll(padded, 1, 0), np.roll(padded, -1, 1), np.roll(padded, -1, 0), np.roll(padded, 1, 1))
    edges = np.stack([padded & ~one for one in beyond])
    flat = {int(edge): True for edge in np.flatnonzero(edges)}
    size, offsets = rows * columns, (1, columns, -1, -columns)
    rings = []
    while flat:
        start = next(iter(flat))
        edge, corners = start, []
        while True:
            del flat[edge]
            direction, pixel = divmod(edge, size)
            turned = (direction + 1) % 4
            ahead = pixel + offsets[direction]
            # Around the same pixel first (so that corners part pixels), then straight on, then around the corner.
            following = turned * size + pixel
            if not edges.flat[following]:
                following = direction * size + ahead
                if not edges.flat[following]:
                    following = (direction + 3) % 4 * size + ahead + offsets[(direction + 3) % 4]
            if following // size != direction:
                corners.append((pixel, direction))
            edge = following
            if edge == start:
                break
        row, column = divmod(start % size, columns)
        rings.append((_corner_points(np.array(corners), columns), (row - 1, column - 1)))
    return rings


def _corner_points(corners: Int[ndarray, "_point 2"], columns: int) -> Int[ndarray, "_point 2"]:
    """Where an edge of a pixel in a direction ends, as (column, row) of the unpadded mask times two, plus one."""
    row, column = np.divmod(corners[:, 0], columns)
    # Right-going edges are on top and end at the right; down-going ones at the right and end below; and so on.
    ends = np.array([(1, 0), (1, 1), (0, 1), (0, 0)])[corners[:, 1]]
    return np.stack([column - 1, row - 1], axis=1) * 2 + ends * 2


def _twice_area(ring: Int[ndarray, "_point 2"]) -> int:
    x, y = ring[:, 0], ring[:, 1]
    return int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


_Gates = dict[tuple[int, int], list[tuple[int, int, int]]]
"""Ring and edge -> y and x of a gate in it, and the hole behind it."""


def _joined(ring: Int[ndarray, "_point 2"], holes: list[Int[ndarray, "_point 2"]]) -> Int[ndarray, "_point 2"]:
    """The ring with each hole joined to what lies left of its leftmost corner: the ring, or another hole."""
    if not holes:
        return ring
    # Each hole begins at its leftmost corner, the upper one of two.
    rings = [ring, *(np.roll(hole, -int(np.lexsort((hole[:, 1], hole[:, 0]))[0]), axis=0) for hole in holes)]
    edges = np.concatenate([_upright_edges(one, number) for number, one in enumerate(rings)])
    across, low, high = edges[:, 0], edges[:, 1], edges[:, 2]
    gates: _Gates = {}
    for number, hole in enumerate(rings[1:], 1):
        x, y = (int(value) for value in hole[0])
        met = (across < x) & (low <= y) & (y <= high)
        nearest = edges[int(np.where(met, across, -1).argmax())]
        gates.setdefault((int(nearest[3]), int(nearest[4])), []).append((y, int(nearest[0]), number))
    points: list[tuple[int, int]] = []
    walks = [_walk(rings, gates, 0)]
    while walks:
        step = next(walks[-1], None)
        if step is None:
            walks.pop()
        elif isinstance(step, int):
            walks.append(_walk(rings, gates, step))
        else:
            points.append(step)
    return np.array(points)


def _upright_edges(ring: Int[ndarray, "_point 2"], number: int) -> Int[ndarray, "_edge 5"]:
    """Column, upper and lower end, ring and place in the ring of edges along a column."""
    following = np.roll(ring, -1, axis=0)
    place = np.flatnonzero(ring[:, 0] == following[:, 0])
    ends = np.stack([ring[place, 1], following[place, 1]])
    return np.stack([ring[place, 0], ends.min(axis=0), ends.max(axis=0), np.full_like(place, number), place], axis=1)


def _walk(rings: list[Int[ndarray, "_point 2"]], gates: _Gates, number: int) -> Iterator[tuple[int, int] | int]:
    """Corners of a ring in order; at a gate its place, the number of the hole to walk around, and its place again."""
    corners = [(int(x), int(y)) for x, y in rings[number]]
    for place, corner in enumerate(corners):
        yield corner
        downward = corners[(place + 1) % len(corners)][1] > corner[1]
        for y, x, hole in sorted(gates.get((number, place), ()), reverse=not downward):
            yield x, y
            yield hole
            yield x, y
    if number:
        yield corners[0]


def _inside(
    start: Float[ndarray, "edge 2"], end: Float[ndarray, "edge 2"], shape: tuple[int, int]
) -> Bool[ndarray, "row column"]:
    """Centres left of which an odd number of edges cross their row, and those that edges run through."""
    rows, columns = shape
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    slope = (end[:, 0] - start[:, 0]) / (end[:, 1] - start[:, 1])
    # Every row an edge meets, its upper end included: that end counts for the line, not for the crossing.
    first = np.clip(np.ceil(low), 0, rows).astype(np.int64)
    last = np.clip(np.floor(high) + 1, 0, rows).astype(np.int64)
    count = np.maximum(last - first, 0)
    edge = np.repeat(np.arange(len(start)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    across = start[edge, 0] + (row - start[edge, 1]) * slope[edge]
    crossing = row < high[edge]
    column = np.clip(np.ceil(across - 1e-9), 0, columns).astype(np.int64)
    turns = np.zeros((rows, columns + 1), dtype=np.int32)
    np.add.at(turns, (row[crossing], column[crossing]), 1)
    filled = np.cumsum(turns, axis=1)[:, :columns] % 2 == 1
    whole = np.rint(across)
    hit = (np.abs(across - whole) < 1e-6) & (whole >= 0) & (whole < columns)
    filled[row[hit], whole[hit].astype(np.int64)] = True
    return filled


def _on_level_lines(
    start: Float[ndarray, "edge 2"], end: Float[ndarray, "edge 2"], shape: tuple[int, int]
) -> Bool[ndarray, "row column"]:
    """Centres that edges along a row run through."""
    rows, columns = shape
    on_line = np.zeros((rows, columns), dtype=bool)
    along = (start[:, 1] == np.rint(start[:, 1])) & (start[:, 1] >= 0) & (start[:, 1] < rows)
    for (x0, y), (x1, _) in zip(start[along], end[along], strict=True):
        low, high = max(int(np.ceil(min(x0, x1))), 0), min(int(np.floor(max(x0, x1))), columns - 1)
        on_line[int(y), low : high + 1] = True
    return on_line
