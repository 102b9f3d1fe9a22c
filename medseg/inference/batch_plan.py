"""`plan_cases`: which cases of a batch are to be run, and which are there already."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from medseg.inference.batch_case import CaseTask
from medseg.inference.batch_fingerprint import input_sha256, input_stamp
from medseg.inference.batch_folder import BatchFolder
from medseg.inference.batch_journal import InputHashes, Journal, JournalRow

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Cases in the order in which they are run, and those that are not."""

    todo: tuple[CaseTask, ...]
    """To be run. Those over which an earlier process died come last: they may kill this one too."""
    there: tuple[CaseTask, ...]
    """Done before, unchanged and whole."""


def plan_cases(tasks: Sequence[CaseTask], folder: BatchFolder, journal: Journal, *, resume: bool) -> Plan:
    """What is to be done. Without `resume` that is everything.

    A result that a killed process had moved into its place, and not yet entered in the journal, is entered now.

    Raises:
        BatchFolderError: the journal cannot be read or written.
    """
    there, todo, dangerous = [], [], []
    for task in tasks:
        row = journal.row(task.case.id)
        if resume and (_is_done(task, row, folder, journal) or _adopted(task, row, folder, journal)):
            there.append(task)
        elif row is not None and row.state == "running":
            dangerous.append(task)
        else:
            todo.append(task)
    return Plan(todo=(*todo, *dangerous), there=tuple(there))


def _is_done(task: CaseTask, row: JournalRow | None, folder: BatchFolder, journal: Journal) -> bool:
    if row is None or row.state != "done" or row.hashes != task.hashes:
        return False
    if not folder.is_whole(task.case.id, row.outputs):
        _log.info("%s: outputs are missing or changed; it is done again", task.case.id)
        return False
    try:
        stamp = input_stamp(task.case.job.input)
        if stamp != row.input.stamp:
            if input_sha256(task.case.job.input) != row.input.content:
                return False
            journal.touch(task.case.id, stamp)
    except OSError:
        return False  # the reader says what is wrong with it
    return True


def _adopted(task: CaseTask, row: JournalRow | None, folder: BatchFolder, journal: Journal) -> bool:
    """Whether a whole result of this very task lies in its place, unknown to the journal."""
    if row is not None and row.state in ("done", "failed"):
        return False
    found = folder.found_result(task.case.id)
    if found is None:
        return False
    hashes, content, outputs = found
    try:
        if hashes != task.hashes or not content or input_sha256(task.case.job.input) != content:
            return False
        seen = InputHashes(stamp=input_stamp(task.case.job.input), content=content)
    except OSError:
        return False
    journal.finish(task.case.id, hashes, seen, outputs)
    return True
