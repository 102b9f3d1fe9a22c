"""The DICOM outputs by their names, as `medseg.io` writes them; each says beforehand what it cannot hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medseg.io.dicom_output import DicomWritten
from medseg.io.write_dicom_seg import write_dicom_seg
from medseg.io.write_dicom_sr import write_dicom_sr
from medseg.io.write_rtstruct import write_rtstruct
from medseg.report.output_format import OutputPlace, WrittenOutputs
from medseg.study.result import SegmentationResult
from medseg.study.study import Notice


def write_seg_file(result: SegmentationResult, place: OutputPlace) -> WrittenOutputs:
    """`segmentation.dcm`, a binary DICOM SEG."""
    return _outputs(
        write_dicom_seg(place.folder / "segmentation.dcm", result), place.folder / "segmentation.dcm", keep=True
    )


def write_labelmap_file(result: SegmentationResult, place: OutputPlace) -> WrittenOutputs:
    """`labelmap.dcm`, a DICOM SEG that stores each voxel once."""
    return _outputs(
        write_dicom_seg(place.folder / "labelmap.dcm", result, kind="labelmap"), place.folder / "labelmap.dcm"
    )


def write_rtstruct_file(result: SegmentationResult, place: OutputPlace) -> WrittenOutputs:
    """`rtstruct.dcm`, contours for radiotherapy systems."""
    return _outputs(write_rtstruct(place.folder / "rtstruct.dcm", result), place.folder / "rtstruct.dcm")


def write_sr_file(result: SegmentationResult, place: OutputPlace) -> WrittenOutputs:
    """`sr.dcm`, measurements; its groups refer to the segments of `segmentation.dcm` where that was written too."""
    written = write_dicom_sr(place.folder / "sr.dcm", result, segmentation=place.segmentation)
    return _outputs(written, place.folder / "sr.dcm")


def no_dicom(result: SegmentationResult) -> str:
    """Why there can be no DICOM output; empty where the volume came from DICOM images."""
    volume = result.volume
    if volume.source.format != "dicom":
        return f"the input came as {volume.source.format}, and DICOM outputs belong to DICOM images"
    return "the input is frames in time, without a place in the patient" if volume.space == "frames" else ""


def no_labelmap(result: SegmentationResult) -> str:
    """Why masks cannot be one label map: no DICOM images, or masks that overlap."""
    taken = np.zeros(result.volume.shape, dtype=bool)
    shared = False
    for finding in result.findings:
        shared = shared or bool((taken & finding.mask).any())
        taken |= finding.mask
    return no_dicom(result) or ("masks overlap: take dicom-seg" if shared else "")


def no_rtstruct(result: SegmentationResult) -> str:
    """Why there can be no contours: no DICOM images, or none with a place in the patient."""
    placed = result.volume.space == "patient"
    return no_dicom(result) or ("" if placed else "a picture has no place in the patient: take dicom-seg")


def no_sr(result: SegmentationResult) -> str:
    """Why there can be no measurements: no DICOM images, or no finding."""
    return no_dicom(result) or ("" if result.findings else "there is no finding to report")


def _outputs(written: DicomWritten, path: Path, *, keep: bool = False) -> WrittenOutputs:
    """What a DICOM writer did; `keep` it for those that refer to it."""
    if written.path is not None:
        return WrittenOutputs(files=(path,), notices=written.notices, segmentation=written if keep else None)
    notices = written.notices
    if path.exists():
        text = f"The folder holds an older {path.name}, not of this result. Remove it, or write elsewhere."
        notices = (*notices, Notice(code="older_files", text=text))
    return WrittenOutputs(notices=notices)
