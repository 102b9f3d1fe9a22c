"""Lens distortion: the model by hand, and dots that land where the pinhole camera sees them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vision3d.cameras.small_scenes import dot_centroid, draw_dots, gradient, refused
from vision3d.cameras.distortion import distort_points, pinhole_intrinsics, undistort, undistort_image
from vision3d.errors import InvalidInputError

WIDTH, HEIGHT = 320, 240
INTRINSICS = np.array([[300.0, 0, 163.0], [0, 310.0, 118.0], [0, 0, 1]])
LENSES = {
    "barrel": np.array([-0.25, 0.06, 0.0, 0.0]),
    "pincushion": np.array([0.2, 0.05, 0.0, 0.0]),
    "tangential": np.array([-0.05, 0.01, 0.004, -0.003]),
    "fox": np.array([0.0578421, -0.0805099, -0.000980296, 0.00015575]),
}
each_lens = pytest.mark.parametrize("distortion", LENSES.values(), ids=LENSES.keys())


def to_pixels(points: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    return points * [intrinsics[0, 0], intrinsics[1, 1]] + intrinsics[:2, 2]


def test_the_model_by_hand() -> None:
    """At (0.5, 1): r² = 1.25; radial 1 + 0.1*1.25 + 0.01*1.5625 = 1.140625.

    x: 0.5*1.140625 + 2*0.02*0.5 + 0.03*(1.25 + 0.5) = 0.6428125; y: 1.140625 + 0.02*(1.25 + 2) + 2*0.03*0.5 = 1.235625.
    """
    found = distort_points(np.array([[0.5, 1.0], [0.0, 0.0]]), np.array([0.1, 0.01, 0.02, 0.03]))
    assert np.allclose(found, [[0.6428125, 1.235625], [0, 0]], atol=1e-12)


@given(x=st.floats(-0.6, 0.6), y=st.floats(-0.5, 0.5), lens=st.sampled_from(sorted(LENSES)))
def test_the_model_is_opencv_s(x: float, y: float, lens: str) -> None:
    """Another implementation: cv2.projectPoints of (x, y, 1) with the identity camera."""
    import cv2

    point = np.array([[x, y, 1.0]])
    expected, _ = cv2.projectPoints(point, np.zeros(3), np.zeros(3), np.eye(3), LENSES[lens])
    assert np.allclose(distort_points(point[:, :2], LENSES[lens]), expected[:, 0], atol=1e-12)


@each_lens
def test_dots_land_at_their_pinhole_projections(distortion: np.ndarray) -> None:
    """Drawn at distorted projections; after undistortion their centroids pin focal lengths, centre and half pixels."""
    grid = np.stack(np.meshgrid(np.linspace(-0.4, 0.4, 7), np.linspace(-0.3, 0.3, 5)), -1).reshape(-1, 2)
    photo = draw_dots(to_pixels(distort_points(grid, distortion), INTRINSICS), WIDTH, HEIGHT, sigma=2.0)
    pinhole = pinhole_intrinsics(INTRINSICS, distortion, WIDTH, HEIGHT)
    straight = undistort_image(photo, INTRINSICS, distortion, pinhole)
    margin = 10
    expected = to_pixels(grid, pinhole)
    inside = ((expected > margin) & (expected < np.array([WIDTH, HEIGHT]) - margin)).all(1)
    assert inside.sum() >= 24
    for target in expected[inside]:
        assert np.abs(dot_centroid(straight, target, 8) - target).max() < 0.05


@each_lens
def test_no_pixel_comes_from_outside_the_photo(distortion: np.ndarray) -> None:
    """Centres of the outermost pixels of the new view, sent through the lens, lie on the photo's pixel centres."""
    pinhole = pinhole_intrinsics(INTRINSICS, distortion, WIDTH, HEIGHT)
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    pixels = np.stack([columns, rows], -1).reshape(-1, 2)
    rays = (pixels - pinhole[:2, 2]) / [pinhole[0, 0], pinhole[1, 1]]
    source = to_pixels(distort_points(rays, distortion), INTRINSICS)
    reach = np.maximum(0.5 - source, source - (np.array([WIDTH, HEIGHT]) - 0.5)).max()
    assert reach < 0.05  # pixels; the tolerance of the reader's own check
    assert reach > -6  # and the view is no smaller than it must be


