"""A reader sees the old file or the new one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vlm_bridge.atomic_write import write_text_whole, written_whole


class Killed(BaseException):
    """Stands for a signal at the worst moment."""


def test_failure_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "note.txt"
    write_text_whole(target, "old")

    def write_half_and_die() -> None:
        with written_whole(target) as partial:
            partial.write_text("half of the n")
            raise Killed

    with pytest.raises(Killed):
        write_half_and_die()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["note.txt"]


def test_kill_between_write_and_swap_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "note.txt"
    write_text_whole(target, "old")

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(Killed):
        write_text_whole(target, "new")
    assert target.read_text() == "old"


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_text_whole(tmp_path / "a" / "b" / "note.txt", "deep")
    assert (tmp_path / "a" / "b" / "note.txt").read_text() == "deep"
