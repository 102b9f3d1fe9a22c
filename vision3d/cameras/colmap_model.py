"""The tables of a COLMAP model in memory, and what its camera models mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from vision3d.cameras.point_cloud import PointCloud
from vision3d.errors import CameraFileError

MODEL_IDS = {0: "SIMPLE_PINHOLE", 1: "PINHOLE", 2: "SIMPLE_RADIAL", 3: "RADIAL", 4: "OPENCV"}
"""COLMAP's number of each supported camera model."""
_OTHER_MODELS = {
    5: "OPENCV_FISHEYE", 6: "FULL_OPENCV", 7: "FOV", 8: "SIMPLE_RADIAL_FISHEYE", 9: "RADIAL_FISHEYE",
    10: "THIN_PRISM_FISHEYE", 11: "RAD_TAN_THIN_PRISM_FISHEYE",
}  # fmt: skip
PARAMETER_COUNTS = {"SIMPLE_PINHOLE": 3, "PINHOLE": 4, "SIMPLE_RADIAL": 4, "RADIAL": 5, "OPENCV": 8}
"""Number of parameters of each supported camera model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColmapCamera:
    """One row of the cameras table."""

    model: str
    """Name of the camera model."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    parameters: tuple[float, ...]
    """As COLMAP orders them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColmapImage:
    """One row of the images table."""

    name: str
    """File name relative to the image folder."""
    camera_id: int
    """Row of the cameras table."""
    quat: Float[np.ndarray, " 4"]
    """World-to-camera rotation as w, x, y, z."""
    translation: Float[np.ndarray, " 3"]
    """World-to-camera translation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColmapModel:
    """A whole sparse model; 2D points and tracks are not kept."""

    cameras: dict[int, ColmapCamera]
    """By camera id."""
    images: tuple[ColmapImage, ...]
    """In file order."""
    points: PointCloud | None
    """The sparse points, None where the model has none."""


def lens_of(
    camera: ColmapCamera, origin: Path
) -> tuple[tuple[float, float, float, float], tuple[float, float, float, float]]:
    """(fx, fy, cx, cy) and (k1, k2, p1, p2) of a camera.

    Raises:
        CameraFileError: the model is not supported, or its parameters do not fit it.
    """
    values = camera.parameters
    if camera.model not in PARAMETER_COUNTS:
        raise unsupported_model(camera.model, origin)
    if len(values) != PARAMETER_COUNTS[camera.model]:
        raise CameraFileError(
            f"{origin}: expected {PARAMETER_COUNTS[camera.model]} parameters for {camera.model}, found {len(values)}. "
            "Export the model again."
        )
    if camera.model in ("PINHOLE", "OPENCV"):
        fx, fy, cx, cy, *terms = values
    else:
        fx, cx, cy, *terms = values
        fy = fx
    k1, k2, p1, p2 = (*terms, 0.0, 0.0, 0.0, 0.0)[:4]
    return (fx, fy, cx, cy), (k1, k2, p1, p2)


def unsupported_model(model: str | int, origin: Path) -> CameraFileError:
    """The error for a camera model, given by name or by COLMAP's number, that is not one of PARAMETER_COUNTS."""
    found = _OTHER_MODELS.get(model, f"number {model}") if isinstance(model, int) else model
    return CameraFileError(
        f"{origin}: expected a camera model of {sorted(PARAMETER_COUNTS)}, found {found}. "
        "Run COLMAP's image_undistorter, which writes PINHOLE cameras."
    )


def pose_of(image: ColmapImage, origin: Path) -> NDArray[np.float64]:
    """World-to-camera matrix of an image.

    Raises:
        CameraFileError: the quaternion is zero or not finite.
    """
    length = np.linalg.norm(image.quat)
    if not np.isfinite(image.quat).all() or not np.isfinite(image.translation).all() or length < 1e-9:
        raise CameraFileError(
            f"{origin}: expected a finite pose for image {image.name!r}, found quaternion {image.quat.tolist()} and "
            f"translation {image.translation.tolist()}. Repair or remove the image."
        )
    w, x, y, z = image.quat / length
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = image.translation
    return pose