@each_lens
def test_both_steps_at_once(distortion: np.ndarray) -> None:
    photo = gradient(WIDTH, HEIGHT)
    pixels, intrinsics = undistort(photo, INTRINSICS, distortion)
    assert np.array_equal(intrinsics, pinhole_intrinsics(INTRINSICS, distortion, WIDTH, HEIGHT))
    assert np.array_equal(pixels, undistort_image(photo, INTRINSICS, distortion, intrinsics))


def test_without_distortion_nothing_changes() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 4)).astype(np.uint8)
    pixels, intrinsics = undistort(photo, INTRINSICS, np.zeros(4))
    assert np.array_equal(intrinsics, INTRINSICS)
    assert np.array_equal(pixels, photo)


def test_a_grey_channel_keeps_its_axis() -> None:
    assert undistort(gradient()[..., :1], INTRINSICS, LENSES["barrel"])[0].shape == (24, 32, 1)


@given(
    k1=st.floats(-0.3, 0.3),
    k2=st.floats(-0.05, 0.1),
    tangential=st.floats(-0.01, 0.01),
    focal=st.floats(0.6, 2.0),
    shift=st.floats(-0.03, 0.03),
)
def test_no_lens_makes_a_view_reach_outside_the_photo(
    k1: float, k2: float, tangential: float, focal: float, shift: float
) -> None:
    """Every border pixel of the new view has its centre on the photo, also where OpenCV's own search misses a bow."""
    lens = np.array([k1, k2, tangential, -tangential])
    intrinsics = np.array([[focal * 200, 0, 100 + shift * 200], [0, focal * 200, 60 - shift * 120], [0, 0, 1]])
    pinhole = pinhole_intrinsics(intrinsics, lens, 200, 120)
    sides = np.stack(np.meshgrid(np.arange(200) + 0.5, np.arange(120) + 0.5), -1)
    border = np.concatenate([sides[0], sides[-1], sides[:, 0], sides[:, -1]])
    rays = (border - pinhole[:2, 2]) / [pinhole[0, 0], pinhole[1, 1]]
    source = to_pixels(distort_points(rays, lens), intrinsics)
    assert (source >= 0).all()
    assert (source <= [200, 120]).all()


@pytest.mark.parametrize(("k1", "focal"), [(-2.0, 300.0), (-0.5, 100.0)])
def test_of_a_lens_that_folds_only_the_part_before_the_fold_is_seen(k1: float, focal: float) -> None:
    """r (1 + k1 r²) grows up to r² = -1 / (3 k1) and turns back there; the view ends just before, in its corners."""
    intrinsics = np.array([[focal, 0, 100], [0, focal, 100], [0, 0, 1]])
    pinhole = pinhole_intrinsics(intrinsics, np.array([k1, 0.0, 0.0, 0.0]), 200, 200)
    corner = 99.5 * math.sqrt(2) / pinhole[0, 0]
    fold = math.sqrt(-1 / (3 * k1))
    assert 0.98 * fold < corner < fold


def test_a_lens_that_folds_almost_the_whole_photo_is_refused() -> None:
    """r (1 - 5 r²) turns back at r = 0.26, but the corners of this photo lie at r = 1.25."""
    intrinsics = np.array([[16.0, 0, 16], [0, 16.0, 12], [0, 0, 1]])
    with refused(InvalidInputError, "k1=-5", "focal length 16", "32x24"):
        undistort(gradient(), intrinsics, np.array([-5.0, 0.0, 0.0, 0.0]))
