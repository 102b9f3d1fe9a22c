"""NIfTI-1, NIfTI-2 and MGH volumes: which affine counts, time points one by one, values scaled as the header says."""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from jaxtyping import Float, Num
from nibabel.freesurfer.mghformat import MGHImage
from nibabel.nifti1 import Nifti1Header, Nifti1Pair
from nibabel.spatialimages import SpatialImage
from numpy import ndarray

from medseg.errors import GeometryError, StudyFileError
from medseg.io.finite_values import without_gaps
from medseg.io.found_files import FoundFile
from medseg.io.limits import ReadLimits
from medseg.io.parser_failures import parsing
from medseg.study.affine import check_affine, spacing_mm
from medseg.study.series_facts import SeriesFacts
from medseg.study.source_geometry import SourceGeometry
from medseg.study.study import Notice
from medseg.study.volume import Volume

_GZIP_RATIO = 1100
"""No gzip stream unpacks to more than about 1030 times its size."""
_UNITS_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
"""Code of the header's length unit -> millimetres; unknown counts as mm."""
_RGB = ("R", "G", "B")
_DISAGREE_VOXELS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class NiftiHead:
    """What the header says."""

    image: SpatialImage
    """The open file; its voxels are not read yet."""
    shape: tuple[int, int, int]
    """Voxels along i, j and k."""
    times: int
    """Volumes in the file."""
    voxel_to_ras: Float[ndarray, "4 4"]
    """Checked, mm."""
    spacing_known: bool
    """Whether the header had a usable spacing."""
    notices: tuple[Notice, ...]
    """About the affine."""


def nifti_facts(found: FoundFile, limits: ReadLimits) -> tuple[SeriesFacts, ...]:
    """One entry per time point.

    Raises:
        StudyFileError: no volume can be read from the file.
    """
    head = _read_head(found, limits)
    x, y, z = (float(step) for step in spacing_mm(head.voxel_to_ras))
    return tuple(
        SeriesFacts(
            key=found.key if head.times == 1 else f"{found.key}?t={time}",
            file_name=found.own_name,
            format="nifti",
            shape=head.shape,
            spacing_mm=(x, y, z),
            split_by="" if head.times == 1 else f"time {time} of {head.times}",
        )
        for time in range(head.times)
    )


def read_nifti(found: FoundFile, time: int | None, limits: ReadLimits) -> tuple[Volume, list[Notice]]:
    """The volume, or time point `time` of a 4D file.

    Raises:
        StudyFileError: no volume can be read from the file.
    """
    head = _read_head(found, limits)
    with parsing(found.name, "a whole NIfTI file"):
        voxels = _voxels(head, time or 0, found.name)
    voxels, notices = without_gaps(voxels, found.name)
    source = SourceGeometry(
        format="nifti",
        shape=head.shape,
        voxel_to_ras=head.voxel_to_ras,
        files=(found.source,),
        time_point=None if head.times == 1 else time,
    )
    volume = Volume(
        voxels=voxels,
        voxel_to_ras=head.voxel_to_ras,
        modality="unknown",
        unit="8 bit" if voxels.ndim == 4 else "unknown",
        source=source,
        spacing_known=head.spacing_known,
    )
    return volume, [*head.notices, *notices]


def _read_head(found: FoundFile, limits: ReadLimits) -> NiftiHead:
    with parsing(found.name, "a NIfTI file (with its .img beside a .hdr)"):
        image = nibabel.load(found.path)
        if not isinstance(image, Nifti1Pair | MGHImage):
            raise StudyFileError(
                f"{found.name}: expected NIfTI or MGH, found {type(image).__name__}. Convert it to NIfTI."
            )
        if _holds_a_matrix(image):
            raise StudyFileError(
                f"{found.name}: expected a volume, found a CIFTI matrix over a brain surface. Give the volume itself."
            )
        sizes = tuple(int(size) for size in image.shape)
        kind = np.dtype(image.get_data_dtype())
        if kind.kind == "c" or (kind.names and kind.names[:3] != _RGB):
            raise StudyFileError(f"{found.name}: expected numbers or RGB, found {kind}. Save the magnitude alone.")
        shape, times = _three_sizes(sizes, found.name)
        bytes_each = max(8, kind.itemsize)
        limits.check_voxels(shape, bytes_each, found.name)
        _check_length(found, image, math.prod(sizes) * kind.itemsize)
        affine, known, notices = _affine(image)
        check_affine(affine, found.name)
    return NiftiHead(
        image=image, shape=shape, times=times, voxel_to_ras=affine, spacing_known=known, notices=tuple(notices)
    )


