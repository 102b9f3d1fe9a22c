"""Masks as one file per finding, named `01_left_lung`; what has no voxel gets no file but a notice that says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from medseg.io.write_masks import write_mask_nifti, write_mask_png
from medseg.report.output_format import OutputPlace, WrittenOutputs
from medseg.report.result_words import STATUS_WORDS, mask_stem
from medseg.study.result import SegmentationResult
from medseg.study.study import Notice


def write_nifti_masks(result: SegmentationResult, place: OutputPlace) -> WrittenOutputs:
    """One NIfTI (0 and 1) per finding that has a mask, on the grid of the files that were read."""
    return _write_masks(result, place.folder, ".nii.gz", write_mask_nifti)


def write_png_masks(result: SegmentationResult, place: OutputPlace) -> WrittenOutputs:
    """One PNG (0 and 255) per finding that has a mask, pixel for pixel that of the picture as stored."""
    return _write_masks(result, place.folder, ".png", write_mask_png)


def no_picture(result: SegmentationResult) -> str:
    """Why masks cannot be PNG; empty for pictures."""
    slices = result.volume.source.shape[2]
    if result.volume.shape[2] == 1 and slices == 1:
        return ""
    return f"a PNG holds one picture, and this is a volume of {slices} slices: take nifti for its masks"


def _write_masks(result: SegmentationResult, folder: Path, ending: str, write: Callable[..., None]) -> WrittenOutputs:
    files, notices = [], []
    for number, finding in enumerate(result.findings, 1):
        if not finding.mask.any():
            text = f"Finding {number} ({STATUS_WORDS[finding.status]}) has no mask: there is no {ending} file of it."
            notices.append(Notice(code="no_mask", text=text))
            continue
        path = folder / f"{mask_stem(number, finding.label)}{ending}"
        write(path, finding.mask, result.volume)
        files.append(path)
    notices += _older_files(folder, ending, files)
    return WrittenOutputs(files=tuple(files), notices=tuple(notices))


def _older_files(folder: Path, ending: str, files: list[Path]) -> list[Notice]:
    """A notice where the folder holds masks of another result, which a reader could take for ones of this."""
    others = set(folder.glob(f"[0-9][0-9]*{ending}")) - set(files)
    if not others:
        return []
    text = f"The folder holds {len(others)} more {ending} masks, not of this result. Remove them, or write elsewhere."
    return [Notice(code="older_files", text=text)]
