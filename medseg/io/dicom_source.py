"""The DICOM images a volume came from, opened again for what segmentations, structure sets and reports must repeat.

Two parts are kept apart: headers with geometry and UIDs alone, which other libraries may see, and the patient's and the
study's own elements, which go straight into the written object and never into a message, a log or a hash.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from medseg.errors import InvalidInputError, StudyFileError
from medseg.io.dicom_uids import uid_of
from medseg.io.dicom_values import count_of, numbers, one_number, word
from medseg.io.parser_failures import parsing
from medseg.study.affine import LPS_TO_RAS
from medseg.study.source_geometry import SourceFile, SourceGeometry
from medseg.study.study import Notice
from medseg.study.volume import Volume

_GEOMETRY = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID",
    "PositionReferenceIndicator", "Modality", "Rows", "Columns", "NumberOfFrames", "PixelSpacing",
    "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness", "SpacingBetweenSlices",
    "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DimensionOrganizationType",
    "TotalPixelMatrixRows", "TotalPixelMatrixColumns", "TotalPixelMatrixOriginSequence", "ImageOrientationSlide",
    "TotalPixelMatrixFocalPlanes", "NumberOfOpticalPaths", "OpticalPathSequence", "ContainerIdentifier",
    "IssuerOfTheContainerIdentifierSequence", "ContainerTypeCodeSequence", "ImagedVolumeWidth", "ImagedVolumeHeight",
    "ImagedVolumeDepth", "ImageType",
)  # fmt: skip
_KEPT_GROUPS = ("PixelMeasuresSequence", "PlaneOrientationSequence", "PlanePositionSequence",
                "PlanePositionSlideSequence")  # fmt: skip
IDENTITY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize",
    "PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName", "StudyDescription", "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID", "ClinicalTrialTimePointID",
)  # fmt: skip
"""Elements of the patient and the study that an object of the same study repeats."""
_SAME_DIRECTION = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceImages:
    """Images behind a volume."""

    headers: tuple[Dataset, ...] = field(repr=False)
    """Geometry and UIDs: one per slice k, or one for a multi-frame file. They name nobody."""
    identity: Dataset = field(repr=False)
    """Elements of `IDENTITY`, as the first file has them."""
    frames: tuple[int, ...]
    """Frame of the file for each k, from 0."""
    layout: str
    """`slices`, `multi_frame`, `picture` or `slide`."""
    notices: tuple[Notice, ...] = ()
    """What had to be assumed."""

    def references(self) -> Iterator[tuple[str, str, int | None]]:
        """For each slice k: SOP class, SOP instance, and frame number from 1 (None for single-frame files)."""
        for k, frame in enumerate(self.frames):
            header = self.headers[k if len(self.headers) > 1 else 0]
            number = frame + 1 if self.layout == "multi_frame" else None
            yield str(header.SOPClassUID), str(header.SOPInstanceUID), number


def open_source_images(volume: Volume) -> SourceImages:
    """The images that `volume` came from, in the order of its source grid's slices.

    Raises:
        InvalidInputError: the volume came from no DICOM images, or from several multi-frame files.
        StudyFileError: a file is gone, has changed since it was read, or lacks the UIDs that other objects refer to.
    """
    source = volume.source
    if source.format != "dicom" or not source.files:
        raise InvalidInputError(
            f"DICOM output: expected a volume that was read from DICOM, found one of format {source.format!r}. "
            "Write its masks as NIfTI (or PNG for pictures), or read the DICOM series itself."
        )
    if volume.modality in ("SEG", "RTDOSE"):
        raise InvalidInputError(
            f"DICOM output: expected a volume of images, found modality {volume.modality}. Read the images it belongs "
            "to and bring the masks onto their grid, or write NIfTI."
        )
    opened = [_opened(file, number) for number, file in enumerate(source.files)]
    for number, header in enumerate(opened):
        _check_uids(header, source, number)
    identity = _identity(opened[0])
    slide = "TotalPixelMatrixRows" in opened[0] and len(source.slices) != source.shape[2]
    many = [header for header in opened if (count_of(header, "NumberOfFrames") or 1) > 1]
    if many and len(opened) > 1:
        raise InvalidInputError(
            f"DICOM output: expected one multi-frame file or single slices, found {len(opened)} files of which "
            f"{len(many)} hold several frames. Write NIfTI instead."
        )
    frames = tuple(one.frame for one in source.slices)
    if slide:
        return SourceImages(headers=(_geometry(opened[0]),), identity=identity, frames=(0,), layout="slide")
    if volume.space == "frames":
        raise InvalidInputError(
            f"DICOM output: expected slices with a place in the patient or one picture, found {source.shape[2]} "
            "frames in time. Segment one frame and write PNG, or write NIfTI."
        )
    if volume.space == "picture":
        return SourceImages(headers=(_picture(opened[0]),), identity=identity, frames=frames, layout="picture")
    made = "" if word(opened[0], "FrameOfReferenceUID") else uid_of("frame of reference", source.series_uid)
    notices = (_FRAME_OF_REFERENCE_MADE,) if made else ()
    if many or "PerFrameFunctionalGroupsSequence" in opened[0]:
        headers = (_multi_frame(opened[0], volume, made),)
        return SourceImages(headers=headers, identity=identity, frames=frames, layout="multi_frame", notices=notices)
    headers = tuple(_slice(opened[one.file], volume, made) for one in source.slices)
    return SourceImages(headers=headers, identity=identity, frames=frames, layout="slices", notices=notices)


_FRAME_OF_REFERENCE_MADE = Notice(
    code="frame_of_reference_made",
    text="The images name no frame of reference: one was made from the series, the same in all outputs of the series.",
)


def _opened(file: SourceFile, number: int) -> Dataset:
    with parsing(f"Source file {number + 1}", "the DICOM file that the volume was read from"):
        wanted = [*_GEOMETRY, *IDENTITY, "ImagerPixelSpacing"]
        if file.member is None:
            return dcmread(file.path, force=True, stop_before_pixels=True, specific_tags=wanted)
        with zipfile.ZipFile(file.path) as archive:
            content = io.BytesIO(archive.read(file.member))
        return dcmread(content, force=True, stop_before_pixels=True, specific_tags=wanted)


def _check_uids(header: Dataset, source: SourceGeometry, number: int) -> None:
    meta = getattr(header, "file_meta", None)
    if "SOPClassUID" not in header and meta is not None and "MediaStorageSOPClassUID" in meta:
        header.SOPClassUID = meta.MediaStorageSOPClassUID
    names = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    missing = [name for name in names if not UID(word(header, name)).is_valid]
    if missing:
        raise StudyFileError(
            f"DICOM output: expected images with UIDs that other objects can refer to, found {', '.join(missing)} "
            f"missing or malformed in source file {number + 1}. Write NIfTI instead."
        )
    read = {one.sop_instance_uid for one in source.slices if one.file == number}
    if word(header, "StudyInstanceUID") != source.study_uid and number > 0:
        raise StudyFileError(
            f"DICOM output: expected images of one study, found source file {number + 1} in another one than the "
            "first. Write NIfTI instead."
        )
    if word(header, "SOPInstanceUID") not in read or word(header, "StudyInstanceUID") != source.study_uid:
        raise StudyFileError(
            f"DICOM output: expected source file {number + 1} as it was when the volume was read, found another object "
            "there. Read the study again."
        )


def _identity(opened: Dataset) -> Dataset:
    identity = Dataset()
    for name in IDENTITY:
        value = word(opened, name)
        if value:
            setattr(identity, name, value.replace("\\", " "))
    return identity


def _geometry(opened: Dataset) -> Dataset:
    """A header of geometry and UIDs; elements of the patient that others ask for are there and empty."""
    header = Dataset()
    for name in _GEOMETRY:
        if name in opened:
            header[name] = opened[name]
    for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
                 "StudyDate", "StudyTime", "ReferringPhysicianName"):  # fmt: skip
        setattr(header, name, None)
    header.PatientName = "^"
    header.SpecificCharacterSet = "ISO_IR 192"
    return header


def _picture(opened: Dataset) -> Dataset:
    """A header without any place, since none is known."""
    header = _geometry(opened)
    for name in ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "NumberOfFrames",
                 "PositionReferenceIndicator", "PixelSpacing"):  # fmt: skip
        if name in header:
            del header[name]
    return header


def _slice(opened: Dataset, volume: Volume, frame_of_reference: str) -> Dataset:
    header = _geometry(opened)
    for name in ("NumberOfFrames", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        if name in header:
            del header[name]
    header.ImageOrientationPatient = list(directions(volume, numbers(opened, "ImageOrientationPatient", 6)))
    spacing = numbers(opened, "PixelSpacing", 2) or numbers(opened, "ImagerPixelSpacing", 2)
    header.PixelSpacing = list(spacing or (1.0, 1.0))
    header.SliceThickness = _thickness(opened, volume)
    if "SpacingBetweenSlices" in header and not (numbers(header, "SpacingBetweenSlices") or (0.0,))[0] > 0:
        del header["SpacingBetweenSlices"]
    if frame_of_reference:
        header.FrameOfReferenceUID = frame_of_reference
    return header


def _thickness(measures: Dataset, volume: Volume) -> float:
    """The slice thickness, the distance of slices where the header has none."""
    found = one_number(measures, "SliceThickness")
    if found:
        return found
    axes = volume.source.voxel_to_ras[:3, :3]
    normal = np.cross(axes[:, 0], axes[:, 1])
    return round(abs(float(axes[:, 2] @ normal)) / float(np.linalg.norm(normal)), 6)


def directions(volume: Volume, stored: tuple[float, ...] | None) -> tuple[float, ...]:
    """Directions of a row and of a column, LPS: as stored where the source grid has the same ones, else the grid's."""
    axes = (LPS_TO_RAS @ volume.source.voxel_to_ras)[:3, :2]
    wanted = (axes / np.linalg.norm(axes, axis=0)).T.ravel()
    if stored is not None and np.abs(np.subtract(stored, wanted)).max() < _SAME_DIRECTION:
        return stored
    return tuple(round(float(value), 10) for value in wanted)