def _holds_a_matrix(image: SpatialImage) -> bool:
    return isinstance(image.header, Nifti1Header) and 3000 <= _code(image.header, "intent_code") < 3100


def _three_sizes(sizes: tuple[int, ...], name: str) -> tuple[tuple[int, int, int], int]:
    if not sizes or min(sizes) < 1 or any(size > 1 for size in sizes[4:]):
        raise StudyFileError(
            f"{name}: expected up to three axes and time, found sizes {sizes}. Save one scalar volume."
        )
    i, j, k, times = (*sizes, 1, 1, 1)[:4] if len(sizes) < 4 else sizes[:4]
    return (i, j, k), times


def _check_length(found: FoundFile, image: SpatialImage, wanted: int) -> None:
    """Raise where the file cannot hold what its header claims: before anything is allocated for it."""
    voxels = Path(image.file_map["image"].filename or found.path)
    if not voxels.is_file():
        raise StudyFileError(
            f"{found.name}: expected its voxels in an .img file beside it, found none. Copy both files."
        )
    size = voxels.stat().st_size
    packed = voxels.name.lower().endswith((".gz", ".mgz"))
    if wanted > size * (_GZIP_RATIO if packed else 1):
        raise StudyFileError(
            f"{found.name}: expected {wanted} bytes of voxels as the header says, found a file of {size} bytes. "
            "Copy it again."
        )


def _voxels(head: NiftiHead, time: int, name: str) -> Num[ndarray, "i j k *channel"]:
    if not 0 <= time < head.times:
        raise StudyFileError(f"{name}: expected a time point from 0 to {head.times - 1}, found {time}. Choose another.")
    data = head.image.dataobj
    axes = len(head.image.shape)
    part = np.asanyarray(data[..., time] if axes == 4 else data)
    part = part.reshape(head.shape) if axes != 4 or part.shape != head.shape else part
    if part.dtype.names:
        return np.stack([part[channel] for channel in _RGB], axis=-1)
    if part.dtype.kind == "f":
        return _smaller(part)
    native = part.astype(part.dtype.newbyteorder("="), copy=False)
    if native.dtype.itemsize == 8:
        low, high = int(native.min()), int(native.max())
        fits = np.iinfo(np.int32).min <= low and high <= np.iinfo(np.int32).max
        return native.astype(np.int32 if fits else np.float64)
    return native


def _smaller(values: Float[ndarray, "i j k"]) -> Float[ndarray, "i j k"]:
    """Float32, unless its range would not do."""
    finite = values[np.isfinite(values)]
    large = finite.size and max(abs(float(finite.min())), abs(float(finite.max()))) > np.finfo(np.float32).max
    return values.astype(np.float64 if large else np.float32)


def _spacing_is_stored(image: SpatialImage) -> bool:
    """Whether the file itself has a spacing along the axes it has; nibabel puts 1 in place of 0 without a word."""
    header = image.header
    if not isinstance(header, Nifti1Header):
        return True
    place = image.file_map["header" if "header" in image.file_map else "image"]
    with place.get_prepare_fileobj("rb") as file:
        stored = type(header).from_fileobj(file, check=False)
    steps = np.asarray(stored["pixdim"][1 : 1 + min(3, len(image.shape))], dtype=np.float64)
    return bool(np.isfinite(steps).all() and (steps != 0).all())


