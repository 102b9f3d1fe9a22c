"""Reader of nerfstudio and instant-ngp `transforms.json`.

The file holds camera-to-world matrices with OpenGL axes (x right, y up, z back); they become world-to-camera with
OpenCV axes. The world frame is kept as it is, and so are the points of `ply_file_path`.
"""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from vision3d.cameras.point_cloud import PointCloud
from vision3d.cameras.point_cloud_files import read_point_cloud
from vision3d.cameras.posed_photos import PosedPhotos
from vision3d.cameras.view_records import ViewRecord, posed_photos, rigid_inverse
from vision3d.errors import CameraFileError, ImageFileError

_log = logging.getLogger(__name__)
_SUFFIXES = (".png", ".jpg", ".jpeg", ".JPG", ".PNG")
_PINHOLE_MODELS = {"OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL"}
_UNSUPPORTED_TERMS = ("k3", "k4", "k5", "k6")
_OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


def read_transforms(path: str | Path) -> PosedPhotos:
    """The views of a transforms file, or of the transforms.json in a folder.

    Intrinsics may be shared or stand in each frame; a focal length may be given as `camera_angle_x`; a missing size is
    read from the photo; `ply_file_path` (or a `points3D.ply` beside the file) becomes the point cloud.
    `test_filenames` and `val_filenames` become the held-out views.

    Raises:
        CameraFileError: the file is not what it should be; the message names the frame.

    Source: nerfstudio's data conventions.
    """
    file = find_transforms(Path(path))
    content = read_json(file)
    frames = content.get("frames")
    if not isinstance(frames, list) or not frames:
        raise CameraFileError(f"{file}: expected a non-empty list 'frames', found {frames!r:.60}. Add posed frames.")
    _check_model(content, file)
    records = [frame_record(frame, content, file, place) for place, frame in enumerate(frames)]
    named = [content.get(key, []) for key in ("test_filenames", "val_filenames")]
    held_out = {_view_name(str(name)) for names in named for name in names}
    return posed_photos(
        records, source="transforms", origin=file, points=_points(content, file), held_out=sorted(held_out)
    )


def find_transforms(path: Path) -> Path:
    """`path` itself, or the transforms file of the folder `path`.

    Raises:
        CameraFileError: there is none, or several and no `transforms.json` among them.
    """
    if path.is_file():
        return path
    if (path / "transforms.json").is_file():
        return path / "transforms.json"
    found = sorted(path.glob("transforms*.json"))
    if len(found) != 1:
        raise CameraFileError(
            f"{path}: expected transforms.json or one transforms_*.json, found {[item.name for item in found]}. "
            "Name the file you want."
        )
    return found[0]


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in `file`.

    Raises:
        CameraFileError: missing, not JSON, or not an object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CameraFileError(f"{file}: expected a readable JSON file, found: {error}. Check the path.") from error
    except ValueError as error:
        raise CameraFileError(f"{file}: expected JSON, found a syntax error: {error}. Repair the file.") from error
    if not isinstance(content, dict):
        raise CameraFileError(
            f"{file}: expected a JSON object, found a {type(content).__name__}. Use a transforms file."
        )
    return content


def frame_record(frame: dict[str, Any], shared: dict[str, Any], file: Path, place: int) -> ViewRecord:
    """One frame; its own intrinsics win over the shared ones."""
    stated = frame.get("file_path") if isinstance(frame, dict) else None
    if not isinstance(stated, str) or not stated:
        raise CameraFileError(f"{file}: expected 'file_path' in frame {place}, found {stated!r}. Name its photo.")
    image_path = find_image(file.parent, stated)
    values = {**shared, **frame}
    size = _size(values, image_path, file)
    return ViewRecord(
        name=_view_name(stated),
        image_path=image_path,
        world_to_camera=_pose(frame, file, stated),
        intrinsics=_intrinsics(values, size, file, stated),
        distortion=(_number(values, "k1"), _number(values, "k2"), _number(values, "p1"), _number(values, "p2")),
        size=size,
    )


def find_image(folder: Path, stated: str) -> Path:
    """The photo a frame names, trying the usual suffixes where it gives none."""
    path = folder / stated.replace("\\", "/")
    if path.is_file() or path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"):
        return path
    for suffix in _SUFFIXES:
        candidate = path.with_name(path.name + suffix)
        if candidate.is_file():
            return candidate
    return path


def _view_name(stated: str) -> str:
    return stated.replace("\\", "/").removeprefix("./")


def _pose(frame: dict[str, Any], file: Path, name: str) -> np.ndarray:
    try:
        matrix = np.array(frame.get("transform_matrix"), np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape not in ((4, 4), (3, 4)):
        raise CameraFileError(
            f"{file}: expected a 4x4 or 3x4 'transform_matrix' for frame {name!r}, found shape {matrix.shape}. "
            "Give each frame its pose."
        )
    pose = np.vstack([matrix[:3], [0.0, 0.0, 0.0, 1.0]]) @ _OPENGL_TO_OPENCV
    return rigid_inverse(pose)


def _size(values: dict[str, Any], image_path: Path, file: Path) -> tuple[int, int]:
    if values.get("w") and values.get("h"):
        return round(float(values["w"])), round(float(values["h"]))
    if not image_path.is_file():
        return 1, 1
    try:
        with Image.open(image_path) as image:
            return image.size
    except (UnidentifiedImageError, OSError) as error:
        raise ImageFileError(
            f"{image_path}: expected a photo (its size is not in {file.name}), found an unreadable file: {error}. "
            "Replace the photo."
        ) from error


def _intrinsics(
    values: dict[str, Any], size: tuple[int, int], file: Path, name: str
) -> tuple[float, float, float, float]:
    width, height = size
    from_x = _focal(values, "fl_x", "camera_angle_x", width)
    from_y = _focal(values, "fl_y", "camera_angle_y", height)
    if "fl_x" in values and "fl_y" not in values:
        from_y = from_x  # one stated focal length holds for both axes
    found = [focal for focal in (from_x, from_y) if focal is not None]
    if not found:
        raise CameraFileError(
            f"{file}: expected fl_x or camera_angle_x for frame {name!r}, found neither. Add a focal length."
        )
    fx = found[0] if from_x is None else from_x
    fy = found[0] if from_y is None else from_y
    return fx, fy, _number(values, "cx", width / 2), _number(values, "cy", height / 2)


def _focal(values: dict[str, Any], key: str, angle: str, side: int) -> float | None:
    if key in values:
        return float(values[key])
    if angle in values:
        return side / (2.0 * math.tan(float(values[angle]) / 2.0))
    return None


def _number(values: dict[str, Any], key: str, default: float = 0.0) -> float:
    value = values.get(key)
    return default if value is None else float(value)


def _check_model(content: dict[str, Any], file: Path) -> None:
    model = content.get("camera_model", "OPENCV")
    higher = {key: content[key] for key in _UNSUPPORTED_TERMS if content.get(key)}
    if model not in _PINHOLE_MODELS or content.get("is_fisheye") or higher:
        raise CameraFileError(
            f"{file}: expected a camera model of {sorted(_PINHOLE_MODELS)} with k1, k2, p1, p2, found {model!r} with "
            f"{higher or 'no further terms'}. Undistort the photos first."
        )


def _points(content: dict[str, Any], file: Path) -> PointCloud | None:
    stated = content.get("ply_file_path")
    if stated:
        return read_point_cloud(file.parent / str(stated))
    beside = file.parent / "points3D.ply"
    if beside.is_file():
        _log.info("%s names no point cloud; taking %s beside it", file.name, beside.name)
        return read_point_cloud(beside)
    return None
