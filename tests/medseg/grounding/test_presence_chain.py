"""Presence along slices: against all courses tried one by one, and runs worked by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.errors import InvalidInputError
from medseg.grounding.presence_chain import most_likely_presence, run_through

_EVIDENCE = st.lists(st.floats(-8, 8), min_size=1, max_size=7)


def _log_chance(course: tuple[bool, ...], evidence: list[float], stay: float) -> float:
    said = sum(-np.log1p(np.exp(-odds if here else odds)) for here, odds in zip(course, evidence, strict=True))
    return said + sum(np.log(stay if one == two else 1 - stay) for one, two in itertools.pairwise(course))


@settings(max_examples=60, deadline=None)
@given(_EVIDENCE, st.floats(0.5, 0.99), st.integers(0, 6))
def test_no_other_course_is_likelier(evidence, stay, place):
    certain = place if place < len(evidence) else None
    found = tuple(most_likely_presence(np.array(evidence), stay, certain).tolist())
    courses = itertools.product((False, True), repeat=len(evidence))
    best = max(_log_chance(one, evidence, stay) for one in courses if certain is None or one[certain])
    assert certain is None or found[certain]
    assert _log_chance(found, evidence, stay) == pytest.approx(best, abs=1e-9)


@given(_EVIDENCE)
def test_slices_that_know_nothing_of_each_other_are_judged_alone(evidence):
    odds = np.array(evidence)
    found = most_likely_presence(odds, 0.5)
    assert np.array_equal(found[abs(odds) > 1e-6], (odds > 0)[abs(odds) > 1e-6])


def test_a_lucky_slice_starts_nothing_and_a_wrong_one_tears_nothing():
    evidence = np.array([-4.0, -4, 1, -4, -4, 3, 3, -1, 3, 3])
    assert most_likely_presence(evidence, 0.9).nonzero()[0].tolist() == [5, 6, 7, 8, 9]
    assert most_likely_presence(np.array([np.inf, -np.inf, np.inf]), 0.6).tolist() == [True, False, True]
    assert most_likely_presence(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize(("evidence", "stay", "certain"), [([np.nan], 0.9, None), ([1.0], 1.0, None), ([1.0], 0.9, 1)])
def test_what_no_chain_can_be_made_of_is_refused(evidence, stay, certain):
    with pytest.raises(InvalidInputError, match=r"stay of 0\.5"):
        most_likely_presence(np.array(evidence), stay, certain)


def test_a_run_ends_at_the_border_or_after_a_gap():
    areas = np.array([5, 6, 0, 7, 0, 0, 8])
    assert run_through(areas > 0, areas, 3, gap=2).tolist() == [True, True, False, True, False, False, False]
    assert run_through(areas > 0, areas, 3, gap=3)[6]
    assert not run_through(areas > 0, areas, 2).any()


def test_a_slice_that_draws_almost_nothing_counts_as_one_without():
    areas = np.array([100, 1, 1, 50])
    assert run_through(areas > 0, areas, 0, gap=2).tolist() == [True, False, False, False]
    assert run_through(areas > 0, areas, 0, gap=2, least_share=0).all()
