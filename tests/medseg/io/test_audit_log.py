"""The audit log holds what was appended, in order, and shows every change of it."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import resource
from dataclasses import asdict
from pathlib import Path

import pytest

from medseg.errors import AuditLogError, InvalidInputError
from medseg.io.audit_log import AuditRecord, append_audit_record, verify_audit_log

HASH = hashlib.sha256(b"input").hexdigest()


def append(log: Path, user: str = "reader 7", prompt: str = "Where is the liver of Quorlina?") -> AuditRecord:
    return append_audit_record(log, user=user, prompt=prompt, input_sha256=HASH, model_sha256="", version="0.1.0")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    for number in range(5):
        append(tmp_path / "audit.jsonl", user=f"reader {number}")
    return tmp_path / "audit.jsonl"


def test_records_come_back_in_order(log: Path) -> None:
    records = verify_audit_log(log)
    assert [(one.number, one.user) for one in records] == [(n + 1, f"reader {n}") for n in range(5)]
    assert sorted(one.time for one in records) == [one.time for one in records]
    last = append(log)
    assert verify_audit_log(log) == (*records, last)
    assert verify_audit_log(log, last_sha256=last.sha256)[-1] == last


def test_a_question_is_kept_as_its_hash_alone(log: Path) -> None:
    assert b"Quorlina" not in log.read_bytes()
    wanted = hashlib.sha256(b"Where is the liver of Quorlina?").hexdigest()
    assert {one.prompt_sha256 for one in verify_audit_log(log)} == {wanted}


def test_the_chain_is_that_of_plain_sha256(log: Path) -> None:
    lines = log.read_bytes().splitlines()
    held = [json.loads(line) for line in lines]
    assert held[0]["previous_sha256"] == "0" * 64
    for before, after in zip(lines, held[1:], strict=False):
        assert after["previous_sha256"] == hashlib.sha256(before).hexdigest()


@pytest.mark.parametrize("at", range(5))
def test_a_changed_line_is_found(log: Path, at: int) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    last = verify_audit_log(log)[-1].sha256
    lines[at] = lines[at].replace(b"reader", b"Reader")
    log.write_bytes(b"".join(lines))
    with pytest.raises(AuditLogError, match=f"line {at + 2} to follow|a line of the given hash"):
        verify_audit_log(log, last_sha256=last)


def test_lines_taken_out_put_in_or_moved_are_found(log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    for changed in (lines[1:], lines[:2] + lines[3:], [*lines, lines[-1]], [lines[1], lines[0], *lines[2:]]):
        log.write_bytes(b"".join(changed))
        with pytest.raises(AuditLogError, match="to follow the one before"):
            verify_audit_log(log)


def test_lines_cut_off_at_the_end_are_found_by_the_hash_kept_elsewhere(log: Path) -> None:
    last = verify_audit_log(log)[-1].sha256
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    assert len(verify_audit_log(log)) == 4
    with pytest.raises(AuditLogError, match="none among 4"):
        verify_audit_log(log, last_sha256=last)


def test_nothing_is_added_behind_a_broken_line(log: Path) -> None:
    whole = log.read_bytes()
    for broken in (whole[:-1], whole[:-30], whole + b"{}\n", whole + b"text\n", whole + b"[" * 9999 + b"\n"):
        log.write_bytes(broken)
        with pytest.raises(AuditLogError, match="Keep the file"):
            append(log)
        with pytest.raises(AuditLogError, match="Keep the file"):
            verify_audit_log(log)
        assert log.read_bytes() == broken


def _append_many(log: Path, count: int) -> None:
    for _ in range(count):
        append(log)


def test_processes_append_side_by_side(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    forked = multiprocessing.get_context("fork")
    workers = [forked.Process(target=_append_many, args=(log, 20)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
        assert worker.exitcode == 0
    assert len(verify_audit_log(log)) == 80


def test_a_full_disk_leaves_the_log_whole(log: Path) -> None:
    whole = log.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 20):
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + room, hard))
        try:
            with pytest.raises(AuditLogError, match="Make room"):
                append(log)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert log.read_bytes() == whole
    assert append(log).number == 6


def test_places_that_cannot_be_written_or_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditLogError, match="can be written"):
        append(tmp_path / "file" / "audit.jsonl")
    with pytest.raises(AuditLogError, match="can be read"):
        verify_audit_log(tmp_path / "missing.jsonl")
    assert verify_audit_log(tmp_path / "file") == ()


@pytest.mark.parametrize(
    "wrong",
    [{"user": ""}, {"user": " "}, {"user": "a\nb"}, {"user": "a" * 201}, {"input_sha256": "abc"},
     {"model_sha256": HASH.upper()}, {"version": ""}],
)  # fmt: skip
def test_values_of_another_form(tmp_path: Path, wrong: dict[str, str]) -> None:
    given = {"user": "a", "prompt": "", "input_sha256": HASH, "model_sha256": HASH, "version": "1"} | wrong
    with pytest.raises(InvalidInputError, match="Audit log"):
        append_audit_record(tmp_path / "audit.jsonl", **given)
    assert not list(tmp_path.iterdir())


def test_any_prompt_and_user_fit_a_line(tmp_path: Path) -> None:
    record = append(tmp_path / "a.jsonl", user="\U0001f600" * 200, prompt="x" * 100_000 + "\ud800")
    assert verify_audit_log(tmp_path / "a.jsonl") == (record,)
    assert append(tmp_path / "a.jsonl").number == 2
    assert asdict(record)["user"] == "\U0001f600" * 200
