"""Each rule is broken on purpose once, in one line of a file that is right otherwise."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from medseg.cli import main
from medseg.training.private_text import private_signs
from medseg.training.validate import RULES, validate_records

SIZE = (20, 30)
Change = Callable[[dict[str, Any]], None]


def good_line() -> dict[str, Any]:
    return {
        "schema": "medseg-qa/1",
        "id": "case-1",
        "patient": "p1",
        "image": {"path": "a.png", "modality": "X-ray", "body_part": "chest", "spacing_mm": [0.5, 0.5]},
        "targets": {
            "t1": {"label": "right lung", "mask": {"path": "right.png"}, "laterality": "R"},
            "t2": {"label": "left lung", "mask": {"path": "left.png"}, "laterality": "L"},
            "t3": {"label": "nodule", "mask": {"path": "empty.png"}},
            "t4": {"label": "heart", "mask": {"path": "labels.png", "value": 2}},
        },
        "conversations": [
            {"role": "user", "text": "Mark the right lung.", "kind": "explicit"},
            {"role": "assistant", "text": "Here is the <p>right lung</p> [SEG].", "targets": ["t1"]},
            {"role": "user", "text": "Mark it again.", "kind": "history", "refers_to": ["t1"]},
            {"role": "assistant", "text": "Here is the <p>right lung</p> [SEG].", "targets": ["t1"]},
            {"role": "user", "text": "Is there a nodule?", "kind": "absent"},
            {"role": "assistant", "text": "I see no nodule.", "targets": []},
            {"role": "user", "text": "Mark the left ventricle.", "kind": "absent", "asked": ["left ventricle"]},
            {"role": "assistant", "text": "I cannot tell it from the heart here.", "targets": []},
        ],
        "qa": {"review": "accepted", "date": "2024-05-06"},
        "split": "train",
        "licence": "CC-BY-4.0",
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    left, right = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    right[5:15, 3:12], left[5:15, 18:27] = 255, 255
    labels = np.zeros(SIZE, np.uint8)
    labels[8:12, 13:17], labels[0, 0] = 2, 1
    for name, values in {
        "a": right // 2, "right": right, "left": left, "empty": right * 0, "labels": labels, "small": right[:-1],
        "full": right // 255 + 1,
    }.items():  # fmt: skip
        cv2.imwrite(str(tmp_path / f"{name}.png"), values)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    return tmp_path


def written(folder: Path, *lines: dict[str, Any] | str, name: str = "qa.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines), encoding="utf-8")
    return path


def test_a_file_that_keeps_all_rules(folder: Path) -> None:
    report = validate_records([written(folder, good_line())])
    assert report.problems == ()
    assert report.exit_code == 0
    assert (report.records, report.patients, report.targets) == (1, 1, 4)
    assert report.questions == {"explicit": 1, "history": 1, "absent": 2}
    assert report.splits == {"train": 1}


def test_all_of_a_label_map_may_be_a_target(folder: Path) -> None:
    line = good_line()
    line["targets"]["t5"] = {"label": "chest", "mask": {"path": "labels.png"}}
    assert validate_records([written(folder, line)]).problems == ()


def changed(*path: str | int, to: Any) -> Change:
    def change(line: dict[str, Any]) -> None:
        for key in path[:-1]:
            line = line[key]
        line[path[-1]] = to

    return change


TURNS = "conversations"
BROKEN: list[tuple[str, Change]] = [
    ("schema", changed("schema", to="medseg-qa/2")),
    ("turns", changed(TURNS, to=[])),
    ("turns", lambda line: line[TURNS].pop()),
    ("turns", lambda line: line[TURNS].reverse()),
    ("user_markup", changed(TURNS, 0, "text", to="Mark the right lung [SEG].")),
    ("user_markup", changed(TURNS, 0, "text", to="Mark the <p>right lung</p>.")),
    ("user_targets", changed(TURNS, 0, "targets", to=["t1"])),
    ("refers_to", changed(TURNS, 2, "refers_to", to=["t2"])),
    ("seg_count", changed(TURNS, 1, "targets", to=["t1", "t2"])),
    ("seg_count", changed(TURNS, 1, "text", to="Here it is.")),
    ("phrase_form", changed(TURNS, 1, "text", to="Here is the right lung [SEG].")),
    ("phrase_form", changed(TURNS, 1, "text", to="Here is the <p>right</p> <p>lung</p> [SEG].")),
    ("unknown_target", changed(TURNS, 1, "targets", to=["t9"])),
    ("absent_marked", lambda line: line[TURNS][5].update(text="Here is the <p>nodule</p> [SEG].", targets=["t3"])),
    ("absent_marked", changed(TURNS, 1, "targets", to=["t3"])),
    ("absent_present", changed(TURNS, 4, "text", to="Is there a Heart?")),
    ("absent_present", changed(TURNS, 6, "asked", to=["Left Lung"])),
    ("laterality", changed(TURNS, 1, "text", to="Here is the <p>left lung</p> [SEG].")),
    ("laterality", changed("targets", "t1", "laterality", to="L")),
    ("laterality", lambda line: line["image"].update(axis_codes="PR")),
    ("laterality", lambda line: (line["targets"]["t1"]["mask"].update(path="left.png"),
                                 line["targets"]["t2"]["mask"].update(path="right.png"))),
    ("image", changed("image", "path", to="none.png")),
    ("image", changed("image", "path", to="broken.png")),
    ("mask", changed("targets", "t2", "mask", to={"path": "none.png"})),
    ("mask", changed("targets", "t2", "mask", to={"rle": "5", "size": [2, 2]})),
    ("mask_binary", changed("targets", "t4", "mask", to={"path": "labels.png"})),
    ("mask_binary", changed("targets", "t1", "mask", to={"path": "full.png"})),
    ("mask_size", changed("targets", "t1", "mask", to={"path": "small.png"})),
    ("mask_size", changed("targets", "t3", "mask", to={"rle": [4], "size": [2, 2]})),
    ("private_text", changed(TURNS, 0, "text", to="Mark the right lung of DOE^JANE.")),
    ("private_text", changed("targets", "t4", "label", to="heart, DOB 3.4.1950")),
    ("private_text", changed("qa", "generator", to="from (0010,0010)")),
    ("private_text", changed("image", "source", to={"note": {"deep": ["PatientName"]}})),
    ("opaque_id", changed("patient", to="Jane Doe")),
    ("licence", changed("licence", to="")),
    ("licence", changed("licence", to="free for all")),
    ("review", changed("qa", "review", to="maybe")),
    ("spacing", changed("image", "spacing_mm", to=[0.5, 0])),
    ("spacing", changed("image", "spacing_mm", to=[0.5, 0.5, 3])),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "change"), BROKEN, ids=[f"{place}-{rule}" for place, (rule, _) in enumerate(BROKEN)])
def test_each_rule_bites(folder: Path, rule: str, change: Change) -> None:
    broken = copy.deepcopy(good_line())
    change(broken)
    broken.setdefault("id", "case-2")
    path = written(folder, {**good_line(), "id": "case-0"}, broken)
    report = validate_records([path])
    assert rule in {problem.rule for problem in report.problems}
    assert {problem.line for problem in report.problems} == {2}
    assert report.exit_code == 1
    assert str(report.problems[0]).startswith(f"{path}:2: ")


def test_every_rule_is_tested_and_told() -> None:
    whole_files = {"file", "id", "split"}  # below
    assert {rule for rule, _ in BROKEN} | whole_files == set(RULES)


def test_rules_across_lines_and_files(folder: Path) -> None:
    one, two = good_line(), good_line()
    two.update(split="test")
    first, second = written(folder, one), written(folder, "", two, "{", name="more.jsonl")
    report = validate_records([first, second, folder / "none.jsonl"])
    found = {(Path(problem.file).name, problem.line, problem.rule) for problem in report.problems}
    assert found == {
        ("qa.jsonl", 1, "split"),
        ("more.jsonl", 2, "split"),
        ("more.jsonl", 2, "id"),
        ("more.jsonl", 3, "schema"),
        ("none.jsonl", 0, "file"),
    }


def test_without_files_only_lines_are_checked(folder: Path) -> None:
    line = good_line()
    line["image"]["path"] = "none.png"
    assert validate_records([written(folder, line)], open_files=False).problems == ()


def test_problems_do_not_repeat_what_may_be_private(folder: Path) -> None:
    line = good_line()
    line["patient"] = "Jane Roe"
    line["conversations"][0]["text"] = "Mark the right lung of ROE^JANE, born on 3.4.1950."
    text = "\n".join(map(str, validate_records([written(folder, line)]).problems))
    assert text
    assert not {"Roe", "ROE", "Jane", "JANE", "1950"} & set(text.replace("^", " ").split())


@pytest.mark.parametrize(
    "text",
    ["(0010,0010)", "Patient's Name", "DOE^JOHN", "1.2.840.10008.1.2.1", "2021-03-04", "03.04.2021", "20210304",
     "DOB", "MRN 12345", "a.b@c.org", "+49 89 1234567", "Mr. Smith", "AccessionNumber"],
)  # fmt: skip
def test_signs_of_private_text(text: str) -> None:
    assert private_signs(f"Mark it. {text}")


@pytest.mark.parametrize(
    "text", ["Mark the 3 largest pieces, 1.5 cm each.", "TCGA-2Z-A9J9", "busi_normal_001", "COVID-19"]
)
def test_harmless_text_is_left_alone(text: str) -> None:
    assert private_signs(text) == ()


def test_the_command_says_where_and_how_many(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = written(folder, good_line())
    assert main(["validate", str(good)]) == 0
    assert "1 records of 1 patients, 4 targets" in capsys.readouterr().out
    line = {**good_line(), "licence": "mine"}
    bad = written(folder, line, name="bad.jsonl")
    assert main(["validate", str(bad), "--no-masks"]) == 1
    assert f"{bad}:1: licence: " in capsys.readouterr().out
