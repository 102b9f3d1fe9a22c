"""`read_job_file`: jobs from a CSV table or JSON Lines, every mistake named with its line.

Keys: `input` (a path, relative ones from the folder of the file) and `question`; optional `id`, `series`, `window` and
`formats` (in CSV separated by blanks).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medseg.errors import InvalidInputError
from medseg.inference.batch_job import Job

JOB_FILE_ENDINGS = (".jsonl", ".csv")
"""Endings of the files that list jobs."""
KEYS = ("input", "question", "id", "series", "window", "formats")
_MISTAKES_SHOWN = 10

Row = tuple[int, dict[str, Any]]


def read_job_file(path: Path | str, *, question: str = "") -> tuple[Job, ...]:
    """The jobs of a file, in its order; `question` is asked where a line has none.

    Raises:
        InvalidInputError: the file is missing, of another ending or not UTF-8, or lines are wrong; all are listed.
    """
    path = Path(path)
    if path.suffix.lower() not in JOB_FILE_ENDINGS:
        raise InvalidInputError(f"Job file: expected a name in .jsonl or .csv, found {path.suffix!r}. Rename it.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"{path.name}: expected a job file in UTF-8, found one that cannot be read ({type(error).__name__}). "
            "Check the path, or save it as UTF-8."
        ) from error
    rows = _csv_rows(text) if path.suffix.lower() == ".csv" else _json_rows(text)
    jobs: list[Job] = []
    mistakes: list[str] = []
    lines: dict[tuple[str, ...], int] = {}
    for number, row in rows:
        try:
            job = _job(row, path.parent, question)
            _refuse_double(job, number, lines)
            jobs.append(job)
        except InvalidInputError as error:
            mistakes.append(f"  line {number}: {error}")
    if mistakes:
        more = [f"  and {len(mistakes) - _MISTAKES_SHOWN} more"] if len(mistakes) > _MISTAKES_SHOWN else []
        listing = "\n".join([*mistakes[:_MISTAKES_SHOWN], *more])
        raise InvalidInputError(
            f"{path.name}: expected jobs with the keys {', '.join(KEYS)}, found {len(mistakes)} wrong line(s). "
            f"Correct them:\n{listing}"
        )
    if not jobs:
        raise InvalidInputError(f"{path.name}: expected one job or more, found none. Add a line.")
    return tuple(jobs)


def _job(row: dict[str, Any], folder: Path, question: str) -> Job:
    unknown = sorted(key for key in row if key not in KEYS)
    if unknown:
        raise InvalidInputError(f"unknown key {', '.join(unknown)}")
    wrong = sorted(key for key, value in row.items() if key != "formats" and not _is_word(value))
    if wrong:
        raise InvalidInputError(f"{', '.join(wrong)}: expected text, found another kind of value")
    words = {key: str(row[key]).strip() for key in KEYS[:5] if row.get(key) is not None}
    if not words.get("input"):
        raise InvalidInputError("no input")
    return Job(
        input=folder / words["input"],
        question=words.get("question") or question,
        id=words.get("id", ""),
        series=words.get("series") or None,
        window=words.get("window") or None,
        formats=_formats(row.get("formats")),
    )


def _is_word(value: object) -> bool:
    """Text, or a whole number that stands for it, as a series 3; null leaves the key out."""
    return value is None or (isinstance(value, str | int) and not isinstance(value, bool))


def _formats(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.replace(";", " ").replace(",", " ").split())
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    if value is None:
        return ()
    raise InvalidInputError("formats: expected a list of names, found another kind of value")


def _refuse_double(job: Job, number: int, lines: dict[tuple[str, ...], int]) -> None:
    # Ids become folders, and some disks do not tell capitals from small letters.
    key = ("id", job.id.lower()) if job.id else job.identity
    first = lines.setdefault(key, number)
    if first != number:
        same = f"the id {job.id!r}" if job.id else "the same input, question, series and window"
        raise InvalidInputError(f"{same} as line {first}; each case needs its own")


def _json_rows(text: str) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        # A line that is no object is given on as one that says so, to be listed with the others.
        yield number, row if isinstance(row, dict) else {"(not a JSON object)": ""}


def _csv_rows(text: str) -> Iterator[Row]:
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
    try:
        for row in reader:
            if None in row:
                yield reader.line_num, {"(more cells than the first line has names)": ""}
            elif any(value for value in row.values()):
                yield reader.line_num, {key: value or None for key, value in row.items()}
    except csv.Error:
        yield reader.line_num + 1, {"(not a line of CSV)": ""}
