"""Reader of nerfstudio and instant-ngp `transforms.json`.

The file holds camera-to-world matrices with OpenGL axes (x right, y up, z back); they become world-to-camera with
OpenCV axes. The world frame is kept as it is, and so are the points of `ply_file_path`.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vision3d.cameras.point_cloud import PointCloud
from vision3d.cameras.point_cloud_files import read_point_cloud
from vision3d.cameras.posed_photos import PosedPhotos
from vision3d.cameras.transforms_lens import frame_lens
from vision3d.cameras.view_records import ViewRecord, posed_photos, rigid_inverse
from vision3d.errors import CameraFileError

_log = logging.getLogger(__name__)
_SUFFIXES = (".png", ".jpg", ".jpeg", ".JPG", ".PNG", ".JPEG", ".webp")
_KNOWN_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}
_PHOTO_FOLDER = re.compile(r"^images(_\d+)?/")
_OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


def read_transforms(path: str | Path) -> PosedPhotos:
    """The views of a transforms file, or of the transforms.json in a folder.

    Intrinsics may be shared or stand in each frame; a focal length may be given as `camera_angle_x`; a missing size is
    read from the photo. `ply_file_path` (or a `points3D.ply` beside the file) becomes the point cloud; a named one that
    is not there is warned of. Where the file lists `train_filenames`, all other views are held out; else those in
    `test_filenames` and `val_filenames` are.

    A view has the name of its file without a leading `images/` or `images_N/`, so that it is called the same in every
    resolution and in a COLMAP model of the same scene.

    Raises:
        CameraFileError: the file is not what it should be; the message names the frame.

    Source: nerfstudio's data conventions.
    """
    file = find_transforms(Path(path))
    content = read_json(file)
    records = frame_records(content, file)
    return posed_photos(
        records,
        source="transforms",
        origin=file,
        points=_points(content, file),
        held_out=_held_out(content, [record.name for record in records], file),
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
    found = sorted(path.glob("transforms_*.json"))
    if len(found) != 1:
        raise CameraFileError(
            f"{path}: expected transforms.json or one transforms_*.json, found {[item.name for item in found]}. "
            "Name the file you want."
        )
    return found[0]


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in `file`.

    Raises:
        CameraFileError: missing, not JSON (the message gives line and column), or not an object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CameraFileError(f"{file}: expected a readable JSON file, found: {error}. Check the path.") from error
    except ValueError as error:
        raise CameraFileError(f"{file}: expected JSON, found a syntax error: {error}. Repair the file.") from error
    if not isinstance(content, dict):
        raise CameraFileError(
            f"{file}: expected a JSON object, found a {type(content).__name__}. Use a transforms file."
        )
    return content


def frame_records(content: dict[str, Any], file: Path) -> list[ViewRecord]:
    """One record per frame, in file order.

    Raises:
        CameraFileError: there is no frame, or one lacks its photo, pose or lens.
    """
    frames = content.get("frames")
    if not isinstance(frames, list) or not frames:
        raise CameraFileError(f"{file}: expected a non-empty list 'frames', found {frames!r:.60}. Add posed frames.")
    shared = {key: value for key, value in content.items() if key != "frames"}
    return [_frame_record(frame, shared, file, place) for place, frame in enumerate(frames)]


def find_image(folder: Path, stated: str) -> Path:
    """The photo a frame names, trying the usual suffixes where it gives none; may be missing."""
    path = folder / stated.replace("\\", "/")
    if path.suffix.lower() in _KNOWN_SUFFIXES or path.is_file():
        return path
    candidates = [path.with_name(path.name + suffix) for suffix in _SUFFIXES]
    return next((candidate for candidate in candidates if candidate.is_file()), path)


def _frame_record(frame: Any, shared: dict[str, Any], file: Path, place: int) -> ViewRecord:
    stated = frame.get("file_path") if isinstance(frame, dict) else None
    if not isinstance(stated, str) or not stated:
        raise CameraFileError(f"{file}: expected 'file_path' in frame {place}, found {stated!r}. Name its photo.")
    where = f"{file}, frame {stated!r}"
    image_path = find_image(file.parent, stated)
    lens = frame_lens({**shared, **frame}, image_path, where)
    return ViewRecord(
        name=_view_name(stated),
        image_path=image_path,
        world_to_camera=_pose(frame, where),
        intrinsics=lens.intrinsics,
        distortion=lens.distortion,
        size=lens.size,
    )


def _view_name(stated: str) -> str:
    return _PHOTO_FOLDER.sub("", stated.replace("\\", "/").removeprefix("./"), count=1)


def _pose(frame: dict[str, Any], where: str) -> np.ndarray:
    try:
        matrix = np.array(frame.get("transform_matrix"), np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape not in ((4, 4), (3, 4)):
        found = "none" if frame.get("transform_matrix") is None else f"shape {matrix.shape}"
        raise CameraFileError(
            f"{where}: expected a 4x4 or 3x4 'transform_matrix' of numbers, found {found}. Give each frame its pose."
        )
    if not np.isfinite(matrix).all():
        raise CameraFileError(
            f"{where}: expected a finite 'transform_matrix', found NaN or infinity. Repair the pose or drop it."
        )
    bottom = matrix[3:].ravel()
    if bottom.size and not np.allclose(bottom, [0.0, 0.0, 0.0, 1.0], atol=1e-6):
        raise CameraFileError(
            f"{where}: expected the last row of 'transform_matrix' to be 0 0 0 1, found {bottom.tolist()}. "
            "Repair the pose (zero or transposed?) or remove the frame."
        )
    pose = np.vstack([matrix[:3], [0.0, 0.0, 0.0, 1.0]]) @ _OPENGL_TO_OPENCV
    return rigid_inverse(pose)


def _held_out(content: dict[str, Any], names: Sequence[str], file: Path) -> list[str]:
    lists = {key: content.get(key) or [] for key in ("train_filenames", "val_filenames", "test_filenames")}
    for key, listed in lists.items():
        if not isinstance(listed, list):
            raise CameraFileError(f"{file}: expected a list of file names in {key!r}, found {listed!r:.40}. Repair it.")
    listed = {key: {_view_name(str(name)) for name in names_of} for key, names_of in lists.items()}
    if listed["train_filenames"]:
        return sorted(set(names) - listed["train_filenames"])
    return sorted(listed["val_filenames"] | listed["test_filenames"])


def _points(content: dict[str, Any], file: Path) -> PointCloud | None:
    stated = content.get("ply_file_path")
    if stated:
        named = file.parent / str(stated)
        if named.is_file():
            return read_point_cloud(named)
        _log.warning("%s: its point cloud %s is missing; the scene is read without points", file, named)
        return None
    beside = file.parent / "points3D.ply"
    if beside.is_file():
        _log.info("%s names no point cloud; taking %s beside it", file.name, beside.name)
        return read_point_cloud(beside)
    return None
