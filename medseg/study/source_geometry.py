"""`SourceGeometry`: the grid of the files a volume came from, kept to the end so that masks go back onto it exactly."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jaxtyping import Float
from numpy import ndarray

from medseg.errors import InvalidInputError
from medseg.study.affine import axis_codes, check_affine

SourceFormat = Literal["dicom", "nifti", "itk", "picture", "array"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file that voxels came from, to open it again."""

    path: Path = field(repr=False)
    """The file, or the zip archive that holds it; left out of the text form, since folders are named after people."""
    member: str | None = field(default=None, repr=False)
    """Name inside the archive; None outside archives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceSource:
    """Where one slice k of the source grid is stored."""

    file: int
    """Number of its file in `SourceGeometry.files`; -1 for an empty slice that a segmentation left out."""
    frame: int = 0
    """Frame inside the file, from 0."""
    sop_instance_uid: str = ""
    """DICOM's name of the file's object; empty for other formats."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceGeometry:
    """The grid as stored: shape, place in the patient, and the files behind each slice.

    For a DICOM series, k counts slices along the normal, each named in `slices`. For a picture, i counts the columns
    and j the rows as stored, before any turn that EXIF asks for; `voxel_to_ras` maps them where the turned picture has
    them, so the turn is an ordinary change of axes.
    """

    format: SourceFormat
    """What the files are."""
    shape: tuple[int, int, int]
    """Voxels along i, j and k."""
    voxel_to_ras: Float[ndarray, "4 4"] = field(repr=False)
    """From stored indices to RAS+ millimetres, float64."""
    files: tuple[SourceFile, ...] = ()
    """Files read; empty for volumes made in memory."""
    slices: tuple[SliceSource, ...] = field(default=(), repr=False)
    """One per k for DICOM; empty for other formats. A slide has one per
    tile instead, in stored order."""
    study_uid: str = ""
    """DICOM study, empty where there is none."""
    series_uid: str = ""
    """DICOM series, likewise."""
    frame_of_reference_uid: str = ""
    """DICOM frame of reference, likewise."""
    exif_orientation: int = 1
    """EXIF orientation 1-8 of a picture; 1 is upright."""
    time_point: int | None = None
    """Which volume of a 4D file, or which page of a picture; None where the file holds one."""

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise InvalidInputError(f"SourceGeometry: expected three sizes of 1 and more, found {self.shape}.")
        check_affine(self.voxel_to_ras, "SourceGeometry")

    @property
    def orientation(self) -> str:
        """Where i, j and k run to, as `LPS`."""
        return axis_codes(self.voxel_to_ras)
