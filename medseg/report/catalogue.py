"""Every output by its name, and `write_outputs`, which writes those that are asked for.

File names follow from the result alone: `overlay.png`, `result.json`, `findings.csv`, `report.html`,
`segmentation.dcm`, `labelmap.dcm`, `rtstruct.dcm`, `sr.dcm`, and masks by number and phrase of their finding, as
`01_left_lung.nii.gz`. What was looked for and not found has no file of zeros: a notice says so, and the JSON, the table
and the report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from medseg.errors import InvalidInputError
from medseg.report.dicom_files import (
    no_dicom,
    no_labelmap,
    no_rtstruct,
    no_sr,
    write_labelmap_file,
    write_rtstruct_file,
    write_seg_file,
    write_sr_file,
)
from medseg.report.findings_table import write_findings_csv
from medseg.report.mask_files import no_picture, write_nifti_masks, write_png_masks
from medseg.report.output_format import OutputFormat, OutputPlace, WrittenOutputs
from medseg.report.overlay import OverlayOptions, write_overlay_png
from medseg.report.report_page import REPORT_SLICES, write_report_html
from medseg.report.result_record import write_result_json
from medseg.study.result import SegmentationResult
from medseg.study.study import Notice


def _one_file(name: str, write: Callable[[Path, SegmentationResult], object]) -> Callable[..., WrittenOutputs]:
    """A format that is one file in the folder."""

    def written(result: SegmentationResult, place: OutputPlace) -> WrittenOutputs:
        write(place.folder / name, result)
        return WrittenOutputs(files=(place.folder / name,))

    return written


def _overlay(result: SegmentationResult, place: OutputPlace) -> WrittenOutputs:
    path = place.folder / "overlay.png"
    sheet = write_overlay_png(path, result, place.view)
    return WrittenOutputs(files=(path,), notices=tuple(Notice(code="overlay", text=note) for note in sheet.notes))


def _report(result: SegmentationResult, place: OutputPlace) -> WrittenOutputs:
    path = place.folder / "report.html"
    write_report_html(path, result, replace(place.view, slices=min(place.view.slices, REPORT_SLICES)))
    return WrittenOutputs(files=(path,))


OUTPUT_FORMATS: dict[str, OutputFormat] = {
    "nifti": OutputFormat(summary="masks, one NIfTI per finding", write=write_nifti_masks),
    "png": OutputFormat(
        summary="masks of a picture, one PNG per finding", write=write_png_masks, reason_against=no_picture
    ),
    "overlay": OutputFormat(summary="picture or sheet of slices with masks and legend", write=_overlay),
    "json": OutputFormat(summary="all but the masks, with a schema", write=_one_file("result.json", write_result_json)),
    "csv": OutputFormat(summary="findings as a table", write=_one_file("findings.csv", write_findings_csv)),
    "report": OutputFormat(summary="one page to read or print", write=_report),
    "dicom-seg": OutputFormat(
        summary="DICOM SEG, binary: what most viewers read", write=write_seg_file, reason_against=no_dicom
    ),
    "dicom-labelmap": OutputFormat(
        summary="DICOM SEG, label map: smaller, for newer viewers",
        write=write_labelmap_file,
        reason_against=no_labelmap,
    ),
    "rtstruct": OutputFormat(
        summary="contours for radiotherapy systems", write=write_rtstruct_file, reason_against=no_rtstruct
    ),
    "sr": OutputFormat(summary="DICOM SR (TID 1500), measurements", write=write_sr_file, reason_against=no_sr),
}
"""Name -> how it is written; in this order, for a report refers to the segmentation before it."""


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """The names in their order, each once.

    Example:
        >>> check_formats(["json", "csv", "json"])
        ('json', 'csv')

    Raises:
        InvalidInputError: there is none, or one is unknown; the message lists all.
    """
    if isinstance(formats, str) or not formats:
        raise InvalidInputError(f"Formats: expected a list of names, found {formats!r}. Take {_all_names()}.")
    for name in formats:
        if name not in OUTPUT_FORMATS:
            near = get_close_matches(name, OUTPUT_FORMATS, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise InvalidInputError(f"Formats: expected known names, found {name!r}. {hint}Take of {_all_names()}.")
    return tuple(dict.fromkeys(formats))


def write_outputs(
    result: SegmentationResult, folder: Path, formats: Sequence[str], *, view: OverlayOptions = OverlayOptions()
) -> WrittenOutputs:
    """Writes a result in each of the formats into `folder`, which is made where it is missing.

    Each file is written whole or not at all and replaces an older one of its name. A format that cannot hold the
    result is left out with a notice; equal results give equal files, but for DICOM's own times. `view` is the
    window and the plane of pictures.

    Raises:
        InvalidInputError: a format is unknown, none of them can hold the result, or DICOM allows no object for it.
        StudyFileError: a DICOM output is asked for, and the images are gone or have changed.
    """
    asked = check_formats(formats)
    names = [name for name in OUTPUT_FORMATS if name in asked]
    against = {name: OUTPUT_FORMATS[name].reason_against(result) for name in names}
    if all(against.values()):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in against.items())
        raise InvalidInputError(f"Formats: expected one that can hold this result, found none ({reasons}).")
    folder.mkdir(parents=True, exist_ok=True)
    written = WrittenOutputs()
    for name in names:
        if against[name]:
            text = f"{name} was not written: {against[name]}."
            written += WrittenOutputs(notices=(Notice(code="format_left_out", text=text),))
        else:
            place = OutputPlace(folder=folder, view=view, segmentation=written.segmentation)
            written += OUTPUT_FORMATS[name].write(result, place)
    return written


def _all_names() -> str:
    return ", ".join(OUTPUT_FORMATS)
