"""Longest diameters of flat regions, as RECIST draws them: exact on the convex hull of the pixels' outer corners.

A region is the union of its pixels, so lengths run from outer edge to outer edge: up to one pixel's diagonal longer
than a line drawn through the middles of its last pixels.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform

_TIE = 1e-9
"""Share by which two lengths may differ and still count as equal."""


def plane_metric(first_step: Float[ndarray, "3"], second_step: Float[ndarray, "3"]) -> Float[ndarray, "2 2"]:
    """Matrix that turns pixel steps (row, column) into plane millimetres; right for steps that are not perpendicular.

    Example:
        >>> plane_metric(np.array([0.5, 0.0, 0.0]), np.array([0.0, 0.0, 2.0])).tolist()
        [[0.5, 0.0], [0.0, 2.0]]
    """
    steps = np.stack([first_step, second_step]).astype(np.float64)
    return np.linalg.cholesky(steps @ steps.T).T


def diameters(region: Bool[ndarray, "row column"], metric: Float[ndarray, "2 2"]) -> tuple[float, float]:
    """The longest diameter of a region and the longest one at right angles to it, in the unit of `metric`.

    Both are lengths across the convex hull. Where several diameters are longest, the one with the longest second
    diameter is taken.

    Example:
        >>> diameters(np.ones((4, 3), dtype=bool), np.eye(2))  # diagonal of 4 x 3; across it 3 * 5 / 4
        (5.0, 3.75)
    """
    hull = _hull(region) @ metric
    apart = squareform(pdist(hull))
    longest = float(apart.max())
    pairs = np.argwhere(np.triu(apart) >= longest * (1 - _TIE))
    return longest, max(_across(hull, int(one), int(other)) for one, other in pairs)


def is_longer(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether the first pair of diameters is longer than the second, beyond rounding; the long one decides first."""
    for mine, theirs in zip(one, other, strict=True):
        if abs(mine - theirs) > _TIE * max(mine, theirs):
            return mine > theirs
    return False


def _hull(region: Bool[ndarray, "row column"]) -> Float[ndarray, "corner 2"]:
    """Corners of the convex hull, around it, in pixel steps."""
    rows = np.flatnonzero(region.any(axis=1))
    first = region[rows].argmax(axis=1)
    last = region.shape[1] - 1 - region[rows, ::-1].argmax(axis=1)
    corners = [
        np.stack([rows + row, columns + column], axis=1)
        for row in (-0.5, 0.5)
        for columns, column in ((first, -0.5), (last, 0.5))
    ]
    points = np.concatenate(corners)
    return points[ConvexHull(points).vertices]


def _across(hull: Float[ndarray, "corner 2"], one: int, other: int) -> float:
    """Longest chord of the hull at right angles to the line from corner `one` to corner `other`, a longest diameter.

    Both ends of a longest diameter are the only corners at their height along it, so the hull splits into two chains
    between them, and the chord is longest at the height of some corner.
    """
    line = hull[other] - hull[one]
    along = line / np.linalg.norm(line)
    place = np.stack([(hull - hull[one]) @ along, (hull - hull[one]) @ np.array([-along[1], along[0]])], axis=1)
    turned = np.roll(place, -one, axis=0)
    cut = (other - one) % len(hull)
    there = turned[: cut + 1]
    back = np.concatenate([turned[cut:], turned[:1]])[::-1]
    heights = place[:, 0]
    chords = np.interp(heights, there[:, 0], there[:, 1]) - np.interp(heights, back[:, 0], back[:, 1])
    return float(np.abs(chords).max())
