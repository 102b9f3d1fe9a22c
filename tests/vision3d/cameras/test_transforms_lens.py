"""The lens of a frame: every way to state it, and every value that makes no sense."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.vision3d.cameras.small_scenes import refused, write_photo
from vision3d.cameras.transforms_lens import frame_lens
from vision3d.errors import CameraFileError, ImageFileError

NO_PHOTO = Path("none.png")
SIZE = {"w": 640.0, "h": 480}


def lens(**values: Any) -> tuple[float, ...]:
    return frame_lens(values, NO_PHOTO, "here").intrinsics


def test_focal_lengths_in_pixels_and_the_middle_as_principal_point() -> None:
    assert lens(**SIZE, fl_x=500, fl_y=510.5) == (500, 510.5, 320, 240)
    assert lens(**SIZE, fl_x=500, fl_y=510.5, cx=300.25, cy=0) == (500, 510.5, 300.25, 0)


def test_angles_of_view_become_focal_lengths() -> None:
    """A right angle of view sees half the side at a distance of half the side: f = side / 2 / tan(45 degrees)."""
    right = math.pi / 2
    assert lens(**SIZE, camera_angle_x=right) == pytest.approx((320, 320, 320, 240))
    assert lens(**SIZE, camera_angle_y=right) == pytest.approx((240, 240, 320, 240))
    assert lens(**SIZE, camera_angle_x=right, camera_angle_y=right) == pytest.approx((320, 240, 320, 240))


def test_a_focal_length_beats_an_angle_and_holds_for_both_axes() -> None:
    assert lens(**SIZE, fl_x=500, camera_angle_x=1.0) == (500, 500, 320, 240)
    assert lens(**SIZE, fl_x=500, camera_angle_y=1.0) == (500, 500, 320, 240)
    assert lens(**SIZE, fl_y=510) == (510, 510, 320, 240)


def test_a_missing_size_is_read_from_the_photo(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "a.png")
    for values in ({}, {"w": 32}, {"w": 0, "h": 0}, {"w": None, "h": None}):
        assert frame_lens({**values, "fl_x": 40}, photo, "here").size == (32, 24)
    (tmp_path / "b.png").write_bytes(b"")
    with refused(ImageFileError, "b.png"):
        frame_lens({"fl_x": 40}, tmp_path / "b.png", "here")


def test_distortion_is_in_opencv_order() -> None:
    values = {**SIZE, "fl_x": 500, "k1": 0.1, "k2": 0.2, "p1": 0.3, "p2": 0.4, "k3": 0.0, "k4": 0}
    assert frame_lens(values, NO_PHOTO, "here").distortion == (0.1, 0.2, 0.3, 0.4)
    assert frame_lens({**SIZE, "fl_x": 500}, NO_PHOTO, "here").distortion == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, ["fl_x", "camera_angle_x", "neither"]),
        ({"fl_x": "500"}, ["'fl_x'", "'500'"]),
        ({"fl_x": True}, ["'fl_x'", "True"]),
        ({"fl_x": 500, "cx": [1]}, ["'cx'", "[1]"]),
        ({"fl_x": 500, "w": "wide"}, ["'w'", "'wide'"]),
        ({"fl_x": 500, "w": math.nan}, ["'w'", "nan"]),
        ({"camera_angle_x": 0.0}, ["'camera_angle_x'", "0.0"]),
        ({"camera_angle_x": 50.0}, ["'camera_angle_x'", "50.0", "degrees"]),
        ({"fl_x": 500, "k3": -0.02}, ["k3", "-0.02", "Undistort"]),
        ({"fl_x": 500, "k4": 1e-9}, ["k4"]),
        ({"fl_x": 500, "is_fisheye": True}, ["fisheye"]),
        ({"fl_x": 500, "camera_model": "OPENCV_FISHEYE"}, ["OPENCV_FISHEYE", "'SIMPLE_RADIAL'"]),
        ({"fl_x": 500, "camera_model": "EQUIRECTANGULAR"}, ["EQUIRECTANGULAR"]),
    ],
    ids=lambda value: "" if isinstance(value, list) else "-".join(map(str, value)) or "nothing",
)
def test_a_lens_that_makes_no_sense_is_refused_in_its_place(values: dict[str, Any], named: list[str]) -> None:
    with refused(CameraFileError, "a.json, frame 'b.png'", *named):
        frame_lens({**SIZE, **values}, NO_PHOTO, "a.json, frame 'b.png'")
