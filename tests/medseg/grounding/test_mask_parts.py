"""Halves and pieces of masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medseg.grounding.mask_parts import PARTS, part_of

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def test_halves_of_a_square() -> None:
    mask = np.zeros((6, 6), bool)
    mask[1:5, 1:5] = True
    assert np.argwhere(part_of(mask, "upper half")).max(0).tolist() == [2, 4]
    assert np.argwhere(part_of(mask, "right half")).min(0).tolist() == [1, 3]


def test_pieces_by_size_leave_crumbs_out() -> None:
    mask = np.zeros((20, 20), bool)
    mask[0:10, 0:10] = True
    mask[12:16, 12:16] = True
    mask[19, 0] = True  # a crumb
    assert part_of(mask, "largest piece").sum() == 100
    assert part_of(mask, "smallest piece").sum() == 16


def test_halves_of_a_volume_are_those_of_its_pictures() -> None:
    mask = np.zeros((3, 6, 8), bool)
    mask[:, 2:4, 1:7] = True
    left = part_of(mask, "left half")
    assert (left == mask & (np.arange(8) < 4)).all()


@given(MASKS)
def test_halves_make_the_whole(mask: np.ndarray) -> None:
    for one, other in (("upper half", "lower half"), ("left half", "right half")):
        first, second = part_of(mask, one), part_of(mask, other)
        assert not (first & second).any()
        assert ((first | second) == mask).all()


@given(MASKS)
def test_parts_lie_inside(mask: np.ndarray) -> None:
    for part in PARTS:
        assert not (part_of(mask, part) & ~mask).any()


@pytest.mark.parametrize("part", PARTS)
def test_nothing_has_no_parts(part) -> None:
    assert not part_of(np.zeros((4, 5), bool), part).any()
