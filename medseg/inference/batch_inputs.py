"""`gather_jobs`: inputs and questions as a list of jobs, one per study and question, always in the same order.

A folder holds studies: each folder inside that holds DICOM files is one, and so is each other file that can be read. A
folder given by a job file is one study as it is.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medseg.errors import InvalidInputError, MedSegError
from medseg.inference.batch_job import Job
from medseg.inference.batch_job_file import JOB_FILE_ENDINGS, read_job_file
from medseg.io.found_files import kind_of
from medseg.io.read_study import list_series

Input = str | Path | Job
_Place = tuple[Path, str | None]
"""Where a study lies, and its series where that has to be named."""
_NO_IMAGES = ("dicomdir",)
"""Names of DICOM files that hold no image."""


def gather_jobs(
    inputs: Input | Sequence[Input], questions: str | Sequence[str], out: Path, *, all_series: bool = False
) -> tuple[Job, ...]:
    """The jobs of files, folders, patterns (`scans/*.nii.gz`), zip archives, job files and jobs, without doubles.

    What is missing or cannot be read becomes a job all the same: it fails by itself and leaves a record. Files below
    `out` are left out. With `all_series` an input of several series becomes one job for each.

    Raises:
        InvalidInputError: no input, no question, a pattern that fits nothing, a wrong job file, two jobs of one id, or
            `out` lies inside a study.
    """
    given = [inputs] if isinstance(inputs, str | Path | Job) else list(inputs)
    asked = [questions] if isinstance(questions, str) else list(questions)
    jobs: list[Job] = []
    for one in given:
        jobs += _jobs_of(one, asked, out)
    if all_series:
        jobs = [part for job in jobs for part in _each_series(job)]
    once = list({(job.id, *job.identity): job for job in jobs}.values())
    if not once:
        raise InvalidInputError("Batch: expected one input or more, found none. Name files, folders or a job file.")
    _refuse_double_ids(once)
    return tuple(once)


def _jobs_of(one: Input, asked: Sequence[str], out: Path) -> list[Job]:
    if isinstance(one, Job):
        return [replace(one, input=_absolute(one.input))]
    if Path(one).suffix.lower() in JOB_FILE_ENDINGS:
        if len(asked) > 1:
            raise InvalidInputError(
                f"Batch: expected one question at most beside a job file, found {len(asked)}. "
                "Write them into its lines."
            )
        listed = read_job_file(one, question=asked[0] if asked else "")
        return [replace(job, input=_absolute(job.input)) for job in listed]
    if not asked:
        raise InvalidInputError("Batch: expected a question, found none. Ask one, or give a job file.")
    places = [place for hit in _places(str(one)) for place in _studies(hit, _absolute(out))]
    return [Job(input=place, series=series, question=question) for place, series in places for question in asked]


def _absolute(path: Path) -> Path:
    """The path from the root, symbolic links kept: they are the names people gave."""
    return Path(os.path.abspath(path))


def _places(text: str) -> list[Path]:
    if os.path.lexists(text) or not glob.has_magic(text):
        return [_absolute(Path(text))]
    hits = sorted(glob.glob(text, recursive=True))
    if not hits:
        raise InvalidInputError("Batch: expected files that fit the pattern, found none. Check it, and its quotes.")
    return [_absolute(Path(hit)) for hit in hits]


def _studies(place: Path, out: Path) -> list[_Place]:
    found = _studies_in(place, out, set()) if place.is_dir() else []
    return found or [(place, None)]


def _studies_in(folder: Path, out: Path, visited: set[Path]) -> list[_Place]:
    whole = folder.resolve()
    if folder == out or whole in visited:  # links may lead in circles
        return []
    visited.add(whole)
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        single, slices = _sorted_files([entry for entry in entries if entry.is_file()])
    except OSError:
        return [(folder, None)]  # said when the job is run
    found: list[_Place] = [(file, None) for file in single]
    if not slices:
        below = [_studies_in(entry, out, visited) for entry in entries if entry.is_dir()]
        return [*found, *(place for places in below for place in places)]
    if out.is_relative_to(folder):
        raise InvalidInputError(
            "Batch: expected an output folder outside of the studies, found one inside a folder of DICOM files. "
            "Choose another, or results would be read as inputs."
        )
    # Reading takes in the folders below, so they are no studies of their own.
    return [(folder, _own_series(folder) if single else None), *found]


def _sorted_files(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Files that are studies by themselves, and slices of DICOM."""
    names = {file.name.lower() for file in files}
    single: list[Path] = []
    slices: list[Path] = []
    for file in files:
        kind = kind_of(file)
        name = file.name.lower()
        second_half = name.endswith(".img") and f"{name[:-3]}hdr" in names  # of one volume
        if kind == "dicom" and name not in _NO_IMAGES:
            slices.append(file)
        elif name.endswith(".zip") or (kind not in ("dicom", "other") and not second_half):
            single.append(file)
    return single, slices


def _own_series(folder: Path) -> str | None:
    """The series of the DICOM files in a folder that holds other files too; None where there is not exactly one."""
    try:
        keys = [facts.key for facts in list_series(folder) if facts.format == "dicom"]
    except MedSegError:
        return None  # said again, and recorded, when the job is run
    return keys[0] if len(keys) == 1 else None


def _each_series(job: Job) -> list[Job]:
    if job.series is not None:
        return [job]
    try:
        keys = [facts.key for facts in list_series(job.input)]
    except MedSegError:
        return [job]  # said again, and recorded, when the job is run
    if len(keys) < 2:
        return [job]
    numbered = enumerate(keys, 1)
    return [replace(job, series=key, id=f"{job.id}-{number}" if job.id else "") for number, key in numbered]


def _refuse_double_ids(jobs: Sequence[Job]) -> None:
    seen: set[str] = set()
    for job in jobs:
        if job.id and job.id.lower() in seen:
            raise InvalidInputError(f"Batch: expected ids that differ, found {job.id!r} twice. Change one.")
        seen.add(job.id.lower())
