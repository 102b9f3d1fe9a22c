"""`Volume`: voxels with their place in the patient, and the grid of the files they came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Num
from numpy import ndarray

from medseg.errors import InvalidInputError
from medseg.study.affine import axis_codes, check_affine, spacing_mm, voxel_volume_mm3
from medseg.study.source_geometry import SourceGeometry

Space = Literal["patient", "picture", "frames"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Volume:
    """Voxels [i j k], with a last axis of channels for colour. Pictures are volumes of one slice.

    In `patient` space the affine is that of the scanner. In `picture` space nothing is known of the patient: i counts
    columns and j rows, and the affine lays the picture down as an axial slice. In `frames` space k counts time.
    """

    voxels: Num[ndarray, "i j k *channel"]
    """Values in `unit`; read-only."""
    voxel_to_ras: Float[ndarray, "4 4"]
    """From indices to RAS+ millimetres, float64."""
    modality: str
    """DICOM's word (CT, MR, DX, US, ...), `unknown` where the file does not say."""
    unit: str
    """What values mean: `HU`, `Gy`, `8 bit` for pictures, `unknown` for arbitrary numbers."""
    source: SourceGeometry
    """The grid of the files; masks go back onto it."""
    space: Space = "patient"
    """What the axes mean, see above."""
    spacing_known: bool = True
    """Whether millimetres are true; False where one pixel was taken as one millimetre for want of anything better."""
    body_part: str = ""
    """DICOM's BodyPartExamined, empty where the file does not say."""

    def __post_init__(self) -> None:
        if self.voxels.ndim not in (3, 4) or min(self.voxels.shape) < 1:
            raise InvalidInputError(
                f"Volume: expected voxels [i j k] or [i j k channel] without empty axes, found {self.voxels.shape}."
            )
        check_affine(self.voxel_to_ras, "Volume")
        seen = self.voxels.view()
        seen.flags.writeable = False
        object.__setattr__(self, "voxels", seen)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along i, j and k."""
        i, j, k = self.voxels.shape[:3]
        return i, j, k

    @property
    def spacing_mm(self) -> Float[ndarray, "3"]:
        """Distance between neighbouring voxels along i, j and k."""
        return spacing_mm(self.voxel_to_ras)

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, millilitres."""
        return voxel_volume_mm3(self.voxel_to_ras) / 1000

    @property
    def orientation(self) -> str:
        """Where i, j and k run to, as `RAS`."""
        return axis_codes(self.voxel_to_ras)

    def __repr__(self) -> str:
        size = " x ".join(str(count) for count in self.voxels.shape)
        spacing = " x ".join(f"{step:.4g}" for step in self.spacing_mm)
        return f"Volume({size} {self.voxels.dtype}, {self.modality} in {self.unit}, {self.orientation}, {spacing} mm)"


def volume_in_memory(
    voxels: Num[ndarray, "i j k *channel"],
    voxel_to_ras: Float[ndarray, "4 4"],
    *,
    modality: str = "unknown",
    unit: str = "unknown",
) -> Volume:
    """A volume that came from no file; its own grid is the source.

    Example:
        >>> volume_in_memory(np.zeros((4, 5, 6), np.int16), np.diag([1.0, 1.0, 2.5, 1.0]), modality="CT", unit="HU")
        Volume(4 x 5 x 6 int16, CT in HU, RAS, 1 x 1 x 2.5 mm)
    """
    i, j, k = voxels.shape[:3]
    placed = np.array(voxel_to_ras, dtype=np.float64)
    source = SourceGeometry(format="array", shape=(i, j, k), voxel_to_ras=placed)
    return Volume(voxels=voxels, voxel_to_ras=placed, modality=modality, unit=unit, source=source)
