"""`medseg validate`: its options, and the job behind them. What it has to say comes back as text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

_SHOWN = 200


@dataclass(frozen=True, kw_only=True)
class Validate:
    """Check files of MedSeg-QA records: each problem with file and line, then counts. Exit code 1 after problems."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Records, .jsonl; several files are checked as one set."""
    open_files: Annotated[bool, tyro.conf.arg(name="masks")] = True
    """Open pictures and masks as well."""


def run_validate(command: Validate) -> tuple[str, int]:
    """Do it; returns what to tell, and the exit code."""
    from medseg.training.validate import validate_records

    if not command.files:
        return "expected files of records, found none. Name one.", 1
    report = validate_records(command.files, open_files=command.open_files)
    lines = [str(problem) for problem in report.problems[:_SHOWN]]
    more = len(report.problems) - _SHOWN
    if more > 0:
        lines.append(f"... and {more} more")
    return "\n".join([*lines, report.summary()]), report.exit_code
