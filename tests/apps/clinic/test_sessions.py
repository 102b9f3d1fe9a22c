"""Tabs: each has its own dialogue and folder; nothing of it is lost by haste, nothing is left after its end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from apps.clinic.dialogue import Dialogue, OpenedInput
from apps.clinic.sessions import Sessions


def _titled(title: str) -> Dialogue:
    return Dialogue(opened=OpenedInput(path=Path(), title=title, series=()))


def test_tabs_know_nothing_of_each_other(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    sessions.change("one", lambda _: _titled("a study"))
    assert sessions.dialogue("two").opened is None
    assert sessions.folder("one") != sessions.folder("two")
    assert sessions.folder("one").parent == tmp_path
    assert "one" not in sessions.folder("one").name


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    kept = sessions.change("tab", lambda _: _titled("a study"))

    def failing(now: Dialogue) -> Dialogue:
        raise RuntimeError(now.key)

    with pytest.raises(RuntimeError):
        sessions.change("tab", failing)
    assert sessions.dialogue("tab") is kept


def test_changes_at_the_same_time_follow_each_other(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    inside, go_on = threading.Event(), threading.Event()

    def slow(now: Dialogue) -> Dialogue:
        inside.set()
        assert go_on.wait(10)
        return _titled("slow" if now.opened is None else now.opened.title + ", slow")

    first = threading.Thread(target=sessions.change, args=("tab", slow))
    first.start()
    assert inside.wait(10)
    second = threading.Thread(target=sessions.change, args=("tab", lambda now: _titled(f"{now.opened.title}, quick")))
    second.start()
    go_on.set()
    first.join(10)
    second.join(10)
    opened = sessions.dialogue("tab").opened
    assert opened is not None
    assert opened.title == "slow, quick"


def test_a_closed_tab_leaves_nothing(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    sessions.change("tab", lambda _: _titled("a study"))
    (sessions.folder("tab") / "scan.dcm").write_bytes(b"pixels")
    sessions.close("tab")
    sessions.close("tab")
    assert len(sessions) == 0
    assert list(tmp_path.iterdir()) == []
    assert sessions.dialogue("tab").opened is None
