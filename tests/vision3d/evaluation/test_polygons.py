"""Polygons as masks: by hand, and against OpenCV pixel for pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vision3d.evaluation.polygons import fill_polygon


def drawn(corners: np.ndarray, height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [corners.astype(np.int32)], 1)
    return mask > 0


def test_a_rectangle_holds_its_edges():
    mask = fill_polygon(np.array([[1, 2], [4, 2], [4, 3], [1, 3]]), 6, 7)
    assert mask.sum() == 8
    assert mask[2:4, 1:5].all()


@pytest.mark.parametrize("corners", [[[3, 2], [3, 2], [3, 2]], [[0, 0], [4, 4], [2, 2]], [[5, 1], [1, 1], [3, 1]]])
def test_polygons_without_an_inside_are_their_outline(corners: list[list[int]]):
    points = np.array(corners)
    assert np.array_equal(fill_polygon(points, 6, 7), drawn(points, 6, 7))


@pytest.mark.parametrize("crossing", [False, True])
def test_equals_opencv_pixel_for_pixel(crossing: bool):
    random = np.random.default_rng(int(crossing))
    for _ in range(60):
        count = int(random.integers(3, 25))
        corners = random.uniform(0, 199, (count, 2))
        if not crossing:
            angle = np.sort(random.random(count)) * 2 * np.pi
            corners = 100 + random.uniform(5, 95, (count, 1)) * np.stack([np.cos(angle), np.sin(angle)], 1)
        points = corners.astype(np.int64)
        assert np.array_equal(fill_polygon(points, 200, 200), drawn(points, 200, 200))


def test_what_lies_beyond_the_picture_is_cut_off():
    points = np.array([[-5, -4], [12, 3], [4, 15], [-8, 6]])
    shifted = fill_polygon(points + 20, 60, 60)[20:28, 20:29]
    assert np.array_equal(fill_polygon(points, 8, 9), shifted)
    assert 0 < shifted.sum() < shifted.size
