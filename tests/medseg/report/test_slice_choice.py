"""The slices a person sees are those where the findings are largest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.errors import InvalidInputError
from medseg.report.slice_choice import informative_slices, slice_areas
from medseg.study.slice_plan import plan_slices
from tests.medseg.report.made_results import box, ct, finding, result


def test_a_single_finding_is_shown_where_it_is_largest() -> None:
    volume = ct((10, 10, 9))
    mask = box(volume, (2, 4), (2, 4), (0, 9)) | box(volume, (2, 9), (2, 9), (6, 7))
    choice = informative_slices(result(volume, [finding(volume, "a", mask)]), plan_slices(volume), least=1)
    assert choice.slices == (6,)
    assert choice.largest == {1: 6}


def test_findings_share_a_slice_where_both_are_nearly_largest() -> None:
    volume = ct((30, 30, 9))
    first = box(volume, (0, 10), (0, 10), (2, 6)) | box(volume, (10, 15), (0, 1), (2, 3))  # 105, then 100 pixels
    second = box(volume, (20, 30), (0, 10), (4, 8))
    asked = result(volume, [finding(volume, "a", first), finding(volume, "b", second)])
    choice = informative_slices(asked, plan_slices(volume), least=1)
    assert choice.slices == (4,)
    assert choice.largest == {1: 2, 2: 4}


def test_nothing_found_shows_the_middle() -> None:
    volume = ct((10, 10, 9))
    choice = informative_slices(result(volume, [finding(volume, "a")]), plan_slices(volume))
    assert (choice.slices, choice.largest, choice.unseen) == ((4,), {}, ())


def test_what_does_not_fit_is_named() -> None:
    volume = ct((10, 10, 9))
    found = [finding(volume, "a", box(volume, (0, 5), (0, 5), (k, k + 1))) for k in (1, 4, 7)]
    choice = informative_slices(result(volume, found), plan_slices(volume), most=2)
    assert len(choice.slices) == 2
    assert len(choice.unseen) == 1
    with pytest.raises(InvalidInputError, match="at least 1"):
        informative_slices(result(volume, found), plan_slices(volume), most=0)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), findings=st.integers(1, 5))
def test_each_finding_is_seen_at_nine_tenths_where_there_is_room(seed: int, findings: int) -> None:
    volume = ct((6, 5, 7))
    masks = np.random.default_rng(seed).random((findings, 6, 5, 7)) < 0.2
    asked = result(volume, [finding(volume, "a", mask) for mask in masks if mask.any()])
    plan = plan_slices(volume)
    choice = informative_slices(asked, plan)
    areas = slice_areas(asked, plan)
    assert (areas[:, choice.slices].max(axis=1) >= 0.9 * areas.max(axis=1)).all()
    assert choice.slices == tuple(sorted(set(choice.slices)))
    assert not choice.unseen
