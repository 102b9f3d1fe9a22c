"""`number_cases`: jobs with the ids of their cases, kept in `inputs.csv`, so that a rerun finds them again.

Names of inputs leak the names of people. So a case is called by the id its job was given, or by a neutral number with
a short hash of question, series and window; which input it stands for is in `inputs.csv` alone.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import BatchFolderError, InvalidInputError
from medseg.inference.batch_fingerprint import words_sha256
from medseg.inference.batch_folder import output_errors
from medseg.inference.batch_job import Job, is_case_id
from vlm_bridge.atomic_write import written_whole

_COLUMNS = ("case", "input", "series", "question", "window", "numbered")
_NUMBERED = re.compile(r"case-(\d+)-[0-9a-f]{8}")

_Identity = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A job and the name it goes by."""

    id: str
    """Name of its folder."""
    job: Job
    """What is asked about what."""


def number_cases(jobs: Sequence[Job], path: Path) -> tuple[Case, ...]:
    """The cases of `jobs`, in their order; `path` is `inputs.csv`, read and completed.

    Cases of earlier calls stay in it.

    Raises:
        BatchFolderError: the table is damaged or cannot be written.
        InvalidInputError: an id is that of another, numbered case.
    """
    known = _read(path)
    numbers = {identity: case for case, (identity, numbered) in known.items() if numbered}
    taken = {case.lower() for case, (_, numbered) in known.items() if numbered}
    for job in jobs:
        if job.id.lower() in taken:
            raise InvalidInputError(f"Batch: expected an id that no numbered case has, found {job.id!r}. Change it.")
    used = {job.id.lower() for job in jobs} | {case.lower() for case in known}
    next_number = 1 + max((int(hit[1]) for case in known if (hit := _NUMBERED.fullmatch(case))), default=0)
    cases = []
    for job in jobs:
        case = job.id or numbers.get(job.identity)
        while case is None:
            fresh = f"case-{next_number:05d}-{words_sha256(job.identity[1:])[:8]}"
            next_number += 1
            case = None if fresh in used else fresh
        known[case] = (job.identity, not job.id)
        cases.append(Case(id=case, job=job))
    _write(path, known)
    return tuple(cases)


def _read(path: Path) -> dict[str, tuple[_Identity, bool]]:
    """Case -> what it asks about what, and whether it was numbered."""
    if not path.exists():
        return {}
    try:
        # Names of files need not be UTF-8.
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        known = {
            row["case"]: ((row["input"], row["question"], row["series"], row["window"]), row["numbered"] == "yes")
            for row in rows
        }
    except (OSError, csv.Error, KeyError) as error:
        raise _damaged(path) from error
    if not all(case and is_case_id(case) for case in known):
        raise _damaged(path)
    return known


def _damaged(path: Path) -> BatchFolderError:
    return BatchFolderError(
        f"Batch: expected a table with the columns {', '.join(_COLUMNS)} in {path.name}, found another. "
        "Restore it, or choose another output folder."
    )


def _write(path: Path, known: Mapping[str, tuple[_Identity, bool]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for case, ((place, question, series, window), numbered) in known.items():
        writer.writerow((case, place, series, question, window, "yes" if numbered else "no"))
    content = text.getvalue().encode("utf-8", errors="surrogateescape")
    with output_errors():
        if path.exists() and path.read_bytes() == content:
            return
        with written_whole(path) as partial:
            partial.write_bytes(content)
