"""An append-only record of who segmented what with which model: JSON lines, each chained to the one before by its hash.

A line holds hashes in place of inputs and questions, so it names no patient; the user is the word the caller gives. A
line that was changed, taken out, put in or moved breaks the chain. Lines cut off at the end, and a whole file written
anew, cannot be told from the file alone: keep the hash of the last line elsewhere (`AuditRecord.sha256`), and give it
to `verify_audit_log`. For POSIX systems, whose locks it uses.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from medseg.errors import AuditLogError, InvalidInputError

_FIRST = "0" * 64
"""What the first line has in place of the hash of the one before."""
_LINE_BYTES = 4096
"""Most bytes of a line."""
_HASH = re.compile(r"[0-9a-f]{64}")
_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One line."""

    schema: int
    """Version of the form of a line."""
    number: int
    """Place in the file, from 1."""
    time: str
    """When, UTC, ISO 8601."""
    user: str
    """Who, as the caller says."""
    input_sha256: str
    """Of what was segmented; empty where there was nothing to hash."""
    model_sha256: str
    """Of the model's weights; empty where it has none."""
    prompt_sha256: str
    """Of the question, in UTF-8."""
    version: str
    """Of the toolkit."""
    previous_sha256: str
    """Of the line before, without its line end; zeros in the first."""
    sha256: str = ""
    """Of this line, without its line end; not written, since it follows from the line."""


def append_audit_record(
    path: Path, *, user: str, prompt: str, input_sha256: str, model_sha256: str, version: str
) -> AuditRecord:
    """Add one line to the log, which is made where there is none; the record as written.

    The line is on the disk when this returns. Several processes may append at once: each waits for the others.

    Args:
        path: the log.
        user: a word for who asked, 1-200 characters; do not give a patient's name.
        prompt: the question; only its hash is kept.
        input_sha256: hexadecimal hash of the input, or empty.
        model_sha256: hexadecimal hash of the model, or empty.
        version: of the toolkit.

    Raises:
        InvalidInputError: a value has another form.
        AuditLogError: the log cannot be written, or its last line is broken; nothing is added then.

    Example:
        >>> import tempfile
        >>> log = Path(tempfile.mkdtemp()) / "audit.jsonl"
        >>> given = dict(input_sha256="a" * 64, model_sha256="", version="0.1.0")
        >>> append_audit_record(log, user="reader 7", prompt="Where is the liver?", **given).number
        1
        >>> append_audit_record(log, user="reader 7", prompt="And the spleen?", **given).number
        2
        >>> verify_audit_log(log)[-1].number
        2
    """
    _check(user, input_sha256, model_sha256, version)
    with _opened(path) as log:
        last = _last_line(log)
        before = _parsed(last, None) if last else None
        record = AuditRecord(
            schema=_SCHEMA,
            number=before.number + 1 if before else 1,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            user=user,
            input_sha256=input_sha256,
            model_sha256=model_sha256,
            prompt_sha256=hashlib.sha256(prompt.encode("utf-8", errors="surrogatepass")).hexdigest(),
            version=version,
            previous_sha256=before.sha256 if before else _FIRST,
        )
        line = _line(record)
        _write(log, line + b"\n")
    return _parsed(line, None)