def _multi_frame(opened: Dataset, volume: Volume, frame_of_reference: str) -> Dataset:
    """A multi-frame header whose shared groups hold orientation and spacing, wherever the file keeps them."""
    header = _geometry(opened)
    own = opened.get("PerFrameFunctionalGroupsSequence") or []
    if not own:
        raise InvalidInputError(
            f"DICOM output: expected frames that are described one by one, found a multi-frame file of modality "
            f"{volume.modality} without such groups. Write NIfTI instead."
        )
    shared = (opened.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    first = own[volume.source.slices[0].frame]
    kept = Dataset()
    for name in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
        for group in (shared, first):
            if group.get(name):
                kept[name] = group[name]
                break
    if "PixelMeasuresSequence" in kept:
        measures = deepcopy(kept.PixelMeasuresSequence[0])
        measures.SliceThickness = _thickness(measures, volume)
        kept.PixelMeasuresSequence = [measures]
    stored = None
    if "PlaneOrientationSequence" in kept:
        stored = numbers(kept.PlaneOrientationSequence[0], "ImageOrientationPatient", 6)
    plane = Dataset()
    plane.ImageOrientationPatient = list(directions(volume, stored))
    kept.PlaneOrientationSequence = [plane]
    header.SharedFunctionalGroupsSequence = [kept]
    header.PerFrameFunctionalGroupsSequence = [_small_group(group, shared) for group in own]
    if frame_of_reference:
        header.FrameOfReferenceUID = frame_of_reference
    return header


def _small_group(group: Dataset, shared: Dataset) -> Dataset:
    small = Dataset()
    for name in _KEPT_GROUPS[2:]:
        holder = group if group.get(name) else shared
        if holder.get(name):
            small[name] = holder[name]
    return small
