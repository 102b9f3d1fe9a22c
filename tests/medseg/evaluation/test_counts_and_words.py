"""Matching, calibration, volumes, names and answers in words, against cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from medseg.evaluation.answer_rules import denies, same_answer, sides_said
from medseg.evaluation.calibration import calibration_error, risk_area, risk_coverage
from medseg.evaluation.matching import average_precision, detection_hits, greedy_pairs
from medseg.evaluation.phrases import known_structure, name_similarity, names_found, same_structure
from medseg.evaluation.score_turn import Expected, Grid, Question, SaidAnswer, Shown, score_turn
from medseg.evaluation.turn_score import TurnScore
from medseg.evaluation.volume_agreement import volume_agreement

SHARES = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=5), elements=st.floats(0, 1))


@given(SHARES)
def test_as_many_pairs_as_there_can_be_each_once(values: np.ndarray) -> None:
    pairs = greedy_pairs(values)
    assert len(pairs) == min(values.shape)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert [values[pair] for pair in pairs] == sorted((values[pair] for pair in pairs), reverse=True)


def test_greedy_is_not_the_best_sum() -> None:
    # 0.9 is taken first, though 0.8 + 0.7 would be more in all.
    assert greedy_pairs(np.array([[0.9, 0.8], [0.7, 0.0]]), least=0.5) == [(0, 0)]


def test_hits_follow_scores() -> None:
    values = np.array([[0.6], [0.9], [0.4]])
    assert detection_hits(values, [0.9, 0.8, 0.7]) == [True, False, False]
    assert detection_hits(values, [0.1, 0.8, 0.7]) == [False, True, False]
    assert detection_hits(np.zeros((2, 0)), [0.5, 0.4]) == [False, False]


def test_average_precision_by_hand() -> None:
    # Recall 1/2 at precision 1, recall 1 at precision 2/3: 51 places of 101 have precision 1, 50 have 2/3.
    found = average_precision([True, False, True], [0.9, 0.8, 0.7], 2)
    assert found == pytest.approx((51 + 50 * 2 / 3) / 101)
    # One of four references found: recall 0.25 is reached by 26 places.
    assert average_precision([True], [0.5], 4) == pytest.approx(26 / 101)
    assert average_precision([], [], 3) == 0
    assert math.isnan(average_precision([False], [0.5], 0))


def test_calibration_by_hand() -> None:
    assert calibration_error([1.0, 1.0], [True, True]) == 0
    assert calibration_error([1.0, 1.0], [False, False]) == 1
    # Bins [0.6, 0.7): mean 0.65, half right; [0.2, 0.3): 0.25, none right.
    assert calibration_error([0.65, 0.65, 0.25, 0.25], [True, False, False, False]) == pytest.approx(0.2)
    assert math.isnan(calibration_error([], []))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_calibration_lies_between_the_whole_gap_and_one(pairs: list[tuple[float, bool]]) -> None:
    scores, right = [score for score, _ in pairs], [hit for _, hit in pairs]
    found = calibration_error(scores, right)
    assert abs(np.mean(scores) - np.mean(right)) - 1e-9 <= found <= 1 + 1e-9


def test_risk_and_coverage_by_hand() -> None:
    coverage, risk = risk_coverage([0.9, 0.5, 0.5, 0.1], [0.0, 0.2, 0.4, 1.0])
    assert coverage == pytest.approx([0.25, 0.75, 1.0])  # equal scores are kept together
    assert risk == pytest.approx([0.0, 0.2, 0.4])
    assert risk_area([0.9, 0.5, 0.5, 0.1], [0.0, 0.2, 0.4, 1.0]) == pytest.approx(0.5 * 0.2 + 0.25 * 0.4)


def test_agreement_of_volumes_by_hand() -> None:
    found = volume_agreement([12.0, 8.0, 13.0], [10.0, 10.0, 10.0])  # differences 2, -2, 3: mean 1, deviation sqrt(7)
    assert found.bias_ml == pytest.approx(1.0)
    assert (found.low_ml, found.high_ml) == pytest.approx((1 - 1.96 * 7**0.5, 1 + 1.96 * 7**0.5))
    assert math.isnan(volume_agreement([1.0], [2.0]).high_ml)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("lungs", "the lung", True),
        ("Left lung", "left  lungs", True),
        ("left lung", "right lung", False),
        ("myocardium", "heart muscle", True),
        ("pelvis", "pelvi", False),
        ("kidney tumour", "renal mass", True),
        ("kidney", "kidney tumour", False),
    ],
)
def test_names(one: str, other: str, same: bool) -> None:
    assert same_structure(one, other) is same
    assert same_structure(other, one) is same


def test_names_are_counted_once() -> None:
    assert names_found(["nucleus", "nucleus"], ["nucleus"]) == 1
    assert names_found(["nucleus"], ["nucleus", "nuclei"]) == 1
    assert name_similarity("upper half of the lung", "lung") == pytest.approx(1 / 3)
    assert known_structure("left lung", ["lungs"])
    assert not known_structure("heart shadow", ["lungs"])


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("There are no lungs in the image.", True),
        ("I cannot find a spleen here.", True),
        ("It doesn\u2019t show a polyp.", True),
        ("Here is the <p>nodule</p> [SEG].", False),
        ("I noted the lungs.", False),
    ],
)
def test_denials(text: str, denied: bool) -> None:
    assert denies(text) is denied


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("The right lung.", {"right"}),
        ("Bilateral effusions.", {"left", "right"}),
        ("Both lungs are marked.", {"left", "right"}),
        ("Right, here is the liver.", set()),
        ("I marked it right away on the left side.", {"left"}),
        ("A bright spot.", set()),
    ],
)
def test_sides(text: str, sides: set[str]) -> None:
    assert sides_said(text) == sides


def test_same_answers() -> None:
    assert same_answer("An X-ray.", "an x ray")
    assert not same_answer("An X-ray.", "A CT.")


def square(place: int, size: int = 4) -> np.ndarray:
    mask = np.zeros((40, 10, 1), dtype=bool)
    mask[place : place + size, :size] = True
    return mask


def scored(shown: list[tuple[str, np.ndarray]], targets: list[tuple[str, np.ndarray]], **more: str) -> TurnScore:
    grid = Grid(shape=(40, 10, 1), voxel_to_ras=np.eye(4), in_mm=False)
    kind = more.get("kind", "multi")
    question = Question(case="a#0", patient="p", set="s", turn=1, kind=kind, wording="train", text="?")
    said = SaidAnswer(text="", shown=tuple(Shown(label=name, mask=mask, score=0.5) for name, mask in shown))
    asked = tuple(more.get("asked", "").split()) if more.get("asked") else ()
    return score_turn(question, "generated", said, Expected(text="", targets=tuple(targets), asked=asked), grid)


def test_unmatched_on_both_sides_are_kept() -> None:
    many = scored([("nucleus", square(0)), ("nucleus", square(30))], [("nucleus", square(0))])
    assert [(one.reference, one.predicted) for one in many.targets] == [("nucleus", "nucleus"), ("", "nucleus")]
    assert many.targets[1].overlap.predicted == 16
    few = scored([("nucleus", square(10))], [("nucleus", square(0)), ("nucleus", square(10))])
    assert [(one.reference, one.predicted) for one in few.targets] == [("nucleus", ""), ("nucleus", "nucleus")]
    assert few.matched_iou == 0.5
    assert few.grounded == 1


def test_a_wrong_phrase_does_not_take_a_mask_from_a_right_one() -> None:
    targets = [("liver", square(0)), ("spleen", square(10)), ("kidney", square(20))]
    found = scored([("thing", square(20)), ("spleen", square(10)), ("liver", square(0))], targets)
    assert [one.predicted for one in found.targets] == ["liver", "spleen", "thing"]
    assert [one.overlap.dice for one in found.targets] == [1, 1, 1]
    assert (found.names_right, found.invented) == (2, 1)


def test_order_of_masks_follows_phrases() -> None:
    targets = [("liver", square(0)), ("spleen", square(10))]
    assert scored([("spleen", square(10)), ("liver", square(0))], targets).in_order is True
    assert scored([("spleen", square(0)), ("liver", square(10))], targets).in_order is False
    assert scored([("this", square(10)), ("that", square(0))], targets).in_order is False
    assert scored([("liver", square(0))], targets).in_order is None


def test_absence_by_name_beside_what_is_there() -> None:
    targets = [("liver", square(0))]
    right = scored([("liver", square(0))], targets, asked="liver spleen")
    assert (right.absent, right.absent_declared) == (1, 1)
    wrong = scored([("liver", square(0)), ("spleen", square(20))], targets, asked="liver spleen")
    assert (wrong.absent, wrong.absent_declared) == (1, 0)
    claimed = scored([("liver", square(0))], [], kind="absent", asked="spleen")
    assert (claimed.absent, claimed.absent_declared) == (1, 0)
    assert claimed.whole.iou == 0
    assert scored([], [], kind="absent").whole.iou == 1
