"""`write_dicom_sr`: what was measured, as a DICOM structured report (TID 1500) in the study of the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from highdicom import sr
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
    building,
    finish,
    material,
    moment,
    save,
    short_text,
    software_version,
)
from medseg.io.dicom_source import SourceImages, open_source_images
from medseg.io.dicom_uids import uid_of
from medseg.io.segment_codes import SegmentCode, segment_code
from medseg.io.sr_measurements import measurements_of
from medseg.study.finding import Finding
from medseg.study.result import SegmentationResult
from medseg.study.study import Notice
from medseg.study.volume import Volume

_PROCEDURES = {
    "CT": Code("77477000", "SCT", "Computed tomography"),
    "MR": Code("113091000", "SCT", "Magnetic resonance imaging"),
    "PT": Code("82918005", "SCT", "Positron emission tomography"),
    "US": Code("16310003", "SCT", "Ultrasonography"),
    "CR": Code("168537006", "SCT", "Plain radiography"),
    "DX": Code("168537006", "SCT", "Plain radiography"),
}
_ANY_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
_PRESENCE = {
    "found": codes.SCT.Present,
    "uncertain": codes.DCM.PresenceUndetermined,
    "not_found": codes.SCT.Absent,
}
_NOT_FOUND_TEXT = "not found"


def write_dicom_sr(
    path: Path,
    result: SegmentationResult | Sequence[Finding],
    volume: Volume | None = None,
    *,
    segmentation: DicomWritten | None = None,
    options: DicomOptions | None = None,
) -> DicomWritten:
    """A measurement report with one group per finding, those that were not found too.

    A group holds the coded finding, whether it is present, absent or undetermined, its probability, and what was
    measured: volume (ml), area of the largest slice (mm², pixels where spacing is unknown), long and short axis (mm),
    mean intensity. Give the `segmentation` that `write_dicom_seg` returned, and each group refers to its segment.
    Findings that were not measured have a group without numbers and a notice. The report is complete, not verified,
    preliminary, and says "Research use only. Not a medical device."

    Raises:
        InvalidInputError: no finding at all, a volume that came from no DICOM images, or a segmentation of others.
        StudyFileError: the images are gone or have changed.

    Source: DICOM PS3.16 TID 1500, 1410, 1411 and 1501, written by highdicom.
    """
    chosen = options or DicomOptions()
    found = material(result, volume, "measurement")
    if not found.findings:
        raise InvalidInputError("DICOM SR: expected at least one finding, found none. Ask for a structure first.")
    if segmentation is not None and len(segmentation.numbers) != len(found.findings):
        raise InvalidInputError(
            f"DICOM SR: expected the segmentation of these {len(found.findings)} findings, found one of "
            f"{len(segmentation.numbers)}. Write it from the same result."
        )
    images = open_source_images(found.volume)
    refers_to = segmentation.sop_instance_uid if segmentation is not None else ""
    measured = [repr(finding.quantities) for finding in found.findings]
    content = found.content(chosen, "SR", refers_to, *measured, *found.warnings)
    made = moment(chosen)
    with building("DICOM SR"):
        written = _report(found, images, segmentation, chosen, content)
    _say_in_words(written, found)
    written.ContentQualification = "RESEARCH"
    finish(written, images, chosen, made)
    _set_time(written, made.strftime("%Y%m%d%H%M%S"))
    save(path, written)
    return DicomWritten(
        path=path,
        sop_class_uid=str(written.SOPClassUID),
        sop_instance_uid=str(written.SOPInstanceUID),
        series_instance_uid=str(written.SeriesInstanceUID),
        numbers=tuple(range(1, len(found.findings) + 1)),
        notices=(*images.notices, *_not_measured(found)),
    )


def _report(
    found: Material,
    images: SourceImages,
    segmentation: DicomWritten | None,
    options: DicomOptions,
    content: tuple[str, ...],
) -> sr.ComprehensiveSR:
    evidence = list(images.headers)
    if segmentation is not None and segmentation.path is not None:
        evidence.append(_as_evidence(segmentation, images))
    report = sr.MeasurementReport(
        observation_context=_observer(found),
        procedure_reported=_PROCEDURES.get(found.volume.modality, _ANY_PROCEDURE),
        imaging_measurements=[_group(found, images, place, segmentation) for place in range(len(found.findings))],
        title=codes.DCM.ImagingMeasurementReport,
    )
    return sr.ComprehensiveSR(
        evidence=evidence,
        content=report[0],
        series_instance_uid=uid_of("series", *content),
        series_number=options.series_number,
        sop_instance_uid=uid_of(*content),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        software_versions=software_version(),
        is_complete=True,
        specific_character_set="ISO_IR 192",
    )


def _observer(found: Material) -> sr.ObservationContext:
    algorithm = found.algorithm
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=uid_of("device", algorithm.name, algorithm.version),
        name=algorithm.name,
        manufacturer_name=MANUFACTURER,
        model_name=MODEL_NAME,
    )
    observer = sr.ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    return sr.ObservationContext(observer_device_context=observer)


def _group(
    found: Material, images: SourceImages, place: int, segmentation: DicomWritten | None
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations | sr.MeasurementsAndQualitativeEvaluations:
    finding, algorithm = found.findings[place], found.algorithm
    coded = segment_code(finding.label)
    shared = {
        "tracking_identifier": sr.TrackingIdentifier(
            uid=uid_of("tracking", found.volume.source.series_uid, str(place), finding.label),
            identifier=short_text(finding.label) or f"finding {place + 1}",
        ),
        "finding_category": coded.category,
        "finding_type": coded.kind,
        "finding_sites": _sites(coded),
        "algorithm_id": sr.AlgorithmIdentification(
            name=algorithm.name, version=algorithm.short_version, parameters=list(algorithm.parameters) or None
        ),
        "measurements": measurements_of(finding, found.volume),
        "qualitative_evaluations": [
            sr.QualitativeEvaluation(name=codes.DCM.PresenceOfProperty, value=_PRESENCE[finding.status])
        ],
    }
    number = segmentation.numbers[place] if segmentation is not None else None
    if segmentation is None or number is None:
        return sr.MeasurementsAndQualitativeEvaluations(source_images=_sources(images), **shared)
    segment = sr.ReferencedSegment(
        sop_class_uid=segmentation.sop_class_uid,
        sop_instance_uid=segmentation.sop_instance_uid,
        segment_number=number,
        source_series=sr.SourceSeriesForSegmentation(str(images.headers[0].SeriesInstanceUID)),
    )
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **shared)


def _sites(coded: SegmentCode) -> list[sr.FindingSite] | None:
    """Where the finding is, where the phrase says more than its code does."""
    if coded.organ is None and coded.side is None:
        return None
    return [sr.FindingSite(anatomic_location=coded.organ or coded.kind, laterality=coded.side)]


def _sources(images: SourceImages) -> list[sr.SourceImageForMeasurementGroup] | None:
    """The images of a picture or a single file; of a long series none, since a group would repeat them all."""
    header, *more = images.headers
    if more:
        return None
    return [
        sr.SourceImageForMeasurementGroup(
            referenced_sop_class_uid=str(header.SOPClassUID), referenced_sop_instance_uid=str(header.SOPInstanceUID)
        )
    ]


def _as_evidence(segmentation: DicomWritten, images: SourceImages) -> Dataset:
    evidence = Dataset()
    evidence.StudyInstanceUID = images.headers[0].StudyInstanceUID
    evidence.SeriesInstanceUID = segmentation.series_instance_uid
    evidence.SOPClassUID, evidence.SOPInstanceUID = segmentation.sop_class_uid, segmentation.sop_instance_uid
    return evidence


def _say_in_words(written: Dataset, found: Material) -> None:
    """Comments at the end of the report: what it may be used for, what was not found, what to know."""
    lost = [finding.label for finding in found.findings if finding.status == "not_found"]
    texts = [RESEARCH_TEXT, *(f"{label}: {_NOT_FOUND_TEXT}" for label in lost), *found.warnings]
    for text in texts:
        written["ContentSequence"].value.append(
            sr.TextContentItem(
                name=codes.DCM.Comment,
                value=short_text(text, 1024),
                relationship_type=sr.RelationshipTypeValues.CONTAINS,
            )
        )


def _not_measured(found: Material) -> list[Notice]:
    names = [repr(found.findings[place].label) for place in found.kept if found.findings[place].quantities is None]
    if not names:
        return []
    text = f"Nothing was measured of {', '.join(names)}: the report has no numbers of it."
    return [Notice(code="not_measured", text=text)]


def _set_time(written: Dataset, when: str) -> None:
    """Give content items that hold a time of their own the time of making."""
    for element in written:
        if element.VR == "SQ":
            for item in element.value or ():
                _set_time(item, when)
        elif element.keyword == "ObservationDateTime":
            element.value = when
