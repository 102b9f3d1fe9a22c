from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from medseg.errors import RecordError
from medseg.training.records import (
    ImageFacts,
    MaskFacts,
    QARecord,
    QATurn,
    TargetFacts,
    load_mask,
    load_picture,
    parse_record,
    read_qa_records,
    record_to_json,
    write_qa_records,
)
from medseg.training.run_length import decode_counts, decode_mask, encode_counts, encode_mask

MASK = np.zeros((4, 6), bool)
MASK[1:3, 2:5] = True


def a_record(folder: Path, **changes: object) -> QARecord:
    record = QARecord(
        id="case-1",
        patient="p1",
        image=ImageFacts(path="a.png", modality="CT", spacing_mm=(0.5, 0.75), window={"level": 40, "width": 400}),
        targets={
            "t1": TargetFacts(label="liver", mask=MaskFacts(path="m.png", value=2)),
            "t2": TargetFacts(label="kidney", mask=MaskFacts(rle=encode_mask(MASK), size=(4, 6)), laterality="R"),
        },
        conversations=(
            (
                QATurn(role="user", text="Mark the liver.", kind="explicit", asked=("liver",), wording="e1"),
                QATurn(role="assistant", text="Here is the <p>liver</p> [SEG].", targets=("t1",)),
            ),
        ),
        licence="CC0-1.0",
        split="train",
        qa={"review": "accepted"},
        folder=folder,
    )
    return replace(record, **changes)


def with_files(folder: Path) -> QARecord:
    folder.mkdir(parents=True, exist_ok=True)
    colours = np.zeros((4, 6, 3), np.uint8)
    colours[..., 2] = 200  # red in OpenCV's order
    cv2.imwrite(str(folder / "a.png"), colours)
    cv2.imwrite(str(folder / "m.png"), np.where(MASK, 2, 1).astype(np.uint8))
    return a_record(folder)


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_run_lengths_read_back(mask: np.ndarray) -> None:
    assert (decode_mask(encode_mask(mask), mask.shape) == mask).all()


@given(st.lists(st.integers(0, 10**7), max_size=20))
def test_counts_read_back(counts: list[int]) -> None:
    assert decode_counts(encode_counts(counts)) == counts


@pytest.mark.parametrize(("runs", "size"), [([3], (2, 2)), ([5, -1], (2, 2)), ("z~", (2, 2)), ("o", (1, 1))])
def test_runs_that_are_none(runs: str | list[int], size: tuple[int, int]) -> None:
    with pytest.raises(RecordError, match="Run lengths"):
        decode_mask(runs, size)


def test_records_read_back_from_their_file(tmp_path: Path) -> None:
    one = a_record(tmp_path)
    talk = one.conversations[0]
    two = a_record(tmp_path, id="case-2", conversations=(talk, talk))
    path = write_qa_records([one, two], tmp_path / "qa.jsonl")
    assert read_qa_records(path) == [one, two]
    first = json.loads(path.read_text(encoding="utf-8").split("\n")[0])
    assert first["schema"] == "medseg-qa/1"
    assert first["conversations"][1]["targets"] == ["t1"]


def test_a_dialogue_without_answers_to_mark_keeps_its_empty_targets(tmp_path: Path) -> None:
    talk = (
        QATurn(role="user", text="Is there a spleen?", kind="absent"),
        QATurn(role="assistant", text="I see no spleen here."),
    )
    assert record_to_json(a_record(tmp_path, conversations=(talk,)))["conversations"][1]["targets"] == ()


def test_paths_follow_the_file(tmp_path: Path) -> None:
    record = with_files(tmp_path / "sets" / "one")
    path = write_qa_records([record], tmp_path / "lists" / "qa.jsonl")
    moved = read_qa_records(path)[0]
    assert moved.image.path == "../sets/one/a.png"
    assert (load_mask(moved, "t1") == MASK).all()
    assert load_picture(moved)[0, 0].tolist() == [200, 0, 0]


def test_masks_of_files_and_of_runs(tmp_path: Path) -> None:
    record = with_files(tmp_path)
    assert (load_mask(record, "t1") == MASK).all()
    assert (load_mask(record, "t2") == MASK).all()
    whole = replace(record, targets={"t": TargetFacts(label="all", mask=MaskFacts(path="m.png"))})
    assert load_mask(whole, "t").all()


def test_masks_of_volumes_lie_as_read_study_turns_them(tmp_path: Path) -> None:
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[1, 2, 3] = 2
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), tmp_path / "l.nii.gz")
    record = a_record(
        tmp_path,
        image=ImageFacts(path="v.nii.gz"),
        targets={"t1": TargetFacts(label="hippocampus", mask=MaskFacts(path="l.nii.gz", value=2))},
    )
    assert np.argwhere(load_mask(record, "t1")).tolist() == [[1, 2, 3]]
    with pytest.raises(RecordError, match="found a volume"):
        load_picture(record)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    record = a_record(tmp_path)
    with pytest.raises(RecordError, match=r"a\.png"):
        load_picture(record)
    with pytest.raises(RecordError, match="t1, t2"):
        load_mask(record, "t3")
    with pytest.raises(RecordError, match="none that can be read"):
        read_qa_records(tmp_path / "none.jsonl")


LINE = {
    "schema": "medseg-qa/1",
    "id": "1",
    "patient": "p",
    "image": {"path": "a.png"},
    "targets": {"t1": {"label": "liver", "mask": {"path": "m.png"}}},
    "conversations": [{"role": "user", "text": "Mark the liver.", "kind": "explicit"}],
}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"schema": "medseg-qa/9"}, "schema"),
        ({"id": ""}, "id"),
        ({"patient": None}, "patient"),
        ({"image": "a.png"}, "image"),
        ({"image": {"path": "a.png", "spacing_mm": 3}}, "spacing_mm"),
        ({"image": {"path": "a.png", "window": 3}}, "window"),
        ({"targets": []}, "targets"),
        ({"targets": {"t1": {"label": "x", "mask": {}}}}, "t1.mask"),
        ({"targets": {"t1": {"label": "x", "mask": {"path": "m", "rle": "1"}}}}, "t1.mask"),
        ({"targets": {"t1": {"label": "x", "mask": {"rle": "1"}}}}, "size"),
        ({"targets": {"t1": {"label": "x", "mask": {"rle": [1.5], "size": [1, 1]}}}}, "rle"),
        ({"targets": {"t1": {"label": "x", "mask": {"path": "m", "value": "2"}}}}, "value"),
        ({"targets": {"t1": {"label": "x", "mask": {"path": "m"}, "laterality": "left"}}}, "laterality"),
        ({"conversations": {"a": 1}}, "conversations"),
        ({"conversations": [{"role": "doctor", "text": "x"}]}, "role"),
        ({"conversations": [{"role": "user", "text": "x", "kind": "odd"}]}, "kind"),
        ({"conversations": [{"role": "user", "text": ""}]}, "text"),
        ({"conversations": [{"role": "user", "text": "x", "targets": "t1"}]}, "targets"),
        ({"qa": []}, "qa"),
    ],
)
def test_lines_that_are_no_records_name_the_field(changes: dict, named: str) -> None:
    assert parse_record(json.dumps(LINE)).id == "1"
    with pytest.raises(RecordError, match=named):
        parse_record(json.dumps({**LINE, **changes}))


def test_a_broken_line_is_named_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "qa.jsonl"
    path.write_text(json.dumps(LINE) + "\n\n{not json\n", encoding="utf-8")
    with pytest.raises(RecordError, match=r"qa\.jsonl:3: .*no JSON"):
        read_qa_records(path)
