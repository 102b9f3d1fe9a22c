"""A result as CSV (RFC 4180): one row per finding, the header with units, nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path

from medseg.errors import InvalidInputError
from medseg.report.result_record import result_record
from medseg.study.result import RESEARCH_USE, SegmentationResult
from vlm_bridge.atomic_write import written_whole

_MEASURED = (
    "volume_ml",
    "area_mm2",
    "area_pixels",
    "long_axis_mm",
    "short_axis_mm",
    "slice_axis",
    "axis_slice",
    "voxels",
    "components",
    "touches_border",
    "intensity_mean",
    "intensity_std",
    "intensity_min",
    "intensity_max",
)
COLUMNS = (
    "number",
    "label",
    "status",
    "found",
    "presence",
    "quality",
    *_MEASURED,
    "intensity_unit",
    "mask_name",
    "question",
    "notice",
)
"""The header. `found` is true, false or empty (uncertain); what was not measured is empty."""
_FORMULA = re.compile(r"(^|[;\t\r\n])(\s*)(?=[=+\-@|%＝＋－＠])")
"""Where a spreadsheet begins a cell, in those that split at semicolons too, and would compute what follows."""


def result_to_csv(result: SegmentationResult) -> str:
    """One row per finding, lines ending in CR LF; texts that look like formulas get an apostrophe in front.

    Numbers are written in full, with a point; empty where there is none.
    """
    record = result_record(result)
    written = io.StringIO()
    table = csv.writer(written, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    table.writerow(COLUMNS)
    for finding in record["findings"]:
        measured = finding["quantities"] or {}
        cells = {name: finding[name] for name in COLUMNS[:6]} | {"mask_name": finding["mask_name"]}
        cells |= {name: measured.get(name) for name in _MEASURED} | {"intensity_unit": measured.get("unit")}
        cells |= {"question": record["question"], "notice": RESEARCH_USE}
        table.writerow([_cell(cells[name]) for name in COLUMNS])
    return written.getvalue()


def write_findings_csv(path: Path, result: SegmentationResult) -> None:
    """Writes `result_to_csv`, UTF-8.

    Raises:
        InvalidInputError: the name does not end in .csv.
    """
    if path.suffix.lower() != ".csv":
        raise InvalidInputError(f"Table: expected a name in .csv, found {path.suffix!r}. Rename it.")
    with written_whole(path) as partial:
        partial.write_bytes(result_to_csv(result).encode("utf-8"))


def harmless_cell(text: str) -> str:
    """The text with an apostrophe before whatever a spreadsheet would compute.

    Example:
        >>> harmless_cell("=1+1"), harmless_cell("left lung"), harmless_cell("T1; -2")
        ("'=1+1", 'left lung', "T1; '-2")
    """
    return _FORMULA.sub(r"\1\2'", text)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    return harmless_cell(value) if isinstance(value, str) else str(value)
