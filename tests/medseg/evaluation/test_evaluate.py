"""`evaluate` on segmenters whose scores are known by construction."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from medseg.errors import InvalidInputError, RecordError
from medseg.evaluation.case_log import CASES, read_cases
from medseg.evaluation.evaluate import EvaluateConfig, evaluate
from medseg.evaluation.figures import Bootstrap
from medseg.evaluation.report import EvaluationReport
from medseg.evaluation.turn_score import turn_from_json, turn_to_json
from medseg.inference.segmenter import ForcedSegmenter, Segmenter
from medseg.training.records import ImageFacts, QARecord, QATurn
from tests.medseg.evaluation.known_segmenters import (
    Breaking,
    Claiming,
    Copying,
    Empty,
    Perfect,
    Refusing,
    Shifted,
    Swapping,
    WordsOnly,
    picture_records,
    volume_record,
)

QUICK = EvaluateConfig(bootstrap=Bootstrap(rounds=5))


@pytest.fixture
def records(tmp_path: Path) -> list[QARecord]:
    return picture_records(tmp_path)


def figures(report: EvaluationReport, mode: str = "generated") -> dict[str, float]:
    return {name: figure.value for name, figure in report.overall[mode].items()}


def kinds(report: EvaluationReport, measure: str, mode: str = "generated") -> dict[str, float]:
    groups = report.groups["kind"]
    return {kind: group[mode][measure].value for kind, group in groups.items() if measure in group[mode]}


def test_the_perfect_one(records: list[QARecord]) -> None:
    report = evaluate(Perfect(), records, config=QUICK)
    for mode in ("generated", "forced"):
        found = figures(report, mode)
        for name in ("dice", "iou", "giou", "nsd_px", "matched_iou", "grounded", "in_order", "ciou", "ap50"):
            assert found[name] == 1, (mode, name)
        for name in ("hd95_px", "assd_px", "failure", "no_distance", "ece", "aurc"):
            assert found[name] == 0, (mode, name)
    found = figures(report)
    for name in ("t_acc", "n_acc", "phrase", "exact", "denial", "no_mask", "sides"):
        assert found[name] == 1, name
    assert found["invented"] == found["uncertain"] == 0
    assert "hd95_mm" not in found
    assert not report.worst
    assert not report.errors
    dice = report.overall["generated"]["dice"]
    assert (dice.low, dice.high, dice.patients, dice.turns) == (1, 1, 3, 8)


def test_volumes_are_measured_in_millimetres_and_millilitres(tmp_path: Path) -> None:
    record = volume_record(tmp_path)
    found = figures(evaluate(Perfect(), [record], config=QUICK))
    assert (found["dice"], found["hd95_mm"], found["nsd_mm"], found["volume_ml"], found["bias_ml"]) == (1, 0, 1, 0, 0)
    assert "hd95_px" not in found
    found = figures(evaluate(Shifted(), [record], config=QUICK))
    # Boxes of 20 voxels along i, moved by 2: 18 of 20 are shared; the far faces lie 2 x 1.0 mm apart.
    assert found["dice"] == pytest.approx(0.9)
    assert found["hd95_mm"] == pytest.approx(2.0)
    assert found["nsd_mm"] == 1
    assert found["volume_ml"] == 0


def test_the_empty_one(records: list[QARecord]) -> None:
    report = evaluate(Empty(), records, config=QUICK)
    found, forced = figures(report), figures(report, "forced")
    assert (found["dice"], found["t_acc"], found["n_acc"], found["failure"], found["no_distance"]) == (0, 0, 1, 1, 1)
    assert kinds(report, "giou") == {"multi": 0, "history": 0, "absent": 1}
    assert found["phrase"] == 1
    assert found["ap50"] == 0
    assert (forced["dice"], forced["failure"], forced["no_distance"]) == (0, 1, 1)
    assert "hd95_px" not in forced
    assert "ece" not in found


def test_the_swapping_one(records: list[QARecord]) -> None:
    report = evaluate(Swapping(), records, config=QUICK)
    for mode in ("generated", "forced"):
        assert kinds(report, "dice", mode) == {"multi": 0, "history": 1}
        assert kinds(report, "matched_iou", mode) == {"multi": 1, "history": 1}
        assert kinds(report, "in_order", mode) == {"multi": 0}
        assert kinds(report, "grounded", mode)["history"] == 1
    assert kinds(report, "phrase") == {"multi": 1, "history": 1}
    assert [score.kind for score in report.worst] == ["multi"] * 4


def test_the_refusing_one(records: list[QARecord]) -> None:
    report = evaluate(Refusing(), records, config=QUICK)
    found = figures(report)
    assert (found["dice"], found["t_acc"], found["n_acc"], found["phrase"]) == (0, 0, 1, 0)
    assert kinds(report, "denial") == {"multi": 0, "history": 0, "absent": 1, "text": 0}
    assert found["exact"] == 0
    assert kinds(report, "dice", "forced") == {"multi": 1, "history": 1}


def test_the_claiming_one(records: list[QARecord]) -> None:
    report = evaluate(Claiming(), records, config=QUICK)
    # A mask too many is never cut off: it takes a slot of its own.
    assert kinds(report, "dice") == {"multi": pytest.approx(2 / 3), "history": pytest.approx(1 / 2)}
    assert kinds(report, "n_acc") == {"absent": 0}
    assert kinds(report, "no_mask") == {"text": 0}
    assert kinds(report, "giou")["multi"] == pytest.approx(520 / 536)
    assert kinds(report, "giou")["absent"] == 0
    assert kinds(report, "invented") == {"multi": pytest.approx(1 / 3), "history": 0.5, "absent": 1, "text": 1}
    # Of the 7 masks of a dialogue, all of score 1, 3 are right; the gap is the share of the wrong ones.
    assert figures(report)["ece"] == pytest.approx(4 / 7)
    assert [score.kind for score in report.worst] == [*["absent", "text"] * 4, "history", "history"]


def test_an_answer_that_breaks_the_rules_counts_as_none(records: list[QARecord]) -> None:
    report = evaluate(Breaking(), records, config=QUICK)
    assert kinds(report, "dice") == {"multi": 1, "history": 0}
    assert len(report.errors) == 2 * len(records)
    assert "expected a mask of booleans" in report.errors[0].error


def test_history_is_the_segmenters_own(records: list[QARecord]) -> None:
    one = Perfect()
    evaluate(one, records[:1], config=QUICK)
    assert [turns for _, turns in one.asked] == [0, 1, 2, 3]


def test_no_true_mask_is_handed_in(records: list[QARecord]) -> None:
    report = evaluate(Copying(), records, config=QUICK)
    for mode in ("generated", "forced"):
        assert kinds(report, "dice", mode) == {"multi": 0, "history": 0}


def test_without_forced_answers_there_is_one_mode(records: list[QARecord]) -> None:
    assert isinstance(Perfect(), ForcedSegmenter)
    one = WordsOnly()
    assert isinstance(one, Segmenter)
    assert not isinstance(one, ForcedSegmenter)
    report = evaluate(one, records, config=QUICK)
    assert figures(report)["dice"] == 1
    assert not report.overall["forced"]


def test_files_and_going_on(records: list[QARecord], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    first = Perfect()
    evaluate(first, records[:2], folder, config=QUICK)
    cases = folder / CASES
    cases.write_text(cases.read_text() + '{"case": "case-2#0", "turns": [{"ca')  # the line a killed process leaves
    second = Perfect()
    report = evaluate(second, records, folder, config=QUICK)
    assert (len(first.asked), len(second.asked)) == (8, 8)
    assert [turn_to_json(score) for score in read_cases(folder)] == [turn_to_json(score) for score in report.scores]
    whole = json.loads((folder / "report.json").read_text())
    assert whole["overall"]["generated"]["dice"]["value"] == 1
    assert whole["groups"]["turn"]["2"]["forced"]["dice"]["value"] == 1
    text = (folder / "report.md").read_text()
    assert "Not a medical device" in text
    assert "| X-ray chest | 3 | 16 | 1.000 (1.000–1.000) | 1.000 (1.000–1.000) |" in text
    changed = [replace(records[0], split="test"), *records[1:]]
    third = Perfect()
    evaluate(third, changed, folder, config=QUICK)
    assert len(third.asked) == 4
    with pytest.raises(InvalidInputError, match=r"segmenter \(stored 'perfect', asked for 'empty'\)"):
        evaluate(Empty(), records, folder, config=QUICK)


def test_scores_survive_json(records: list[QARecord]) -> None:
    for score in evaluate(Empty(), records, config=QUICK).scores:
        again = turn_from_json(json.loads(json.dumps(turn_to_json(score), allow_nan=False)))
        assert turn_to_json(again) == turn_to_json(score)


def test_spacing_of_a_picture_comes_from_its_record(records: list[QARecord]) -> None:
    facts = ImageFacts(path=records[0].image.path, spacing_mm=(0.5, 0.25))  # down, across
    found = figures(evaluate(Shifted(), [replace(records[0], image=facts)], config=QUICK))
    assert found["hd95_mm"] == pytest.approx(2 * 0.25)
    assert "volume_ml" not in found


def test_broken_records_are_named(records: list[QARecord]) -> None:
    with pytest.raises(InvalidInputError, match="twice"):
        evaluate(Perfect(), [records[0], records[0]], config=QUICK)
    with pytest.raises(InvalidInputError, match="expected records with dialogues"):
        evaluate(Perfect(), [replace(records[0], conversations=())], config=QUICK)
    lonely = (QATurn(role="user", text="Where?", kind="explicit"),)
    with pytest.raises(RecordError, match="pairs of question and answer"):
        evaluate(Perfect(), [replace(records[0], conversations=(lonely,))], config=QUICK)
