"""The metrics log: read what was written, wherever the writer was stopped."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_bridge.errors import RunFolderError
from vlm_bridge.runs.metrics_log import append_metrics, drop_metrics_after, read_metrics

_numbers = st.floats(allow_nan=False) | st.integers(-(2**53), 2**53) | st.text()
_lines = st.lists(st.dictionaries(st.text(min_size=1), _numbers, max_size=3), max_size=6)


def _numbered(lines: list[dict]) -> list[dict]:
    return [{**line, "step": number} for number, line in enumerate(lines)]


@given(lines=_lines, cut=st.integers(0, 40))
def test_any_cut_leaves_a_prefix(lines: list[dict], cut: int) -> None:
    """However many bytes at the end never reached the disk, the whole lines before are read."""
    written = _numbered(lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.jsonl"
        path.touch()
        for line in written:
            append_metrics(path, line)
        assert read_metrics(path) == written
        content = path.read_bytes()[: max(0, path.stat().st_size - cut)]
        path.write_bytes(content)
        assert read_metrics(path) == written[: content.count(b"\n")]


def test_absent_log_is_empty(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.jsonl") == []


def test_values_that_are_not_finite_come_back(tmp_path: Path) -> None:
    append_metrics(tmp_path / "m", {"step": 1, "loss": math.nan, "psnr": math.inf})
    (line,) = read_metrics(tmp_path / "m")
    assert math.isnan(float(line["loss"]))
    assert line["psnr"] == math.inf


@pytest.mark.parametrize("bad", ["{torn", "[1]", '{"psnr": 1}'])
def test_bad_line_before_the_last_is_an_error(tmp_path: Path, bad: str) -> None:
    (tmp_path / "m").write_text(f'{{"step": 1}}\n{bad}\n{{"step": 2}}\n')
    with pytest.raises(RunFolderError, match="line 2"):
        read_metrics(tmp_path / "m")


def test_later_steps_and_the_torn_line_are_dropped(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        append_metrics(tmp_path / "m", {"step": step})
    with (tmp_path / "m").open("a") as file:
        file.write(json.dumps({"step": 4})[:-1])
    drop_metrics_after(tmp_path / "m", 2)
    append_metrics(tmp_path / "m", {"step": 3, "again": 1})
    assert read_metrics(tmp_path / "m") == [{"step": 1}, {"step": 2}, {"step": 3, "again": 1}]
