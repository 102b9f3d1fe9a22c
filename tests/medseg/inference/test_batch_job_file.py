"""Job files: what is read from CSV and JSON Lines, and how mistakes are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medseg.errors import InvalidInputError
from medseg.inference.batch_job import Job, is_case_id
from medseg.inference.batch_job_file import read_job_file


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


def test_json_lines_become_jobs(tmp_path: Path) -> None:
    lines = [
        {"input": "a.nii", "question": "liver?", "id": "one", "series": 3, "window": "lung", "formats": ["json"]},
        {"input": "/data/b.zip", "question": "Wo liegt der Tumor – ä?", "series": None},
    ]
    path = written(tmp_path / "jobs.jsonl", "\n\n".join(json.dumps(line) for line in lines) + "\n")
    assert read_job_file(path) == (
        Job(input=tmp_path / "a.nii", question="liver?", id="one", series="3", window="lung", formats=("json",)),
        Job(input=Path("/data/b.zip"), question="Wo liegt der Tumor – ä?"),
    )


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_tables_of_every_spreadsheet_become_jobs(tmp_path: Path, separator: str, encoding: str) -> None:
    rows = [
        ["input", "Question", "id", "formats"],
        ["fälle/a.nii", "liver?", "one", "json nifti"],
        ["b.nii", "", "", ""],
    ]
    text = "\r\n".join(separator.join(row) for row in rows)
    path = written(tmp_path / "jobs.csv", text, encoding)
    assert read_job_file(path, question="spleen?") == (
        Job(input=tmp_path / "fälle" / "a.nii", question="liver?", id="one", formats=("json", "nifti")),
        Job(input=tmp_path / "b.nii", question="spleen?"),
    )


def test_every_mistake_is_named_with_its_line(tmp_path: Path) -> None:
    lines = [
        '{"input": "a", "question": "q", "id": "one"}',
        '{"input": "a", "question": "q", "id": "ONE"}',
        '{"input": "", "question": "q"}',
        '{"input": "a"}',
        "[1, 2]",
        "{broken",
        '{"input": "a", "question": "q", "patient": "x"}',
        '{"input": "a", "question": "q", "id": "../up"}',
        '{"input": ["a"], "question": "q"}',
        '{"input": "b", "question": "q"}',
        '{"input": "b", "question": "q"}',
    ]
    with pytest.raises(InvalidInputError) as caught:
        read_job_file(written(tmp_path / "jobs.jsonl", "\n".join(lines)))
    message = str(caught.value)
    for number, said in {
        2: "the id 'ONE' as line 1", 3: "no input", 4: "expected a question", 5: "not a JSON object",
        6: "not a JSON object", 7: "unknown key patient", 8: "expected an id", 9: "input: expected text",
        11: "as line 10",
    }.items():  # fmt: skip
        (line,) = [line for line in message.splitlines() if line.startswith(f"  line {number}:")]
        assert said in line
    assert "9 wrong line(s)" in message


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("jobs.txt", b"", "expected a name in .jsonl or .csv"),
        ("jobs.csv", "input,question\na,\xe4".encode("latin-1"), "save it as UTF-8"),
        ("jobs.jsonl", b"\n\n", "found none. Add a line"),
        ("jobs.csv", b"input,question\na,b,c\n", "line 2: unknown key (more cells"),
        ("jobs.csv", b"path,question\na,b\n", "line 2: unknown key path"),
    ],
)
def test_a_file_that_lists_no_jobs_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInputError) as caught:
        read_job_file(tmp_path / name)
    assert said in str(caught.value)


def test_a_missing_job_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="Check the path"):
        read_job_file(tmp_path / "jobs.csv")


@pytest.mark.parametrize("text", ["", ".x", "-x", "a/b", "a\\b", "a b", "a\nb", "x" * 101, "nul.txt", "a.", "a:b"])
def test_what_no_folder_may_be_called_is_no_id(text: str) -> None:
    assert not is_case_id(text)


def test_a_job_does_not_print_its_input() -> None:
    assert "Quorlina" not in repr(Job(input=Path("/data/Quorlina"), question="q"))
