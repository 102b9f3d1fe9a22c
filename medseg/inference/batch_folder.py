"""`BatchFolder`: the output folder of a batch on disk. A case's folder appears whole or not at all.

results/CASE/...            outputs of a case, and case.json: what they depend on and their hashes
failures/CASE.json, .log    what went wrong, in words, and where in the program
inputs.csv                  case -> input: the one file with paths
journal.sqlite, events.jsonl, report.csv, batch.lock
.partial/                   what is being written; emptied at each start
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medseg.errors import BatchFolderError
from medseg.inference.batch_fingerprint import file_sha256
from medseg.inference.batch_journal import CaseHashes
from medseg.inference.batch_lock import locked
from medseg.study.result import RESEARCH_USE
from vlm_bridge.atomic_write import PARTIAL_SUFFIX, write_text_whole

CASE_FILE = "case.json"
_CASE_SCHEMA = "medseg-case/1"
_FAILURE_SCHEMA = "medseg-failure/1"


@contextmanager
def opened_folder(path: Path) -> Iterator[BatchFolder]:
    """The folder, made where there is none, locked for this process and cleared of half-written files.

    Raises:
        BatchFolderError: it cannot be written, or another process works in it.
    """
    folder = BatchFolder(path)
    with output_errors():
        for place in (folder.results, folder.failures, folder.partial):
            place.mkdir(parents=True, exist_ok=True)
        probe = folder.partial / f"probe-{secrets.token_hex(4)}"
        probe.write_bytes(b"")
        probe.unlink()
    with locked(path / "batch.lock"):
        with output_errors():
            folder.clear()
        try:
            yield folder
        finally:
            shutil.rmtree(folder.partial, ignore_errors=True)


@contextmanager
def output_errors() -> Iterator[None]:
    """What the disk of the output folder throws, as our error.

    Raises:
        BatchFolderError: the block met an OSError.
    """
    try:
        yield
    except OSError as error:
        raise BatchFolderError(
            f"Batch: expected an output folder with room that can be written, found: {error.strerror or error}. "
            "Free space, mend the permissions or choose another folder; the same command then goes on."
        ) from error


class BatchFolder:
    """Places and moves below `path`; nothing is kept in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results = path / "results"
        self.failures = path / "failures"
        self.partial = path / ".partial"
        self.inputs = path / "inputs.csv"
        self.journal = path / "journal.sqlite"
        self.events = path / "events.jsonl"
        self.report = path / "report.csv"

    def clear(self) -> None:
        """Remove what a killed process left half-written."""
        for place in self.partial.iterdir():
            _remove(place)
        for place in (self.path, self.failures):
            for leftover in place.glob(f".*{PARTIAL_SUFFIX}"):
                leftover.unlink(missing_ok=True)

    def land(self, case: str, written: Path) -> Path:
        """Move the finished folder `written` into its place; an earlier result of the case gives way.

        Raises:
            BatchFolderError: the disk refuses.
        """
        place = self.results / case
        with output_errors():
            old = self._aside(place)
            os.replace(written, place)
            _flush_folder(self.results)
            if old is not None:
                _remove(old)
            for ending in (".json", ".log"):
                (self.failures / f"{case}{ending}").unlink(missing_ok=True)
        return place

    def record_failure(self, case: str, code: str, message: str, log: str) -> None:
        """Write what went wrong with a case; an outdated result of it is removed.

        Raises:
            BatchFolderError: the disk refuses.
        """
        record = {
            "schema": _FAILURE_SCHEMA,
            "case": case,
            "code": code,
            "message": message,
            "log": f"{case}.log" if log else None,
            "note": RESEARCH_USE,
        }
        with output_errors():
            if log:
                write_text_whole(self.failures / f"{case}.log", log)
            else:
                (self.failures / f"{case}.log").unlink(missing_ok=True)
            write_text_whole(self.failures / f"{case}.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
            old = self._aside(self.results / case)
            if old is not None:
                _remove(old)

    def is_whole(self, case: str, outputs: Mapping[str, str]) -> bool:
        """Whether the result of a case lies there as it was written, file by file."""
        place = self.results / case
        try:
            return bool(outputs) and files_sha256(place, leave_out=()) == dict(outputs)
        except OSError:
            return False

    def found_result(self, case: str) -> tuple[CaseHashes, str, dict[str, str]] | None:
        """What a result that lies there depends on, the hash of its input's content, and its files; None where there
        is none or it is not whole."""
        place = self.results / case
        try:
            record = json.loads((place / CASE_FILE).read_text(encoding="utf-8"))
            hashes = CaseHashes(**{name: str(record[name]) for name in CaseHashes.__dataclass_fields__})
            content = str(record["input_sha256"])
            if record["schema"] != _CASE_SCHEMA or files_sha256(place) != record["files"]:
                return None
            return hashes, content, files_sha256(place, leave_out=())
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _aside(self, place: Path) -> Path | None:
        if not place.exists():
            return None
        old = self.partial / f"old-{place.name}-{secrets.token_hex(4)}"
        os.replace(place, old)
        return old


def write_case_file(
    folder: Path, case: str, hashes: CaseHashes, content: str, notices: tuple[str, ...] = ()
) -> dict[str, str]:
    """Name -> SHA-256 of the files of a finished folder, once `case.json` is written and all is on the disk."""
    record: dict[str, Any] = {
        "schema": _CASE_SCHEMA,
        "case": case,
        **asdict(hashes),
        "input_sha256": content,
        "files": files_sha256(folder),
        "notices": list(notices),
        "note": RESEARCH_USE,
    }
    (folder / CASE_FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
    return {**record["files"], CASE_FILE: file_sha256(folder / CASE_FILE)}


def files_sha256(folder: Path, leave_out: tuple[str, ...] = (CASE_FILE,)) -> dict[str, str]:
    """Place inside the folder -> SHA-256 of each file."""
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    names = {file.relative_to(folder).as_posix(): file for file in found}
    return {name: file_sha256(file) for name, file in names.items() if name not in leave_out}


def _flush_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    if os.name != "posix":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
