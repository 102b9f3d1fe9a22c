"""What the header of a DICOM file says of its image: `DicomHead` and one `FrameHead` per frame.

Only the tags listed here are read: names, dates and the other tags of a patient stay in the file, but for a comparison:
texts that hold a word of a name are dropped (`dicom_privacy`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from medseg.errors import StudyFileError
from medseg.io.dicom_privacy import (
    NAME_TAGS,
    PHOTOMETRICS,
    harmless,
    harmless_code,
    known_modality,
    names_in,
    sayable_uid,
)  # fmt: skip
from medseg.io.dicom_suv import SUV_TAGS, suv_factor
from medseg.io.dicom_values import count_of, numbers, one_number, word
from medseg.io.found_files import FoundFile
from medseg.io.parser_failures import parsing

Layout = Literal["patient", "slide", "frames", "picture"]

_FILE_TAGS = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality",
    "BodyPartExamined", "PhotometricInterpretation", "SamplesPerPixel", "Rows", "Columns", "NumberOfFrames",
    "BitsAllocated", "BitsStored", "PixelRepresentation", "Units", "DoseUnits", "DoseGridScaling", "RescaleType",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "GridFrameOffsetVector",
    "TotalPixelMatrixRows", "TotalPixelMatrixColumns", "DimensionOrganizationType", "ImagerPixelSpacing",
    "SpacingBetweenSlices", "SliceThickness", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient",
    "RescaleSlope", "RescaleIntercept", "SeriesDescription", "BurnedInAnnotation", "RecognizableVisualFeatures",
    *NAME_TAGS,
)  # fmt: skip
_SPLIT_TAGS = (
    "TemporalPositionIdentifier", "TemporalPositionIndex", "StackID", "EchoNumbers", "EchoTime", "EffectiveEchoTime",
    "DiffusionBValue", "TriggerTime", "AcquisitionNumber", "FrameAcquisitionNumber", "ImageType", "FrameType",
    "AcquisitionTime", "ContentTime",
)  # fmt: skip
"""What may tell two slices of one place apart, the likeliest first."""
_TAGS = (*_FILE_TAGS, *_SPLIT_TAGS, *SUV_TAGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameHead:
    """One frame: where it lies and what its numbers mean."""

    file: int
    """Number of its file in the input."""
    frame: int
    """Number inside the file, from 0."""
    position: tuple[float, ...] | None = None
    """Centre of the first pixel, LPS mm."""
    orientation: tuple[float, ...] | None = None
    """Directions of increasing column and of increasing row, LPS."""
    spacing: tuple[float, ...] | None = None
    """Distance of rows, then of columns, mm."""
    depth: float | None = None
    """Distance to the next slice as the header claims, else the slice's thickness, mm."""
    slope: float = 1.0
    """Stored values are multiplied by it."""
    intercept: float = 0.0
    """And this is added."""
    segment: int = 0
    """Segment of a segmentation, or optical path of a slide; 0 for other images."""
    tile: tuple[int, int] | None = None
    """Row and column of the first pixel in a slide, from 0."""
    splits: tuple[str, ...] = field(default=(), repr=False)
    """Values of `_SPLIT_TAGS`, empty where missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomHead:
    """One file."""

    found: FoundFile
    """The file."""
    frames: tuple[FrameHead, ...]
    """Its frames, in stored order."""
    layout: Layout
    """Whether frames lie in a patient, on a slide, in time, or nowhere."""
    rows: int
    """Height of a frame."""
    columns: int
    """Width of a frame."""
    bytes_each: int
    """Bytes of a stored pixel, all channels."""
    modality: str
    """DICOM's word."""
    photometric: str
    """As MONOCHROME2 or RGB."""
    samples: int
    """Channels as stored."""
    unit: str
    """As in `Volume.unit`."""
    body_part: str = ""
    """DICOM's BodyPartExamined."""
    sop_uid: str = ""
    """Of the file."""
    series_uid: str = ""
    """Of its series."""
    study_uid: str = ""
    """Of its study."""
    frame_of_reference_uid: str = ""
    """Of its frame of reference."""
    slide_size: tuple[int, int] = (0, 0)
    """Rows and columns of a slide put together."""
    description: str = field(default="", repr=False)
    """Free text, without any word of the patient's name."""
    burned_in: str = ""
    """Why its pixels may show a name or a face, as words of ours; empty where nothing points to it."""
    frames_described: int = 1
    """Frames the header describes one by one; other than those it counts where it contradicts itself."""


