"""`ViewRecord`: one view as a camera file states it, and the checks every reader shares."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.point_cloud import PointCloud
from vision3d.cameras.posed_photos import PosedPhotos
from vision3d.errors import CameraFileError

_log = logging.getLogger(__name__)
_ROTATION_TOLERANCE = 1e-2
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewRecord:
    """One view, not yet checked."""

    name: str
    """Unique name of the view."""
    image_path: Path
    """Its photo; may be missing."""
    world_to_camera: Float[np.ndarray, "4 4"]
    """OpenCV axes, float64."""
    intrinsics: tuple[float, float, float, float]
    """fx, fy, cx, cy in pixels."""
    distortion: tuple[float, float, float, float]
    """k1, k2, p1, p2."""
    size: tuple[int, int]
    """Width and height in pixels."""


def posed_photos(
    records: Sequence[ViewRecord],
    *,
    source: str,
    origin: Path,
    points: PointCloud | None,
    held_out: Sequence[str] = (),
) -> PosedPhotos:
    """Checked views, sorted by name; views whose photo is missing are left out with one warning.

    Raises:
        CameraFileError: no view, no photo, a name twice, or a view with an impossible pose or lens.
    """
    if not records:
        raise CameraFileError(f"{origin}: expected at least one view, found none. Add posed views to the file.")
    present = [record for record in records if record.image_path.is_file()]
    missing = [record.image_path for record in records if not record.image_path.is_file()]
    if not present:
        raise CameraFileError(
            f"{origin}: expected the photos its {len(records)} views name, found none of them (first: {missing[0]}). "
            "Put the photos there, or correct the paths."
        )
    if missing:
        named = ", ".join(path.name for path in missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
        _log.warning("%s: %d of %d photos are missing and left out: %s", origin, len(missing), len(records), named)
    ordered = sorted(present, key=lambda record: record.name)
    _check_names(ordered, origin)
    for record in ordered:
        _check_view(record, origin)
    kept = {record.name for record in ordered}
    return PosedPhotos(
        cameras=_camera_batch(ordered),
        distortion=torch.tensor([record.distortion for record in ordered], dtype=torch.float32),
        image_paths=tuple(record.image_path for record in ordered),
        points=points,
        held_out=tuple(sorted(name for name in held_out if name in kept)),
        source=source,
    )


def _camera_batch(records: Sequence[ViewRecord]) -> CameraBatch:
    intrinsics = np.zeros((len(records), 3, 3))
    for row, record in enumerate(records):
        fx, fy, cx, cy = record.intrinsics
        intrinsics[row] = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
    return CameraBatch(
        world_to_camera=torch.tensor(np.stack([record.world_to_camera for record in records]), dtype=torch.float32),
        intrinsics=torch.tensor(intrinsics, dtype=torch.float32),
        image_sizes=torch.tensor([record.size for record in records]),
        names=tuple(record.name for record in records),
    )


def _check_names(records: Sequence[ViewRecord], origin: Path) -> None:
    names = [record.name for record in records]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise CameraFileError(
            f"{origin}: expected each view once, found {repeated[:_NAMED]} more than once. Remove the copies."
        )


def _check_view(record: ViewRecord, origin: Path) -> None:
    pose = np.asarray(record.world_to_camera, np.float64)
    if not np.isfinite(pose).all():
        raise CameraFileError(
            f"{origin}: expected a finite pose for view {record.name!r}, found NaN or infinite values. "
            "Repair the pose or remove the view."
        )
    rotation = pose[:3, :3]
    rigid = np.abs(rotation @ rotation.T - np.eye(3)).max() < _ROTATION_TOLERANCE and np.linalg.det(rotation) > 0
    if not rigid:
        raise CameraFileError(
            f"{origin}: expected a rotation with determinant +1 in the pose of view {record.name!r}, found determinant "
            f"{np.linalg.det(rotation):.4g}. Repair the pose (a zero or scaled matrix?) or remove the view."
        )
    fx, fy, cx, cy = record.intrinsics
    if not (np.isfinite([fx, fy, cx, cy]).all() and fx > 0 and fy > 0):
        raise CameraFileError(
            f"{origin}: expected positive focal lengths for view {record.name!r}, found fx={fx}, fy={fy}, cx={cx}, "
            f"cy={cy}. Correct the intrinsics."
        )
    if min(record.size) < 1:
        raise CameraFileError(
            f"{origin}: expected an image size of at least 1x1 for view {record.name!r}, found {record.size}. "
            "Correct width and height."
        )


def rigid_inverse(pose: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    """Inverse of a camera-to-world matrix, its rotation cleaned of rounding; garbage stays garbage for the checks."""
    if not np.isfinite(pose).all() or abs(np.linalg.det(pose[:3, :3])) < 1e-9:
        return pose
    left, scale, right = np.linalg.svd(pose[:3, :3])
    unit = np.allclose(scale, 1.0, atol=_ROTATION_TOLERANCE)
    rotation = np.asarray(left @ right if unit else pose[:3, :3], np.float64)
    result = np.eye(4)
    result[:3, :3] = rotation.T
    result[:3, 3] = -rotation.T @ pose[:3, 3]
    return result
