"""`OutputFormat`: one kind of output file, and what was written of it. The catalogue lists them by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from medseg.io.dicom_output import DicomWritten
from medseg.report.overlay import OverlayOptions
from medseg.study.result import SegmentationResult
from medseg.study.study import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenOutputs:
    """Files that are there now, and what a person should know about them."""

    files: tuple[Path, ...] = ()
    """In the order they were written; each was written whole."""
    notices: tuple[Notice, ...] = ()
    """What was left out, and why."""
    segmentation: DicomWritten | None = field(default=None, repr=False)
    """The DICOM SEG that a structured report refers to, where one was written."""

    def __add__(self, other: WrittenOutputs) -> WrittenOutputs:
        return WrittenOutputs(
            files=self.files + other.files,
            notices=self.notices + other.notices,
            segmentation=other.segmentation or self.segmentation,
        )


def always(result: SegmentationResult) -> str:
    """No reason against a format: it can hold every result."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPlace:
    """Where an output goes and what it may lean on."""

    folder: Path
    """It is there already."""
    view: OverlayOptions = OverlayOptions()
    """Window and plane of pictures."""
    segmentation: DicomWritten | None = field(default=None, repr=False)
    """The DICOM SEG of the same result, where one was written before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """How one kind of output is written."""

    summary: str
    """What it is, for a list to choose from."""
    write: Callable[[SegmentationResult, OutputPlace], WrittenOutputs]
    """Writes it."""
    reason_against: Callable[[SegmentationResult], str] = always
    """Why it cannot hold a result, as the end of a sentence; empty where it can."""
