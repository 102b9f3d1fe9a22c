"""`PosedPhotos` (what a camera file says) and `Photos` (pixels in memory, distortion removed).

A reader returns `PosedPhotos`: nothing is decoded yet, lenses are as the file states them.
`load_photos` turns it into `Photos`: pinhole cameras and images of one size.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.point_cloud import PointCloud
from vision3d.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class PosedPhotos:
    """Photos on disk with poses and lenses, before any pixel is read."""

    cameras: CameraBatch
    """Poses and intrinsics at the size the camera file states."""
    distortion: Float[Tensor, "view 4"]
    """OpenCV k1, k2, p1, p2 of each view; zeros for a pinhole."""
    image_paths: tuple[Path, ...]
    """One existing file per view, in the order of the cameras."""
    points: PointCloud | None
    """Structure-from-motion points, where the scene has them."""
    held_out: tuple[str, ...]
    """Names the scene itself reserves for testing (Blender's test file); empty where it does not say."""
    source: str
    """Format the views were read from, e.g. `colmap`."""

    def __post_init__(self) -> None:
        if len(self.image_paths) != len(self.cameras) or self.distortion.shape[0] != len(self.cameras):
            raise InvalidInputError(
                f"PosedPhotos: expected one photo and one lens per view, found {len(self.cameras)} views, "
                f"{len(self.image_paths)} photos, {self.distortion.shape[0]} lenses."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Photos:
    """Decoded photos of one size under pinhole cameras.

    Photos with an alpha channel are composited on `background` and keep their coverage in `alpha`.
    """

    cameras: CameraBatch
    """Pinhole cameras for exactly these pixels."""
    images: UInt8[Tensor, "view height width 3"]
    """RGB, 0-255, as the camera wrote them (display values)."""
    alpha: UInt8[Tensor, "view height width"] | None
    """Coverage 0-255 where the files carry it, else None."""
    valid: Bool[Tensor, "view height width"] | None
    """False where undistortion reached outside the photo; None where all pixels are valid."""
