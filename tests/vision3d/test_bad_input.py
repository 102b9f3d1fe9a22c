"""Bad input from the user's door: one line that says what was expected, what was found and what to do; nothing written.

Each case of the table builds its input in a folder and returns the command. Rooms test their own readers in depth; this
counts the kinds of bad input and holds all of them to the same promise.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.jobs.small_tabletop import snapshot
from tests.vision3d import bad_scenes, bad_splats
from tests.vision3d.bad_input_table import CASES
from vision3d.cli import main

TABLES = (bad_scenes, bad_splats)  # imported, they have filled CASES
ADVICE = re.compile(
    r"\b(check|add|give|use|run|write|copy|export|convert|remove|rename|correct|choose|raise|lower|hold|repair|"
    r"restore|drop|pass|finish|fit|crop|move|delete|replace|undistort|list|put|set|keep|ask|save|make|download|"
    r"re-export|open|name|point|divide|change)\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("name", CASES)
def test_the_message_helps_and_nothing_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    build, found = CASES[name]
    command = build(tmp_path)
    before = snapshot(tmp_path)
    folders = {path for path in tmp_path.rglob("*") if path.is_dir()}
    assert main(command) == 1
    captured = capsys.readouterr()
    (message,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in captured.err
    assert "xpected" in message, message
    assert message.isprintable(), repr(message)
    assert re.search(found, message), message
    sentences = re.split(r"(?<=[.!?)])\s+", message)
    assert len(sentences) > 1, message
    assert ADVICE.search(sentences[-1]), message
    assert snapshot(tmp_path) == before
    assert {path for path in tmp_path.rglob("*") if path.is_dir()} == folders
    assert not Path("exploded").exists()


def test_the_table_is_long() -> None:
    assert len(CASES) >= 40