def read_head(found: FoundFile, number: int) -> DicomHead:
    """The header of a file; `number` is its place in the input.

    Raises:
        StudyFileError: no DICOM, no image, or a header that contradicts itself.
    """
    with parsing(found.name, "a DICOM image"):
        header = dcmread(found.path, force=True, stop_before_pixels=True, specific_tags=[*_TAGS])
        rows, columns = count_of(header, "Rows"), count_of(header, "Columns")
        if not rows or not columns:
            raise StudyFileError(
                f"{found.name}: expected a DICOM image, found an object without one (modality "
                f"{known_modality(word(header, 'Modality')) or 'unknown'}). Give the images themselves."
            )
        return _head(header, found, number, (rows, columns))


def _head(header: Dataset, found: FoundFile, number: int, size: tuple[int, int]) -> DicomHead:
    frames = _frames(header, number, size)
    samples = count_of(header, "SamplesPerPixel") or 1
    modality = known_modality(word(header, "Modality")) or "unknown"
    photometric = word(header, "PhotometricInterpretation") or "MONOCHROME2"
    names = names_in(header)
    unit = _unit(header, modality, samples)
    uptake = suv_factor(header) if unit == "Bq/ml" else None
    if uptake is not None:
        unit = "SUV"
        frames = tuple(
            replace(frame, slope=frame.slope * uptake, intercept=frame.intercept * uptake) for frame in frames
        )
    return DicomHead(
        found=found,
        frames=frames,
        layout=_layout(frames),
        rows=size[0],
        columns=size[1],
        bytes_each=samples * max(1, (count_of(header, "BitsAllocated") or 8) // 8),
        modality=modality,
        photometric=photometric if photometric in PHOTOMETRICS else "unknown",
        samples=samples,
        unit=unit,
        body_part=harmless_code(word(header, "BodyPartExamined"), names),
        sop_uid=sayable_uid(word(header, "SOPInstanceUID")),
        series_uid=sayable_uid(word(header, "SeriesInstanceUID")),
        study_uid=sayable_uid(word(header, "StudyInstanceUID")),
        frame_of_reference_uid=sayable_uid(word(header, "FrameOfReferenceUID")),
        slide_size=(count_of(header, "TotalPixelMatrixRows") or 0, count_of(header, "TotalPixelMatrixColumns") or 0),
        description=harmless(word(header, "SeriesDescription"), names),
        burned_in=_burned_in(header, modality),
        frames_described=len(header.get("PerFrameFunctionalGroupsSequence") or []) or len(frames),
    )


def _layout(frames: tuple[FrameHead, ...]) -> Layout:
    if all(frame.tile is not None for frame in frames):
        return "slide"
    if all(frame.position and frame.orientation and frame.spacing for frame in frames):
        return "patient"
    return "frames" if len(frames) > 1 else "picture"


def _frames(header: Dataset, number: int, size: tuple[int, int]) -> tuple[FrameHead, ...]:
    shared = (header.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    # A NumberOfFrames that is missing or no number counts as one frame, as viewers take it; decoding tells otherwise.
    count = count_of(header, "NumberOfFrames") or 1
    offsets = numbers(header, "GridFrameOffsetVector")
    tiled = (count_of(header, "TotalPixelMatrixRows") or 0, count_of(header, "TotalPixelMatrixColumns") or 0)
    found = []
    for index in range(count):
        groups = [own[index]] if index < len(own) else []
        frame = _frame(header, [*groups, shared], number, index)
        if offsets and len(offsets) == count and frame["position"] and frame["orientation"]:
            # Offsets begin at 0 or at the first place; either way their differences are meant.
            frame["position"] = _moved(frame["position"], frame["orientation"], offsets[index] - offsets[0])
        if tiled[0] and frame["tile"] is None and not own:
            frame["segment"], frame["tile"] = _full_tile(index, size, tiled)
        found.append(FrameHead(**frame))
    return tuple(found)


def _frame(header: Dataset, groups: list[Dataset], number: int, index: int) -> dict:
    """Fields of a frame: from its own functional groups, the shared ones, or the plain header."""

    def place(sequence: str) -> Dataset:
        for group in groups:
            items = group.get(sequence)
            if items:
                return items[0]
        return header

    measures, values = place("PixelMeasuresSequence"), place("PixelValueTransformationSequence")
    scaling = one_number(header, "DoseGridScaling")
    spot = place("PlanePositionSlideSequence")
    row, column = (
        count_of(spot, "RowPositionInTotalImagePixelMatrix"),
        count_of(spot, "ColumnPositionInTotalImagePixelMatrix"),
    )
    slope, intercept = one_number(values, "RescaleSlope"), one_number(values, "RescaleIntercept")
    return {
        "file": number,
        "frame": index,
        "position": numbers(place("PlanePositionSequence"), "ImagePositionPatient", 3),
        "orientation": numbers(place("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        "spacing": numbers(measures, "PixelSpacing", 2) or numbers(header, "ImagerPixelSpacing", 2),
        "depth": one_number(measures, "SpacingBetweenSlices") or one_number(measures, "SliceThickness"),
        "slope": scaling or (1.0 if slope is None else slope),
        "intercept": intercept or 0.0,
        "segment": count_of(place("SegmentIdentificationSequence"), "ReferencedSegmentNumber") or 0,
        "tile": (row - 1, column - 1) if row and column else None,
        "splits": tuple(_split_value(tag, header, groups) for tag in _SPLIT_TAGS),
    }


def _split_value(tag: str, header: Dataset, groups: list[Dataset]) -> str:
    for group in groups:
        for items in group:
            if items.VR == "SQ" and items.value and tag in items.value[0]:
                return word(items.value[0], tag)
    return word(header, tag)


def _full_tile(index: int, size: tuple[int, int], slide: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """Channel (from 1) and place of a frame of a slide whose tiles are stored row by row, channel by channel."""
    down, across = -(-slide[0] // size[0]), -(-slide[1] // size[1])
    channel, tile = divmod(index, down * across)
    return channel + 1, (tile // across * size[0], tile % across * size[1])


def _moved(position: tuple[float, ...], orientation: tuple[float, ...], offset: float) -> tuple[float, ...]:
    normal = np.cross(orientation[:3], orientation[3:])
    return tuple(float(value) for value in np.asarray(position) + offset * normal)


def _unit(header: Dataset, modality: str, samples: int) -> str:
    shared = (header.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    kind = word((shared.get("PixelValueTransformationSequence") or [header])[0], "RescaleType")
    # Scanners leave the type out; a type that is spelt out and is no HU is believed.
    if modality == "CT" and kind in ("", "HU") and "LOCALIZER" not in word(header, "ImageType"):
        return "HU"
    if modality == "RTDOSE":
        return "Gy" if word(header, "DoseUnits") == "GY" else "unknown"
    if modality == "PT":
        return "Bq/ml" if word(header, "Units") == "BQML" else "unknown"
    if samples > 1 or ((count_of(header, "BitsStored") or 16) == 8 and modality != "SEG"):
        return "8 bit" if (count_of(header, "BitsAllocated") or 8) == 8 else "16 bit"
    return "unknown"


def _burned_in(header: Dataset, modality: str) -> str:
    if word(header, "RecognizableVisualFeatures").upper() == "YES":
        return "the header says that the patient can be recognised in it"
    said = word(header, "BurnedInAnnotation").upper()
    if said == "YES":
        return "the header says that text is burned into the pixels"
    kind = _TEXT_IN_PIXELS.get(word(header, "SOPClassUID").removeprefix("1.2.840.10008.5.1.4.1.1."))
    if said == "NO" or not (kind or modality in _OFTEN_WITH_TEXT):
        return ""
    return (
        f"{kind or _OFTEN_WITH_TEXT[modality]} often have text burned into the pixels, and the header does not deny it"
    )


_OFTEN_WITH_TEXT = {
    "US": "ultrasound images", "IVUS": "ultrasound images", "OT": "secondary captures", "XC": "photographs",
    "ES": "endoscopy images", "DOC": "scanned documents",
}  # fmt: skip
_TEXT_IN_PIXELS: dict[str, str] = {end: "secondary captures" for end in ("7", "7.1", "7.2", "7.3", "7.4")}
"""Ends of SOP class UIDs."""
SPLIT_NAMES = tuple(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", tag).lower() for tag in _SPLIT_TAGS)
"""Words for `FrameHead.splits`."""
