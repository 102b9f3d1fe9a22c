"""Longest diameters: rectangles and triangles by hand, any region against all pairs of corners, sheared pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medseg.study.diameters import diameters, is_longer, plane_metric

regions = arrays.arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7))).filter(lambda region: region.any())


def test_a_rectangle_by_hand() -> None:
    # 6 x 2 pixels of 0.5 mm x 2 mm: 3 mm x 4 mm. The diagonal is 5; the chord across it through a corner leaves through
    # the longer side: 3 * 5 / 4.
    assert diameters(np.ones((6, 2), dtype=bool), np.diag([0.5, 2.0])) == pytest.approx((5.0, 3.75), abs=1e-12)


def test_one_pixel_is_as_long_as_its_diagonal() -> None:
    assert diameters(np.ones((1, 1), dtype=bool), np.eye(2)) == pytest.approx((np.sqrt(2), np.sqrt(2)), abs=1e-12)


def test_a_plus_by_hand() -> None:
    # Arms of 7 x 1 and 1 x 3 pixels. Longest: from corner to opposite corner of the long arm, sqrt(7^2 + 1^2).
    region = np.zeros((7, 3), dtype=bool)
    region[:, 1] = region[3, :] = True
    longest, across = diameters(region, np.eye(2))
    assert longest == pytest.approx(np.sqrt(50), abs=1e-12)
    # Line from (0, 1) to (7, 2): direction (7, 1), normal (-1, 7). From the hull's corner (4, 0) along the normal:
    # (4 - t, 7 t) meets the hull's edge from (3, 3) to (4, 3) at t = 3 / 7; length 3 / 7 * sqrt(50).
    assert across == pytest.approx(3 / 7 * np.sqrt(50), abs=1e-12)


@given(region=regions, steps=st.tuples(st.floats(0.3, 4.0), st.floats(0.3, 4.0), st.floats(-0.6, 0.6)))
@settings(max_examples=40, deadline=None)
def test_the_longest_diameter_is_that_of_all_corners(region: np.ndarray, steps: tuple[float, float, float]) -> None:
    metric = np.array([[steps[0], 0.0], [steps[2] * steps[1], steps[1]]])
    corners = [(i + a, j + b) for i, j in np.argwhere(region) for a in (-0.5, 0.5) for b in (-0.5, 0.5)]
    places = np.array(corners) @ metric
    expected = float(np.linalg.norm(places[:, None] - places[None], axis=2).max())
    longest, across = diameters(region, metric)
    assert longest == pytest.approx(expected, rel=1e-9)
    assert 0 < across <= longest * (1 + 1e-9)


@given(region=regions)
@settings(max_examples=40, deadline=None)
def test_turning_and_mirroring_change_nothing(region: np.ndarray) -> None:
    expected = diameters(region, np.diag([0.7, 1.9]))
    assert diameters(region[::-1], np.diag([0.7, 1.9])) == pytest.approx(expected, rel=1e-9)
    assert diameters(region.T, np.diag([1.9, 0.7])) == pytest.approx(expected, rel=1e-9)


def test_pixels_of_a_sheared_plane_by_hand() -> None:
    # Steps (1, 0) and (1, 1): a square of pixels becomes a parallelogram with diagonals sqrt(5) n and n.
    metric = plane_metric(np.array([1.0, 0.0, 0.0]), np.array([1.0, 1.0, 0.0]))
    longest, across = diameters(np.ones((4, 4), dtype=bool), metric)
    assert longest == pytest.approx(4 * np.sqrt(5), abs=1e-12)
    # Corners (0, 0), (4, 0), (8, 4), (4, 4). From (4, 0) at right angles to (2, 1): (4 - t, 2 t) meets y = x at
    # t = 4/3, within the edge from (0, 0) to (4, 4); length 4 / 3 * sqrt(5).
    assert across == pytest.approx(4 / 3 * np.sqrt(5), abs=1e-12)


def test_a_disc_is_within_a_pixel_of_its_diameter() -> None:
    i, j = np.mgrid[:101, :101] - 50.0
    longest, across = diameters(i**2 + j**2 <= 40.0**2, np.eye(2))
    assert 80 <= longest <= 80 + np.sqrt(2)
    assert 80 <= across <= longest


def test_the_long_diameter_decides_before_the_short_one() -> None:
    assert is_longer((5.0, 1.0), (4.0, 3.0))
    assert is_longer((5.0, 2.0), (5.0 + 1e-12, 1.0))
    assert not is_longer((5.0, 2.0), (5.0, 2.0))
