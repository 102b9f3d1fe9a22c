"""The command `medseg`: each command does its job, every error is one line on stderr."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from medseg.cli import main
from tests.medseg.inference.batch_studies import write_good, write_nifti
from tests.medseg.made_series import noise, straight_positions, write_slices

QUESTION = "Where is the bright region?"


@pytest.fixture
def two_series(tmp_path: Path) -> Path:
    folder = write_slices(tmp_path / "two", noise(), straight_positions(5))
    return write_slices(folder, noise(seed=1), straight_positions(5), series="other")


RULES = ("--segmenter", "classical")
"""Tests here are about the command, not about a trained model."""


def _failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message of a command that must fail with exit code 1."""
    capsys.readouterr()
    assert main(list(arguments)) == 1
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "Traceback" not in captured.err
    assert captured.out == ""
    return captured.err


def test_a_study_is_segmented(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    path = write_nifti(tmp_path / "a.nii")
    assert main(["segment", "-i", str(path), "-o", str(out), QUESTION, *RULES, "--format", "json", "nifti"]) == 0
    told = capsys.readouterr().out
    result = json.loads((out / "result.json").read_text())
    for finding in result["findings"]:
        assert f"{finding['label']}: {finding['status'].replace('_', ' ')}" in told
    assert result["findings"]
    assert "Not a medical device" in told


def test_several_questions_are_a_dialogue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    asked = ["bright region", "the largest part of it", "metal"]
    command = [
        "segment",
        *asked,
        "-i",
        str(write_nifti(tmp_path / "a.nii")),
        "-o",
        str(out),
        *RULES,
        "--format",
        "json",
    ]
    assert main(command) == 0
    assert len(capsys.readouterr().out.splitlines()) > len(asked)
    page = (out / "dialogue.html").read_text()
    for number, question in enumerate(asked, 1):
        assert json.loads((out / f"question_{number}" / "result.json").read_text())["question"] == question
        assert f"Question {number}" in page
        assert question in page
    links = re.findall(r'href="#([^"]+)"', page)
    assert links
    assert all(page.count(f'id="{link}"') == 1 for link in links)


def test_several_series_are_listed_and_one_is_named(
    two_series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["series", "-i", str(two_series)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    arguments = ("segment", "-i", str(two_series), "-o", str(tmp_path / "out"), QUESTION, *RULES)
    message = _failure(capsys, *arguments)
    assert all(line in message for line in lines)
    key = lines[0].partition(":")[0]
    assert main([*arguments, "--series", key, "--window", "lung", "--format", "json", "report"]) == 0
    assert "lung window" in (tmp_path / "out" / "report.html").read_text()


def test_errors_are_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = str(write_nifti(tmp_path / "a.nii")), str(tmp_path / "out")
    assert "Check the path" in _failure(capsys, "segment", "-i", str(tmp_path / "no.nii"), "-o", out, QUESTION)
    assert "nifti" in _failure(capsys, "segment", "-i", path, "-o", out, QUESTION, "--format", "nifty")
    assert "classical" in _failure(capsys, "segment", "-i", path, "-o", out, QUESTION, "--segmenter", "x")
    assert "--jobs" in _failure(capsys, "batch", "-o", out, "--question", QUESTION)
    assert "expected a question" in _failure(capsys, "batch", "-i", path, "-o", out)
    assert not Path(out).exists()


def test_a_batch_ends_with_the_code_of_its_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_good(tmp_path / "in", 2)
    out = tmp_path / "out"
    command = ["batch", "-i", str(tmp_path / "in"), "-o", str(out), "--question", QUESTION, "--format", "json", *RULES]
    assert main(command) == 0
    assert "2 cases: 2 done" in capsys.readouterr().out
    (tmp_path / "in" / "broken.nii").write_bytes(b"x")
    assert main(command) == 2
    told = capsys.readouterr()
    assert "3 cases: 2 skipped, 1 failed" in told.out
    assert "all failures in" in told.err
    assert "Traceback" not in told.err
    assert (
        main(["batch", "-i", str(tmp_path / "in" / "broken.nii"), "-o", str(tmp_path / "none"), "-q", QUESTION, *RULES])
        == 1
    )


def test_jobs_come_from_a_file(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii")
    (tmp_path / "jobs.csv").write_text(f"input,question,id\na.nii,{QUESTION},mine\n")
    out = tmp_path / "out"
    assert main(["batch", "--jobs", str(tmp_path / "jobs.csv"), "-o", str(out), *RULES]) == 0
    assert (out / "results" / "mine" / "result.json").is_file()


def test_doctor_says_what_is_there_and_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["doctor"])
    told = capsys.readouterr().out
    assert "ok  pydicom" in told
    assert "classical" in told
    assert "nifti" in told
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "highdicom" else find(name))
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "->  highdicom" in told
    assert "pip install 'vision3d-medseg[medseg]'" in told


def test_help_is_quick_to_come() -> None:
    program = "import sys, medseg.cli; print([name for name in ('torch', 'pydicom', 'ray') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
