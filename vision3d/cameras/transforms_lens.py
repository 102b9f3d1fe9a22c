"""The lens of a frame in a `transforms.json`: size, focal lengths, principal point and distortion.

A frame's own values win over those shared by the file, key by key.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision3d.cameras.photo_files import photo_size
from vision3d.errors import CameraFileError

_MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
_HIGHER_TERMS = ("k3", "k4", "k5", "k6")
_UNKNOWN_SIZE = (1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLens:
    """The lens of one frame."""

    size: tuple[int, int]
    """Width and height in pixels."""
    intrinsics: tuple[float, float, float, float]
    """fx, fy, cx, cy in pixels."""
    distortion: tuple[float, float, float, float]
    """k1, k2, p1, p2."""


def frame_lens(values: Mapping[str, Any], image_path: Path, where: str) -> FrameLens:
    """The lens that `values` (shared ones overlaid by the frame's own) state; a missing size is read from the photo.

    Focal lengths stand as `fl_x` and `fl_y`, or as the angles of view `camera_angle_x` and `camera_angle_y` in
    radians; one stated axis holds for both. Without `cx`, `cy` the axis meets the middle of the photo.

    Raises:
        CameraFileError: a value is no number, no focal length is stated, or the lens has terms beyond k1, k2, p1, p2.
        ImageFileError: the size is needed from a photo that cannot be read.
    """
    _check_model(values, where)
    size = _size(values, image_path, where)
    fx = _focal(values, "x", size[0], where)
    fy = _focal(values, "y", size[1], where)
    if "fl_x" in values and "fl_y" not in values:
        fy = fx  # a stated focal length beats an angle of view
    stated = [focal for focal in (fx, fy) if focal is not None]
    if not stated:
        raise CameraFileError(
            f"{where}: expected a focal length 'fl_x' in pixels or 'camera_angle_x' in radians, found neither. "
            "Add one of them to the file."
        )
    return FrameLens(
        size=size,
        intrinsics=(
            stated[0] if fx is None else fx,
            stated[0] if fy is None else fy,
            _number(values, "cx", size[0] / 2, where),
            _number(values, "cy", size[1] / 2, where),
        ),
        distortion=(
            _number(values, "k1", 0.0, where),
            _number(values, "k2", 0.0, where),
            _number(values, "p1", 0.0, where),
            _number(values, "p2", 0.0, where),
        ),
    )


def _number(values: Mapping[str, Any], key: str, default: float, where: str) -> float:
    value = values.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CameraFileError(f"{where}: expected a number for {key!r}, found {value!r:.40}. Correct the file.")
    return float(value)


def _check_model(values: Mapping[str, Any], where: str) -> None:
    model = values.get("camera_model") or "OPENCV"
    higher = {key: values[key] for key in _HIGHER_TERMS if _number(values, key, 0.0, where) != 0.0}
    if model not in _MODELS or values.get("is_fisheye") or higher:
        terms = f"with {higher}" if higher else "marked as fisheye" if values.get("is_fisheye") else ""
        raise CameraFileError(
            f"{where}: expected a camera model of {sorted(_MODELS)} with k1, k2, p1, p2, found {model} {terms}".rstrip()
            + ". Undistort the photos first (COLMAP's image_undistorter writes pinhole photos)."
        )


def _size(values: Mapping[str, Any], image_path: Path, where: str) -> tuple[int, int]:
    width, height = _number(values, "w", 0.0, where), _number(values, "h", 0.0, where)
    if not (math.isfinite(width) and math.isfinite(height)):
        raise CameraFileError(f"{where}: expected 'w' and 'h' in pixels, found {width} and {height}. Correct the file.")
    if width and height:
        return round(width), round(height)
    return photo_size(image_path) if image_path.is_file() else _UNKNOWN_SIZE


def _focal(values: Mapping[str, Any], axis: str, side: int, where: str) -> float | None:
    key, angle_key = f"fl_{axis}", f"camera_angle_{axis}"
    if values.get(key) is not None:
        return _number(values, key, 0.0, where)
    if values.get(angle_key) is None:
        return None
    angle = _number(values, angle_key, 0.0, where)
    if not 0.0 < angle < math.pi:
        raise CameraFileError(
            f"{where}: expected {angle_key!r} between 0 and pi radians, found {angle}. Is it in degrees?"
        )
    return side / (2.0 * math.tan(angle / 2.0))
