"""`Journal`: which cases of a batch are pending, running, done or failed, in an SQLite file that survives a kill.

It holds numbers, hashes and states; no path and no name of an input. One process writes; others may read it meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medseg.errors import BatchFolderError

State = Literal["pending", "running", "done", "failed"]
_VERSION = 1
_SCHEMA = """
CREATE TABLE cases (
    case_id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'done', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    code TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    input_stamp TEXT NOT NULL DEFAULT '',
    input_sha256 TEXT NOT NULL DEFAULT '',
    question_sha256 TEXT NOT NULL DEFAULT '',
    settings_sha256 TEXT NOT NULL DEFAULT '',
    segmenter_sha256 TEXT NOT NULL DEFAULT '',
    seconds REAL NOT NULL DEFAULT 0
);
CREATE TABLE outputs (
    case_id TEXT NOT NULL REFERENCES cases (case_id),
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (case_id, name)
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseHashes:
    """What a result depends on, besides the input's content."""

    question_sha256: str
    """Of the question's text."""
    settings_sha256: str
    """Of series, window and formats."""
    segmenter_sha256: str
    """Of the segmenter's name and weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputHashes:
    """What an input was when it was read."""

    stamp: str = ""
    """Of names, sizes and times."""
    content: str = ""
    """Of names and bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """One case as it stands."""

    case: str
    """Its id."""
    state: State
    """Where it stands; `running` after a start means that a process was killed."""
    attempts: int
    """How often it was begun."""
    code: str
    """Kind of its error, empty without one."""
    message: str
    """The error in words, empty without one."""
    input: InputHashes
    """Of the input of the last result."""
    hashes: CaseHashes
    """Of the last result."""
    outputs: Mapping[str, str]
    """Name -> SHA-256 of each file of the result."""


class Journal:
    """The journal at `path`; made where there is none.

    Every method writes through at once and raises BatchFolderError where the disk is full, read-only or the file is
    damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._told():
            self._base = sqlite3.connect(path, isolation_level=None, timeout=10)
            try:
                self._prepare()
            except BaseException:
                self._base.close()
                raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def row(self, case: str) -> JournalRow | None:
        """The case, or None where it was never heard of."""
        with self._told():
            found = self._base.execute("SELECT * FROM cases WHERE case_id = ?", (case,)).fetchone()
            files = self._base.execute("SELECT name, sha256 FROM outputs WHERE case_id = ? ORDER BY name", (case,))
            outputs = dict(files.fetchall())
        if found is None:
            return None
        _, state, attempts, code, message, stamp, content, question, settings, segmenter, _ = found
        return JournalRow(
            case=case,
            state=state,
            attempts=attempts,
            code=code,
            message=message,
            input=InputHashes(stamp=stamp, content=content),
            hashes=CaseHashes(question_sha256=question, settings_sha256=settings, segmenter_sha256=segmenter),
            outputs=outputs,
        )

    def await_cases(self, cases: Sequence[str]) -> None:
        """Set cases to pending; what was known of their attempts stays."""
        with self._told(), self._at_once():
            self._base.executemany(
                "INSERT INTO cases (case_id, state) VALUES (?, 'pending') "
                "ON CONFLICT (case_id) DO UPDATE SET state = 'pending'",
                [(case,) for case in cases],
            )

    def start(self, case: str) -> int:
        """Set a case to running; which attempt it is, from 1."""
        with self._told():
            self._base.execute("UPDATE cases SET state = 'running', attempts = attempts + 1 WHERE case_id = ?", (case,))
            return self._base.execute("SELECT attempts FROM cases WHERE case_id = ?", (case,)).fetchone()[0]

    def finish(
        self, case: str, hashes: CaseHashes, input_: InputHashes, outputs: Mapping[str, str], seconds: float = 0.0
    ) -> None:
        """Set a case to done, with the files of its result."""
        rows = [(case, name, sha256) for name, sha256 in sorted(outputs.items())]
        with self._told(), self._at_once():
            self._settle(case, "done", ("", ""), hashes, input_, seconds)
            self._base.executemany("INSERT INTO outputs (case_id, name, sha256) VALUES (?, ?, ?)", rows)

    def fail(self, case: str, code: str, message: str, hashes: CaseHashes, input_: InputHashes, seconds: float) -> None:
        """Set a case to failed, with its error."""
        with self._told(), self._at_once():
            self._settle(case, "failed", (code, message), hashes, input_, seconds)

    def touch(self, case: str, stamp: str) -> None:
        """Remember the new times of an input whose content is the same."""
        with self._told():
            self._base.execute("UPDATE cases SET input_stamp = ? WHERE case_id = ?", (stamp, case))

    def _settle(
        self,
        case: str,
        state: State,
        error: tuple[str, str],
        hashes: CaseHashes,
        input_: InputHashes,
        seconds: float,
    ) -> None:
        self._base.execute("DELETE FROM outputs WHERE case_id = ?", (case,))
        self._base.execute(
            "INSERT INTO cases (case_id, state) VALUES (?, 'pending') ON CONFLICT (case_id) DO NOTHING", (case,)
        )
        self._base.execute(
            "UPDATE cases SET state = ?, code = ?, message = ?, input_stamp = ?, input_sha256 = ?, "
            "question_sha256 = ?, settings_sha256 = ?, segmenter_sha256 = ?, seconds = ? WHERE case_id = ?",
            (
                state, *error, input_.stamp, input_.content, hashes.question_sha256, hashes.settings_sha256,
                hashes.segmenter_sha256, round(seconds, 3), case,
            ),
        )  # fmt: skip

    def _prepare(self) -> None:
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = NORMAL")
        (version,) = self._base.execute("PRAGMA user_version").fetchone()
        if version == 0:
            with self._at_once():
                for statement in _SCHEMA.split(";"):
                    self._base.execute(statement)
                self._base.execute(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION:
            raise BatchFolderError(
                f"Batch: expected a journal of version {_VERSION}, found version {version}. "
                "Choose another output folder, or use the toolkit that wrote it."
            )

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """All or nothing."""
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._base.rollback()
            raise
        self._base.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise BatchFolderError(
                f"Batch: expected a journal that can be read and written ({self._path.name}), found: {error}. "
                "Free space on the disk or choose a local one; if the file is damaged, move it away: finished cases "
                "are found again."
            ) from error
