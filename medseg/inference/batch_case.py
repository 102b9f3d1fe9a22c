"""`run_case`: one case from its files to a finished folder, whatever happens on the way. All engines call it."""

from __future__ import annotations

import errno
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from medseg.errors import MedSegError
from medseg.inference.batch_cases import Case
from medseg.inference.batch_fingerprint import input_sha256, input_stamp
from medseg.inference.batch_folder import write_case_file
from medseg.inference.batch_journal import CaseHashes, InputHashes
from medseg.inference.batch_privacy import NameFilter, failure_log
from medseg.inference.segment import segment
from medseg.inference.segmenter import Segmenter
from medseg.io.read_study import read_study
from medseg.report.catalogue import write_outputs
from medseg.report.overlay import OverlayOptions
from medseg.study.result import SegmentationResult

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
"""What a disk says that takes no more; the same would happen to every case that follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseTask:
    """What a worker needs to run a case."""

    case: Case
    """What is asked about what; its job names formats and window, those of the batch where it had none."""
    hashes: CaseHashes
    """What the result depends on, besides its input."""
    partial: Path = field(repr=False)
    """Folder for what is being written, on the disk of the results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRecord:
    """What came of a case."""

    case: str
    """Its id."""
    state: Literal["done", "failed", "no room"]
    """`no room`: the output's disk takes no more, and the batch has to stop."""
    code: str = ""
    """Kind of the error."""
    message: str = ""
    """The error in words, without the names of files."""
    log: str = field(default="", repr=False)
    """Where in the program it arose."""
    written: Path | None = field(default=None, repr=False)
    """The finished folder, still among the partial ones."""
    outputs: dict[str, str] = field(default_factory=dict)
    """Name -> SHA-256 of its files."""
    notices: tuple[str, ...] = ()
    """What the writers of the outputs say, as which format could not hold the result."""
    input: InputHashes = InputHashes()
    """What the input was."""
    seconds: float = 0.0
    """Wall time."""


def run_case(segmenter: Segmenter, task: CaseTask) -> CaseRecord:
    """What came of a case. Errors become records; an interrupt passes, and leaves nothing behind."""
    begun = time.monotonic()
    folder = task.partial / f"{task.case.id}-{secrets.token_hex(4)}"
    names = NameFilter(task.case.job.input)
    seen = InputHashes()
    try:
        seen = _seen(task.case.job.input)
        record = _segment(segmenter, task, folder, seen, names)
    except Exception as error:  # noqa: BLE001 - the guard of each study: one failure never stops a batch
        shutil.rmtree(folder, ignore_errors=True)
        record = _failed(task.case.id, error, names, task.partial)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return replace(record, input=seen, seconds=time.monotonic() - begun)


def error_code(error: BaseException) -> str:
    """A word for the kind of an error.

    Example:
        >>> from medseg.errors import StudyFileError
        >>> error_code(StudyFileError("...")), error_code(KeyError("x"))
        ('study_file', 'unexpected')
    """
    if _is_out_of_memory(error):
        return "out_of_memory"
    if not isinstance(error, MedSegError):
        return "unexpected"
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _seen(path: Path) -> InputHashes:
    try:
        return InputHashes(stamp=input_stamp(path), content=input_sha256(path))
    except OSError:
        return InputHashes()  # the reader says what is wrong with it


def _segment(segmenter: Segmenter, task: CaseTask, folder: Path, seen: InputHashes, names: NameFilter) -> CaseRecord:
    job = task.case.job
    study = read_study(job.input, series=job.series)
    result = segment(segmenter, study, job.question, window=job.window)
    folder.mkdir(parents=True)
    written = write_outputs(_without_names(result, names), folder, job.formats, view=OverlayOptions(window=job.window))
    notices = tuple(names(str(notice)) for notice in written.notices)
    outputs = write_case_file(folder, task.case.id, task.hashes, seen.content, notices)
    return CaseRecord(case=task.case.id, state="done", written=folder, outputs=outputs, notices=notices)


def _without_names(result: SegmentationResult, names: NameFilter) -> SegmentationResult:
    """Readers name files in their notices."""
    return replace(result, warnings=tuple(names(warning) for warning in result.warnings))


def _failed(case: str, error: Exception, names: NameFilter, partial: Path) -> CaseRecord:
    if any(_is_no_room(one, partial) for one in _chain(error)):
        message = (
            "expected room on the disks of the output and of temporary files, found one that takes no more. "
            "Free space, or mend the permissions; the same command then goes on."
        )
        return CaseRecord(case=case, state="no room", code="no_room", message=message)
    code = error_code(error)
    if code == "out_of_memory":
        message = "expected enough memory for the study, found too little. Use fewer workers or a larger machine."
    elif isinstance(error, MedSegError):
        message = names(str(error))
    else:
        message = (
            f"expected an answer, found an error of the program ({type(error).__name__}). "
            "The log beside this record says where; please report it."
        )
    return CaseRecord(case=case, state="failed", code=code, message=message, log=failure_log(error, names))


def _is_no_room(error: BaseException, partial: Path) -> bool:
    if not isinstance(error, OSError):
        return False
    ours = isinstance(error.filename, str) and Path(error.filename).is_relative_to(partial)
    return error.errno in _NO_ROOM or ours


def _is_out_of_memory(error: BaseException) -> bool:
    return any(isinstance(one, MemoryError) or type(one).__name__ == "OutOfMemoryError" for one in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those behind it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
