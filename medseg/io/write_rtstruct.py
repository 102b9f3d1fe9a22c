"""`write_rtstruct`: findings as an RT Structure Set, contours in the planes of the images they were found in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ImplicitVRLittleEndian, RTStructureSetStorage

from medseg.errors import InvalidInputError
from medseg.io.contours import mask_contours
from medseg.io.dicom_output import (
    MANUFACTURER,
    MODEL_NAME,
    RESEARCH_TEXT,
    DicomOptions,
    DicomWritten,
    Material,
    as_written,
    finish,
    material,
    moment,
    nothing_found,
    save,
    short_text,
    software_version,
)
from medseg.io.dicom_source import SourceImages, open_source_images
from medseg.io.dicom_uids import uid_of
from medseg.io.segment_codes import segment_code
from medseg.study.affine import LPS_TO_RAS
from medseg.study.finding import Finding
from medseg.study.finding_colours import finding_colour
from medseg.study.result import SegmentationResult
from medseg.study.volume import Volume

_DECIMALS = 6
"""Of contour coordinates, mm: sixteen characters hold them up to ten metres from the origin."""
_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"


def write_rtstruct(
    path: Path,
    result: SegmentationResult | Sequence[Finding],
    volume: Volume | None = None,
    *,
    options: DicomOptions | None = None,
) -> DicomWritten:
    """Findings as one RT Structure Set in the study of their images; what was written and what was left out.

    Contours follow the edges of voxels, so their area is the mask's own, and filling them gives the same mask. Holes
    are joined to the contour around them by a channel of no width (the keyhole technique of the standard); every
    contour is CLOSED_PLANAR and refers to its image. Planes are those of the source, oblique and tilted ones too.
    Findings that are not there become no region: a notice names each, and where none is there no file is written; an
    older file of that name then stays as it is. Research use only, not a medical device.

    Raises:
        InvalidInputError: the volume came from no DICOM images, or has no place in the patient.
        StudyFileError: the images are gone or have changed.

    Source: DICOM PS3.3 A.19, C.8.8.5 and C.8.8.6.
    """
    chosen = options or DicomOptions()
    found = material(result, volume, "region")
    images = open_source_images(found.volume)
    if images.layout not in ("slices", "multi_frame"):
        raise InvalidInputError(
            "RTSTRUCT: expected slices with a place in the patient, found a picture without one. "
            "Write DICOM SEG or PNG."
        )
    if not found.kept:
        return nothing_found(found, "RTSTRUCT")
    content = found.content(chosen, "RTSTRUCT")
    made = moment(chosen)
    written = _header(images, content, chosen)
    written.StructureSetDate, written.StructureSetTime = made.strftime("%Y%m%d"), made.strftime("%H%M%S")
    written.ReferencedFrameOfReferenceSequence = [_frame_of_reference(images)]
    written.StructureSetROISequence = [_region(found, place, number, images) for number, place in _numbered(found)]
    references = list(images.references())
    written.ROIContourSequence = [
        _contours(mask, number, place, found.volume, references)
        for number, place in _numbered(found)
        if (mask := found.masks[place]) is not None
    ]
    written.RTROIObservationsSequence = [_observation(found, place, number) for number, place in _numbered(found)]
    written.ApprovalStatus = "UNAPPROVED"
    finish(written, images, chosen, made)
    save(path, written)
    return as_written(path, written, found, images.notices)


def _numbered(found: Material) -> list[tuple[int, int]]:
    return list(enumerate(found.kept, 1))


def _header(images: SourceImages, content: tuple[str, ...], options: DicomOptions) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    # Explicit VR has no room for contours of more than 64 kB, about 2,000 points.
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = UID(uid_of(*content))
    made.StudyInstanceUID = images.headers[0].StudyInstanceUID
    made.SeriesInstanceUID = uid_of("series", *content)
    made.FrameOfReferenceUID = images.headers[0].FrameOfReferenceUID
    made.PositionReferenceIndicator = images.headers[0].get("PositionReferenceIndicator")
    made.Modality, made.SeriesNumber, made.InstanceNumber = "RTSTRUCT", options.series_number, 1
    made.OperatorsName = None
    made.Manufacturer, made.ManufacturerModelName = MANUFACTURER, MODEL_NAME
    made.SoftwareVersions = software_version()
    made.StructureSetLabel = "MEDSEG"
    made.StructureSetName = "medseg"
    made.StructureSetDescription = RESEARCH_TEXT
    return made


def _frame_of_reference(images: SourceImages) -> Dataset:
    pictures = []
    for number, header in enumerate(images.headers):
        frames = [frame + 1 for frame in images.frames] if images.layout == "multi_frame" else None
        pictures.append(_image(str(header.SOPClassUID), str(header.SOPInstanceUID), frames if number == 0 else None))
    first = images.headers[0]
    series = Dataset()
    series.SeriesInstanceUID, series.ContourImageSequence = first.SeriesInstanceUID, pictures
    study = Dataset()
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = _STUDY_CLASS, first.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    reference = Dataset()
    reference.FrameOfReferenceUID, reference.RTReferencedStudySequence = first.FrameOfReferenceUID, [study]
    return reference


def _image(sop_class: str, sop_instance: str, frames: list[int] | None = None) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = sop_class, sop_instance
    if frames is not None:
        image.ReferencedFrameNumber = frames if len(frames) > 1 else frames[0]
    return image


def _region(found: Material, place: int, number: int, images: SourceImages) -> Dataset:
    finding, algorithm = found.findings[place], found.algorithm
    region = Dataset()
    region.ROINumber = number
    region.ReferencedFrameOfReferenceUID = images.headers[0].FrameOfReferenceUID
    region.ROIName = short_text(finding.label) or f"region {number}"
    region.ROIDescription = short_text(
        f"{finding.label}: {finding.status}, presence {finding.presence:.2f}. {RESEARCH_TEXT}", 1024
    )
    region.ROIGenerationAlgorithm = "AUTOMATIC"
    region.ROIGenerationDescription = short_text(f"{algorithm.name} {algorithm.version}")
    return region


def _observation(found: Material, place: int, number: int) -> Dataset:
    coded = segment_code(found.findings[place].label)
    observation, item = Dataset(), Dataset()
    observation.ObservationNumber = observation.ReferencedROINumber = number
    item.CodeValue, item.CodingSchemeDesignator = coded.kind.value, coded.kind.scheme_designator
    item.CodeMeaning = coded.kind.meaning
    observation.RTROIIdentificationCodeSequence = [item]
    observation.RTROIInterpretedType, observation.ROIInterpreter = "", ""
    return observation


def _contours(
    mask: Bool[ndarray, "a b c"],
    number: int,
    place: int,
    volume: Volume,
    references: list[tuple[str, str, int | None]],
) -> Dataset:
    index_to_lps = LPS_TO_RAS @ volume.source.voxel_to_ras
    drawn = []
    for k in np.flatnonzero(mask.any(axis=(0, 1))):
        sop_class, sop_instance, frame = references[k]
        for polygon in mask_contours(mask[:, :, k].T):
            contour = Dataset()
            contour.ContourImageSequence = [_image(sop_class, sop_instance, None if frame is None else [frame])]
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(polygon)
            contour.ContourNumber = len(drawn) + 1
            contour.ContourData = _written_points(polygon, float(k), index_to_lps)
            drawn.append(contour)
    region = Dataset()
    region.ReferencedROINumber = number
    region.ROIDisplayColor = list(finding_colour(place + 1).rgb)
    region.ContourSequence = drawn
    return region


def _written_points(polygon: Float[ndarray, "point 2"], k: float, index_to_lps: Float[ndarray, "4 4"]) -> list[str]:
    indices = np.concatenate([polygon, np.full((len(polygon), 1), k)], axis=1)
    places = indices @ index_to_lps[:3, :3].T + index_to_lps[:3, 3]
    return [f"{value:.{_DECIMALS}f}" if abs(value) < 1e8 else f"{value:.8e}" for value in places.ravel()]