def verify_audit_log(path: Path, *, last_sha256: str | None = None) -> tuple[AuditRecord, ...]:
    """All records of a log whose chain holds.

    Args:
        path: the log.
        last_sha256: hash of a line known to have been written; None leaves open whether lines were cut off.

    Raises:
        AuditLogError: the log cannot be read, a line is broken, changed, missing or moved, or none has `last_sha256`;
            the message names the line.
    """
    try:
        content = path.read_bytes()
    except OSError as failure:
        raise AuditLogError(
            f"Audit log: expected a file that can be read, found none ({type(failure).__name__}). Check the path."
        ) from None
    records: list[AuditRecord] = []
    lines = content.split(b"\n")
    if lines[-1]:
        raise AuditLogError(
            f"Audit log: expected a line end after line {len(lines)}, found none: it was cut while written, or changed."
            " Keep the file and begin a new one."
        )
    previous = _FIRST
    for number, line in enumerate(lines[:-1], 1):
        record = _parsed(line, number)
        if record.number != number or record.previous_sha256 != previous:
            raise AuditLogError(
                f"Audit log: expected line {number} to follow the one before, found one that does not: a line was "
                "changed, taken out, put in or moved. Keep the file and begin a new one."
            )
        records.append(record)
        previous = record.sha256
    if last_sha256 is not None and last_sha256 not in {record.sha256 for record in records}:
        raise AuditLogError(
            f"Audit log: expected a line of the given hash, found none among {len(records)}: lines were cut off, or "
            "the file was written anew. Compare it with a copy."
        )
    return tuple(records)


def _check(user: str, input_sha256: str, model_sha256: str, version: str) -> None:
    if not 1 <= len(user) <= 200 or not user.isprintable() or not user.strip():
        raise InvalidInputError("Audit log: expected a user of 1-200 printable characters, found another. Change it.")
    if not 1 <= len(version) <= 100 or not version.isprintable():
        raise InvalidInputError("Audit log: expected a version of 1-100 printable characters, found another.")
    for what, value in (("input", input_sha256), ("model", model_sha256)):
        if value and not _HASH.fullmatch(value):
            raise InvalidInputError(
                f"Audit log: expected a SHA-256 of 64 small hexadecimal digits for the {what}, found another text. "
                "Give the hash, or nothing."
            )


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The log for reading and appending, alone until the block ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        log = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as failure:
        raise _unwritable(failure) from None
    try:
        fcntl.flock(log, fcntl.LOCK_EX)
        yield log
        if new:  # the file's entry in its folder is on the disk too
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
    except OSError as failure:
        raise _unwritable(failure) from None
    finally:
        os.close(log)


def _write(log: int, line: bytes) -> None:
    """Append one line and see it onto the disk; where the disk is full, what was written of it is taken back."""
    size = os.fstat(log).st_size
    try:
        written = os.write(log, line)
        if written != len(line):
            raise OSError("the disk took a part of the line")
        os.fsync(log)
    except OSError:
        os.ftruncate(log, size)
        raise


def _last_line(log: int) -> bytes:
    size = os.fstat(log).st_size
    tail = os.pread(log, _LINE_BYTES + 2, max(0, size - _LINE_BYTES - 2))
    if not tail:
        return b""
    if not tail.endswith(b"\n"):
        raise AuditLogError(
            "Audit log: expected a line end at its end, found none: the last line was cut while written, or changed. "
            "Keep the file and begin a new one."
        )
    return tail[:-1].rpartition(b"\n")[2]


def _line(record: AuditRecord) -> bytes:
    held = {name: value for name, value in asdict(record).items() if name != "sha256"}
    return json.dumps(held, ensure_ascii=True, separators=(",", ":")).encode()


def _parsed(line: bytes, number: int | None) -> AuditRecord:
    """The record of a line, with the line's hash; `number` is for the message."""
    wanted = {field.name: str if field.type == "str" else int for field in fields(AuditRecord)}
    del wanted["sha256"]
    try:
        held = json.loads(line)
    except (ValueError, RecursionError):
        held = None
    if not isinstance(held, dict) or {name: type(value) for name, value in held.items()} != wanted:
        place = "its last line" if number is None else f"line {number}"
        raise AuditLogError(
            f"Audit log: expected a record as {place}, found something else: it was changed or cut. Keep the file and "
            "begin a new one."
        )
    return AuditRecord(**held, sha256=hashlib.sha256(line).hexdigest())


def _unwritable(failure: OSError) -> AuditLogError:
    return AuditLogError(
        f"Audit log: expected a file that can be written, found none ({failure.strerror or failure}). Make room, or "
        "name another place."
    )
