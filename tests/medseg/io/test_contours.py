"""Contours of masks filled again are the masks; their area is the mask's own; others fill them the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import label
from skimage.draw import polygon2mask

from medseg.errors import InvalidInputError
from medseg.io.contours import fill_polygons, mask_contours


def random_mask(rows: int, columns: int, share: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, columns)) < share


MASKS = st.builds(random_mask, st.integers(1, 9), st.integers(1, 9), st.floats(0, 1), st.integers(0, 2**32 - 1))


def area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return abs(float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())) / 2


@given(mask=MASKS)
def test_filled_contours_are_the_mask_and_have_its_area(mask: np.ndarray) -> None:
    polygons = mask_contours(mask)
    np.testing.assert_array_equal(fill_polygons(polygons, mask.shape), mask)
    assert sum(map(area, polygons)) == mask.sum()
    assert len(polygons) == label(mask)[1]


@given(mask=MASKS)
def test_scikit_image_fills_them_the_same(mask: np.ndarray) -> None:
    theirs = np.zeros_like(mask)
    for polygon in mask_contours(mask):
        theirs |= polygon2mask(mask.shape, polygon[:, ::-1])
    np.testing.assert_array_equal(theirs, mask)


@given(mask=MASKS, noise=st.integers(0, 2**32 - 1))
def test_a_fifth_of_a_pixel_of_noise_changes_nothing_but_at_channels(mask: np.ndarray, noise: int) -> None:
    moved = [
        polygon + np.random.default_rng(noise).uniform(-0.2, 0.2, polygon.shape) for polygon in mask_contours(mask)
    ]
    # A channel of a keyhole stays clear of centres by half a pixel, so even-odd filling is not disturbed either.
    np.testing.assert_array_equal(fill_polygons(moved, mask.shape), mask)


def test_a_hole_is_one_polygon_and_an_island_in_it_a_second() -> None:
    mask = np.ones((9, 9), dtype=bool)
    mask[2:7, 2:7] = False
    mask[4, 4] = True
    ring, island = mask_contours(mask)
    assert area(ring) == 81 - 25
    assert sorted(island.tolist()) == [[3.5, 3.5], [3.5, 4.5], [4.5, 3.5], [4.5, 4.5]]


def test_pixels_that_touch_at_a_corner_are_two_polygons() -> None:
    assert len(mask_contours(np.eye(2, dtype=bool))) == 2
    assert mask_contours(np.zeros((3, 3), dtype=bool)) == []


def test_contours_through_centres_include_them() -> None:
    # What OpenCV draws around columns 2-5 and rows 1-3.
    through_centres = np.array([[2.0, 1.0], [2.0, 3.0], [5.0, 3.0], [5.0, 1.0]])
    filled = fill_polygons([through_centres], (6, 8))
    assert filled.sum() == 12
    assert filled[1:4, 2:6].all()
    rounded_by_a_file = through_centres + 0.004
    np.testing.assert_array_equal(fill_polygons([rounded_by_a_file], (6, 8)), filled)


def test_nested_polygons_are_even_and_odd_and_the_outside_is_cut() -> None:
    squares = [
        np.array([[low, low], [high, low], [high, high], [low, high]]) for low, high in ((-5.0, 20.0), (1.3, 6.4))
    ]
    filled = fill_polygons(squares, (8, 8))
    assert filled.sum() == 64 - 25
    assert not filled[2:7, 2:7].any()


def test_broken_polygons_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="finite points"):
        fill_polygons([np.array([[0.0, np.nan]])], (3, 3))
