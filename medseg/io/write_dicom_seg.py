"""`write_dicom_seg`: findings as a DICOM segmentation, on exactly the frames of the images they were found in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import highdicom as hd
import numpy as np
from jaxtyping import Bool, Integer
from numpy import ndarray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from medseg.errors import InvalidInputError
from medseg.io.dicom_output import (
    MANUFACTURER,
    MODEL_NAME,
    RESEARCH_TEXT,
    DicomOptions,
    DicomWritten,
    Material,
    as_written,
    building,
    finish,
    fix_dimension_uid,
    material,
    moment,
    nothing_found,
    save,
    short_text,
    software_version,
)
from medseg.io.dicom_source import SourceImages, open_source_images
from medseg.io.dicom_uids import uid_of
from medseg.io.dicom_values import numbers
from medseg.io.segment_codes import segment_code
from medseg.io.segment_colours import as_cielab
from medseg.study.finding import Finding
from medseg.study.finding_colours import finding_colour
from medseg.study.result import SegmentationResult
from medseg.study.volume import Volume

Kind = Literal["binary", "labelmap"]
_SAME_PLACE_MM = 1e-3


def write_dicom_seg(
    path: Path,
    result: SegmentationResult | Sequence[Finding],
    volume: Volume | None = None,
    *,
    kind: Kind = "binary",
    options: DicomOptions | None = None,
) -> DicomWritten:
    """Findings as one DICOM SEG file in the study of their images; what was written and what was left out.

    Frames carry the places of the source images themselves: oblique, tilted and incomplete series need no resampling.
    Slices without a voxel of a segment hold no frame. `binary` segments may overlap; `labelmap` stores each voxel once,
    smaller, and fewer viewers read it. Findings that are not there become no segment: a notice names each of them, and
    where none is there no file is written. An older file of that name then stays as it is.

    `volume` is what the findings are about; it may be left out where `result` holds it. Colour and codes of a segment
    come from `finding_colours` and `segment_codes`. Research use only, not a medical device.

    Raises:
        InvalidInputError: the volume came from no DICOM images, or from a kind that has no DICOM SEG; findings of a
            `labelmap` overlap.
        StudyFileError: the images are gone or have changed.

    Source: DICOM PS3.3 A.51 and C.8.20, written by highdicom.
    """
    chosen = options or DicomOptions()
    found = material(result, volume, "segment")
    images = open_source_images(found.volume)
    if not found.kept:
        return nothing_found(found, "DICOM SEG")
    content = found.content(chosen, "SEG", kind)
    pixels = _pixels(found, kind)
    made = moment(chosen)
    descriptions = [_description(found, place, number) for number, place in enumerate(found.kept, 1)]
    with building("DICOM SEG"):
        written = _segmentation(images, pixels, descriptions, kind, chosen, content)
    _name_frames(written, images)
    fix_dimension_uid(written, *content)
    finish(written, images, chosen, made)
    save(path, written)
    return as_written(path, written, found, images.notices)


def _pixels(found: Material, kind: Kind) -> Integer[ndarray, "plane row column"] | Bool[ndarray, "plane row column s"]:
    """Numbers of segments, or one layer per segment where they overlap."""
    masks = [mask for mask in found.masks if mask is not None]
    labels = np.zeros(masks[0].shape, dtype=np.uint8 if len(masks) < 256 else np.uint16)
    shared = 0
    for number, mask in enumerate(masks, 1):
        shared += int((labels[mask] > 0).sum())
        labels[mask] = number
    if shared and kind == "labelmap":
        names = ", ".join(repr(found.findings[place].label) for place in found.kept)
        raise InvalidInputError(
            f"DICOM SEG: expected a labelmap of findings that do not overlap, found {shared} shared voxels among "
            f'{names}. Write kind="binary".'
        )
    if not shared:
        return np.ascontiguousarray(labels.transpose(2, 1, 0))
    return np.stack([mask.transpose(2, 1, 0) for mask in masks], axis=-1)


def _segmentation(
    images: SourceImages,
    pixels: ndarray,
    descriptions: Sequence[hd.seg.SegmentDescription],
    kind: Kind,
    options: DicomOptions,
    content: tuple[str, ...],
) -> hd.seg.Segmentation:
    return hd.seg.Segmentation(
        source_images=list(images.headers),
        pixel_array=pixels,
        segmentation_type=kind.upper(),
        segment_descriptions=descriptions,
        series_instance_uid=uid_of("series", *content),
        series_number=options.series_number,
        sop_instance_uid=uid_of(*content),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        software_versions=software_version(),
        device_serial_number="none",
        content_description=RESEARCH_TEXT,
        content_label="MEDSEG",
        plane_positions=_places(images),
        tile_pixel_array=images.layout == "slide",
        specific_character_set="ISO_IR 192",
    )


def _places(images: SourceImages) -> list[hd.PlanePositionSequence] | None:
    """Places of frames where they are not all frames of the file in their order."""
    if images.layout != "multi_frame":
        return None
    groups = images.headers[0].PerFrameFunctionalGroupsSequence
    if images.frames == tuple(range(len(groups))):
        return None
    return [hd.PlanePositionSequence("PATIENT", _place(groups[frame])) for frame in images.frames]


def _place(group: Dataset) -> tuple[float, ...]:
    return numbers(group.PlanePositionSequence[0], "ImagePositionPatient", 3) or (0.0, 0.0, 0.0)


def _name_frames(written: Dataset, images: SourceImages) -> None:
    """Let each frame refer to the frame it was found in, where several of the source file lie in its place."""
    if images.layout != "multi_frame":
        return
    groups = images.headers[0].PerFrameFunctionalGroupsSequence
    places = np.array([_place(groups[frame]) for frame in images.frames])
    for group in written.PerFrameFunctionalGroupsSequence:
        apart = np.linalg.norm(places - _place(group), axis=1)
        for derivation in group.get("DerivationImageSequence") or ():
            for item in derivation.SourceImageSequence:
                if apart.min() < _SAME_PLACE_MM:
                    item.ReferencedFrameNumber = images.frames[int(apart.argmin())] + 1


def _description(found: Material, place: int, number: int) -> hd.seg.SegmentDescription:
    finding, algorithm = found.findings[place], found.algorithm
    coded = segment_code(finding.label)
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=short_text(finding.label) or f"segment {number}",
        segmented_property_category=coded.category,
        segmented_property_type=coded.kind,
        algorithm_type="AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=algorithm.name,
            family=codes.DCM.ArtificialIntelligence,
            version=algorithm.short_version,
            source=MANUFACTURER,
        ),
        anatomic_regions=None if coded.organ is None else [coded.organ],
        tracking_uid=uid_of("tracking", found.volume.source.series_uid, str(place), finding.label),
        tracking_id=short_text(finding.label) or f"segment {number}",
        display_color=as_cielab(finding_colour(place + 1).rgb),
    )
    if coded.side is not None:
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [_item(coded.side)]
    description.SegmentDescription = short_text(
        f"{finding.label}: {finding.status}, presence {finding.presence:.2f}. {RESEARCH_TEXT}", 1024
    )
    return description


def _item(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item
