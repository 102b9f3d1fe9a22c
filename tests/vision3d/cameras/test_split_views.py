"""Splits: every view in exactly one list, in sorted order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vision3d.cameras.small_scenes import refused
from vision3d.cameras.split_views import split_views
from vision3d.errors import InvalidInputError

NAMES = [f"{number:02d}.png" for number in range(10)]


def test_every_eighth_of_the_sorted_names_is_held_out_from_the_first_on() -> None:
    split = split_views(NAMES[::-1])
    assert split.test == ("00.png", "08.png")
    assert split.train == tuple(name for name in NAMES if name not in split.test)


def test_zero_holds_out_nothing_even_where_the_scene_does() -> None:
    assert split_views(NAMES, every=0, held_out=["01.png"]).test == ()
    assert split_views(NAMES, every=0).train == tuple(NAMES)


def test_the_scene_s_own_choice_wins() -> None:
    split = split_views(NAMES, every=2, held_out=["03.png", "not there.png"])
    assert split.test == ("03.png",)
    assert len(split.train) == 9


@given(names=st.sets(st.text("abc", min_size=1), min_size=2), every=st.integers(2, 12))
def test_each_view_is_in_exactly_one_list(names: set[str], every: int) -> None:
    split = split_views(sorted(names), every=every)
    assert sorted(split.train + split.test) == sorted(names)
    assert len(split.test) == -(-len(names) // every)


@pytest.mark.parametrize("every", [1, -3])
def test_a_step_that_leaves_nothing_is_refused(every: int) -> None:
    with refused(InvalidInputError, str(every)):
        split_views(NAMES, every=every)


def test_nothing_left_to_train_on_is_refused() -> None:
    with refused(InvalidInputError, "1 views with 1 held out"):
        split_views(["a"])
    with refused(InvalidInputError, "2 views with 2 held out"):
        split_views(["a", "b"], held_out=["a", "b"])
    with refused(InvalidInputError, "0 views"):
        split_views([])
