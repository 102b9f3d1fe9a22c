"""Means over patients, their intervals, and the comparison of two runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.errors import InvalidInputError
from medseg.evaluation.figures import Bootstrap, mean_figure, mean_of_sets, pooled_figure
from medseg.evaluation.overlap import Overlap
from medseg.evaluation.paired_comparison import compare_runs, holm
from medseg.evaluation.pooled_measures import POOLED
from medseg.evaluation.report_files import comparison_markdown
from medseg.evaluation.turn_score import TargetScore, TurnScore


def turn(patient: str, shared: int, *, case: str = "a#0", of: str = "s", number: int = 1) -> TurnScore:
    """A question about one target of 100 voxels, answered by 100 voxels of which `shared` are right."""
    counts = Overlap(shared=shared, predicted=100, reference=100)
    return TurnScore(
        case=case, patient=patient, set=of, turn=number, kind="explicit", wording="train", mode="generated",
        question="?", expected="", said="", seconds=0.0, in_mm=True,
        targets=(TargetScore(reference="liver", predicted="liver", overlap=counts, score=0.5),), whole=counts,
    )  # fmt: skip


def dice(score: TurnScore) -> float:
    return score.targets[0].overlap.dice


def test_patients_weigh_the_same_however_often_they_are_asked() -> None:
    scores = [turn("often", 100, number=number) for number in range(9)] + [turn("once", 0)]
    found = mean_figure(scores, dice, Bootstrap())
    assert (found.value, found.patients, found.turns) == (0.5, 2, 10)
    assert (found.low, found.high) == (0, 1)


def test_sets_weigh_the_same_in_their_mean() -> None:
    scores = [turn(f"p{number}", 100, of="large") for number in range(9)] + [turn("q", 50, of="small")]
    assert mean_figure(scores, dice, Bootstrap()).value == pytest.approx(0.95)
    assert mean_of_sets(scores, dice, Bootstrap()).value == pytest.approx(0.75)


def test_the_interval_is_that_of_the_mean() -> None:
    values = np.random.default_rng(1).integers(20, 90, size=200)
    found = mean_figure([turn(f"p{place}", int(value)) for place, value in enumerate(values)], dice, Bootstrap())
    error = float((values / 100).std(ddof=1) / math.sqrt(200))
    assert found.low == pytest.approx(found.value - 1.96 * error, abs=0.25 * error)
    assert found.high == pytest.approx(found.value + 1.96 * error, abs=0.25 * error)
    again = mean_figure([turn(f"p{place}", int(value)) for place, value in enumerate(values)], dice, Bootstrap())
    assert again == found


def test_no_interval_of_one_patient() -> None:
    found = mean_figure([turn("p", 40), turn("p", 60, number=2)], dice, Bootstrap())
    assert found.value == pytest.approx(0.5)
    assert math.isnan(found.low)


def test_pooled_figures() -> None:
    scores = [turn("p", 100), turn("q", 0)]
    found = pooled_figure(scores, POOLED["ciou"], Bootstrap(rounds=100))
    assert found.value == pytest.approx(100 / 300)
    assert (found.low, found.high) == (0, 1)
    assert POOLED["ece"].of(scores) == 0  # of two masks of score 0.5 one is right
    assert POOLED["aurc"].of(scores) == pytest.approx(0.5)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.02, 0.5]) == pytest.approx([0.03, 0.04, 0.5])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_only_raises_and_keeps_the_order(values: list[float]) -> None:
    fixed = holm(values)
    assert all(one >= value for one, value in zip(fixed, values, strict=True))
    assert all(one <= 1 for one in fixed)
    order = np.argsort(values, kind="stable")
    assert list(np.array(fixed)[order]) == sorted(fixed)
    assert max(fixed) <= min(1.0, len(values) * max(values)) + 1e-12


def test_two_runs_are_compared_patient_by_patient() -> None:
    first = [turn(f"p{number}", 60 + number, case=f"{number}#0") for number in range(6)]
    second = [turn(f"p{number}", 50, case=f"{number}#0") for number in range(6)]
    (row, *_) = compare_runs(first, [*second, turn("other", 0, case="other#0")], measures=("dice",))
    assert (row.patients, row.difference) == (6, pytest.approx(0.125))
    # All six differences have one sign: the exact two-sided probability is 2 of 2**6.
    assert row.p == pytest.approx(2 / 64)
    assert row.p_holm == row.p
    assert row.low > 0
    assert "| dice | 0.625 | 0.500 | 0.125" in comparison_markdown([row], "new", "old")


def test_equal_runs_do_not_differ() -> None:
    scores = [turn(f"p{number}", 50, case=f"{number}#0") for number in range(4)]
    rows = compare_runs(scores, scores)
    assert {row.p_holm for row in rows} == {1.0}
    assert {row.difference for row in rows} == {0.0}


def test_runs_of_other_records_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="no shared question"):
        compare_runs([turn("p", 50, case="a#0")], [turn("p", 50, case="b#0")])
    with pytest.raises(InvalidInputError, match="'beauty'"):
        compare_runs([turn("p", 50)], [turn("p", 50)], measures=("beauty",))