def _affine(image: SpatialImage) -> tuple[Float[ndarray, "4 4"], bool, list[Notice]]:
    """The sform where it is set, else the qform, else the spacing alone; in mm."""
    if not isinstance(image.header, Nifti1Header):
        return np.asarray(image.affine, dtype=np.float64), True, []
    header = image.header
    scale = np.diag([*[_UNITS_MM.get(_code(header, "xyzt_units") & 7, 1.0)] * 3, 1.0])
    notices: list[Notice] = []
    if scale[0, 0] != 1.0:
        notices.append(Notice(code="units", text=f"Lengths were turned into mm: one unit is {scale[0, 0]} mm."))
    forms = {"sform": _form(header, "sform"), "qform": _form(header, "qform")}
    usable = {name: form for name, form in forms.items() if form is not None}
    unusable = [name for name, form in forms.items() if form is None and _code(header, f"{name}_code") > 0]
    if unusable:
        text = f"The {' and '.join(unusable)} is set but singular: left aside."
        notices.append(Notice(code="singular_affine", text=text))
    if len(usable) == 2 and _apart(usable["sform"], usable["qform"], image.shape) > _DISAGREE_VOXELS:
        text = "sform and qform place the volume differently: the sform was taken."
        notices.append(Notice(code="affines_disagree", text=text))
    known = _spacing_is_stored(image)
    missing = Notice(code="no_spacing", text="The spacing is missing or not positive: 1 mm was taken.")
    for name in ("sform", "qform"):
        if name in usable:
            whole = name == "sform" or known  # the qform takes its lengths from the spacing
            return scale @ usable[name], whole, notices if whole else [*notices, missing]
    text = "The header does not say where the volume lies: spacing alone was taken, with i running to the left."
    notices.append(Notice(code="no_orientation", text=text))
    steps = np.array([float(step) for step in header["pixdim"][1:4]])
    known = known and bool(np.isfinite(steps).all() and steps.min() > 0)
    if not known:
        notices.append(missing)
        steps = np.ones(3)
    return scale @ np.diag([-steps[0], steps[1], steps[2], 1.0]), known, notices


def _code(header: Nifti1Header, name: str) -> int:
    return int(np.asarray(header[name]).item())


def _form(header: Nifti1Header, name: str) -> Float[ndarray, "4 4"] | None:
    """The matrix of a form whose code is set; None where it is not, or where the matrix is singular."""
    try:
        form = header.get_sform(coded=True)[0] if name == "sform" else header.get_qform(coded=True)[0]
        if form is None:
            return None
        form = np.asarray(form, dtype=np.float64)
        check_affine(form, name)
    except (GeometryError, ValueError, ArithmeticError, np.linalg.LinAlgError):
        return None
    return form


def _apart(one: Float[ndarray, "4 4"], other: Float[ndarray, "4 4"], shape: tuple[int, ...]) -> float:
    """Largest distance of a corner under two affines, in voxels of the finest spacing."""
    far = [size - 1 for size in (*shape, 1, 1, 1)[:3]]
    corners = np.array(np.meshgrid(*[(0, size) for size in far], indexing="ij")).reshape(3, -1)
    moved = (one - other)[:3] @ np.vstack([corners, np.ones(corners.shape[1])])
    return float(np.linalg.norm(moved, axis=0).max() / spacing_mm(one).min())


def write_nifti_bytes(values: Num[ndarray, "i j k"], voxel_to_ras: Float[ndarray, "4 4"], packed: bool) -> bytes:
    """A NIfTI-1 file in memory, in scanner space: sform and, where the axes are perpendicular, the same qform."""
    image = nibabel.Nifti1Image(values, voxel_to_ras)
    image.header.set_xyzt_units("mm")
    image.set_sform(voxel_to_ras, code="scanner")
    unit = voxel_to_ras[:3, :3] / spacing_mm(voxel_to_ras)
    straight = np.abs(unit.T @ unit - np.eye(3)).max() < 1e-4
    # A qform cannot hold a shear: readers that prefer it would see another volume.
    image.set_qform(voxel_to_ras if straight else None, code="scanner" if straight else "unknown")
    content = image.to_bytes()
    return gzip.compress(content, compresslevel=6, mtime=0) if packed else content
