"""What is taken along of an answer: DICOM SEG, NIfTI, report and the other outputs that can hold it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from apps.clinic.actions import window_of
from apps.clinic.dialogue import Dialogue
from medseg.errors import InvalidInputError
from medseg.report.catalogue import OUTPUT_FORMATS, write_outputs
from medseg.report.output_format import WrittenOutputs
from medseg.report.overlay import OverlayOptions

TAKEN = {
    "dicom-seg": "DICOM SEG",
    "nifti": "NIfTI masks",
    "png": "PNG masks",
    "report": "report (HTML)",
    "overlay": "picture (PNG)",
    "csv": "table (CSV)",
    "json": "record (JSON)",
    "sr": "DICOM SR",
    "rtstruct": "RTSTRUCT",
}
"""Format -> what the page calls it; the first four are ticked where they can hold the answer."""
_TICKED = ("dicom-seg", "nifti", "png", "report")


def format_choices(dialogue: Dialogue) -> list[tuple[str, str]]:
    """What the shown answer can be written as, and the format's name; empty where nothing was asked."""
    result = dialogue.result
    if result is None:
        return []
    return [(words, name) for name, words in TAKEN.items() if not OUTPUT_FORMATS[name].reason_against(result)]


def ticked_formats(dialogue: Dialogue) -> list[str]:
    """Formats that are ticked at first."""
    return [name for _, name in format_choices(dialogue) if name in _TICKED]


def take_along(dialogue: Dialogue, formats: Sequence[str], folder: Path) -> WrittenOutputs:
    """The shown answer in each format, in a new folder below `folder`; pictures in the window and plane that are seen.

    Raises:
        InvalidInputError: nothing was asked, or no format is ticked or known.
        StudyFileError: a DICOM output is asked for, and the images are gone or have changed.
    """
    result = dialogue.result
    if result is None:
        raise InvalidInputError("Download: expected an answer, found none. Ask a question first.")
    if not formats:
        raise InvalidInputError("Download: expected a format, found none ticked. Tick at least one.")
    target = Path(tempfile.mkdtemp(prefix="files_", dir=folder))
    view = OverlayOptions(window=window_of(dialogue), plane=dialogue.seen.plane, slices=6)
    return write_outputs(result, target, formats, view=view)
