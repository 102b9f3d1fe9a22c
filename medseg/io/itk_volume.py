"""NRRD and MetaImage volumes, read by SimpleITK."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy import ndarray

from medseg.errors import StudyFileError
from medseg.io.finite_values import without_gaps
from medseg.io.found_files import FoundFile
from medseg.io.limits import ReadLimits
from medseg.io.parser_failures import parsing
from medseg.study.affine import LPS_TO_RAS, check_affine, spacing_mm
from medseg.study.series_facts import SeriesFacts
from medseg.study.source_geometry import SourceGeometry
from medseg.study.study import Notice
from medseg.study.volume import Volume

_EXPECTED = "an NRRD or MetaImage volume"
_HEADER_BYTES = 65_536
_NUMBERS = 8
"""SimpleITK gives numbers of at most eight bytes."""


def itk_facts(found: FoundFile, limits: ReadLimits) -> tuple[SeriesFacts, ...]:
    """The one volume of the file.

    Raises:
        StudyFileError: it cannot be read.
    """
    with parsing(found.name, _EXPECTED):
        _, shape, affine = _read_head(found, limits)
    x, y, z = (float(step) for step in spacing_mm(affine))
    return (SeriesFacts(key=found.key, file_name=found.own_name, format="itk", shape=shape, spacing_mm=(x, y, z)),)


def read_itk(found: FoundFile, limits: ReadLimits) -> tuple[Volume, list[Notice]]:
    """The volume.

    Raises:
        StudyFileError: it cannot be read.
    """
    with parsing(found.name, _EXPECTED):
        reader, shape, affine = _read_head(found, limits)
        voxels = sitk.GetArrayFromImage(reader.Execute())
        colour = reader.GetNumberOfComponents() > 1
        if reader.GetDimension() == 2:
            voxels = voxels[None]
        voxels = voxels.transpose(2, 1, 0, *range(3, voxels.ndim))
    voxels, notices = without_gaps(voxels, found.name)
    source = SourceGeometry(format="itk", shape=shape, voxel_to_ras=affine, files=(found.source,))
    unit = "8 bit" if colour and voxels.dtype == np.uint8 else "unknown"
    volume = Volume(voxels=voxels, voxel_to_ras=affine, modality="unknown", unit=unit, source=source)
    return volume, notices


def _read_head(found: FoundFile, limits: ReadLimits) -> tuple[sitk.ImageFileReader, tuple[int, int, int], ndarray]:
    _check_data_is_inside(found.path, found.name)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(found.path))
    reader.ReadImageInformation()
    axes = reader.GetDimension()
    if axes not in (2, 3):
        raise StudyFileError(f"{found.name}: expected two or three axes, found {axes}. Save one volume of it.")
    sizes = (*(int(size) for size in reader.GetSize()), 1)[:3]
    limits.check_voxels((*sizes, reader.GetNumberOfComponents()), _NUMBERS, found.name)
    affine = np.eye(4)
    affine[:axes, :axes] = np.reshape(reader.GetDirection(), (axes, axes)) * np.array(reader.GetSpacing())
    affine[:axes, 3] = reader.GetOrigin()
    affine = LPS_TO_RAS @ affine
    check_affine(affine, found.name)
    return reader, (sizes[0], sizes[1], sizes[2]), affine


def _check_data_is_inside(path: Path, name: str) -> None:
    """Raise where the header sends the reader to a file of another folder, or to one that is not there."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    for found in re.finditer(rb"(?im)^(?:ElementDataFile\s*=|data\s?file:)[ \t]*([^\r\n]+)", header):
        target = found.group(1).decode("utf-8", errors="replace").strip()
        if target.upper() == "LOCAL":
            continue
        inside = Path(target).name == target and "%" not in target and not target.upper().startswith("LIST")
        if not inside or not (path.parent / target).is_file():
            raise StudyFileError(
                f"{name}: expected voxels in the file itself or in one file beside it, found another place. "
                "Save it as one file (.nrrd, .mha)."
            )
