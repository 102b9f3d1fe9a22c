"""Rule-made dialogues, and the command that asks them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medseg.cli import main
from medseg.errors import InvalidInputError
from medseg.evaluation.dialogues import build_dialogues
from medseg.evaluation.wording import wording_group
from medseg.training.records import QARecord, load_mask, read_qa_records, record_to_json, write_qa_records
from tests.medseg.evaluation.known_segmenters import picture_records, volume_record


@pytest.fixture
def records(tmp_path: Path) -> list[QARecord]:
    return picture_records(tmp_path, count=3)


def plain(records: list[QARecord]) -> list[str]:
    return [json.dumps(record_to_json(record), sort_keys=True) for record in records]


def test_dialogues_follow_the_plan(records: list[QARecord]) -> None:
    built = build_dialogues(records, 12)
    assert len({record.id for record in built}) == len(built) == 12
    groups = set()
    for record in built:
        (dialogue,) = record.conversations
        questions = dialogue[::2]
        assert 2 <= len(questions) <= 4
        assert dialogue[1].targets
        assert questions[1].kind == "history"
        assert set(questions[1].refers_to) <= set(dialogue[1].targets)
        assert questions[1].refers_to
        groups |= {wording_group(question.wording) for question in questions}
        for answer in dialogue[1::2]:
            assert answer.text.count("[SEG]") == len(answer.targets)
            assert all(load_mask(record, key).any() for key in answer.targets)
    assert groups == {"train", "held_out"}
    assert {len(record.conversations[0]) // 2 for record in built} == {2, 3, 4}


def test_the_same_dialogues_every_time(records: list[QARecord]) -> None:
    first = plain(build_dialogues(records, 6))
    assert plain(build_dialogues(records, 6)) == first
    assert plain(build_dialogues(records, 6, seed=1)) != first


def test_masks_of_dialogues_survive_the_file(records: list[QARecord], tmp_path: Path) -> None:
    built = build_dialogues(records, 6)
    path = write_qa_records(built, tmp_path / "elsewhere" / "dialogues.jsonl")
    for one, other in zip(built, read_qa_records(path), strict=True):
        for key in one.targets:
            assert np.array_equal(load_mask(one, key), load_mask(other, key))


def test_dialogues_about_volumes_use_their_label_maps(tmp_path: Path, records: list[QARecord]) -> None:
    record = volume_record(tmp_path)
    named = {
        key: replace(one, label=label)
        for (key, one), label in zip(
            record.targets.items(), ("anterior hippocampus", "posterior hippocampus"), strict=True
        )
    }
    (built,) = build_dialogues([replace(record, targets=named)], 1)
    assert {one.mask.path for one in built.targets.values()} == {"labels.nii.gz"}


def test_too_few_pictures_are_said(records: list[QARecord]) -> None:
    unknown = [replace(one, targets={"t1": replace(one.targets["t1"], label="gizmo")}) for one in records]
    with pytest.raises(InvalidInputError, match="found enough for 0"):
        build_dialogues(unknown, 1)


def test_the_command(records: list[QARecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_qa_records(records, tmp_path / "records.jsonl")
    quick = ("--bootstrap", "10")
    out, other = tmp_path / "out", tmp_path / "other"
    assert main(["evaluate", str(path), "-o", str(out), "--limit", "2", *quick]) == 0
    told = capsys.readouterr().out
    assert "generated: dice" in told
    assert "Not a medical device" in told
    assert len((out / "cases.jsonl").read_text().splitlines()) == 2
    assert main(["evaluate", str(path), "-o", str(other), "--against", str(out), *quick]) == 0
    assert "| dice |" in (other / "comparison.md").read_text()
    assert main(["evaluate", str(path), "-o", str(tmp_path / "talks"), "--dialogues", "2", *quick]) == 0
    assert len(read_qa_records(tmp_path / "talks" / "dialogues.jsonl")) == 2
    capsys.readouterr()
    assert main(["evaluate", str(path), "-o", str(out), "--limit", "0"]) == 1
    assert "--limit of 1 and more" in capsys.readouterr().err
