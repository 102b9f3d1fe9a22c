"""Grouping masks by what views agree on: cases worked by hand, and the parts against plain loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy import ndarray
from scipy.sparse import csr_array

from vision3d.errors import InvalidInputError
from vision3d.laga.mask_graph import MaskGraphConfig, dominant_rows, group_masks, object_weights

_A, _B, _BOTH = [0, 1, 2], [3, 4], [0, 1, 2, 3, 4]
"""Gaussians of the two things in these scenes; the first is the heavier one."""
_CONFIG = MaskGraphConfig(minimum_masks=3)


def _scene(*views: list[list[int]]) -> tuple[csr_array, ndarray, csr_array]:
    """Masks, their views and views from lists of Gaussians, one weight each."""
    masks = [(view, mask) for view, masks in enumerate(views) for mask in masks]
    rows, seen = np.zeros((len(masks), 5), np.float32), np.zeros((len(views), 5), np.float32)
    for number, (view, mask) in enumerate(masks):
        rows[number, mask] = 1
        seen[view, mask] = 1
    return csr_array(rows), np.array([view for view, _ in masks]), csr_array(seen)


def test_clean_masks_are_grouped_and_numbered_by_weight() -> None:
    rows, view_of, seen = _scene([_B, _A], [_A, _B], [_A, _B])
    assert group_masks(rows, view_of, seen, _CONFIG).tolist() == [1, 0, 0, 1, 0, 1]


def test_a_thing_cut_in_two_in_one_view_stays_one() -> None:
    # both halves lie in one mask in four of four other views, so they are one with it
    rows, view_of, seen = _scene(*[[_A, _B]] * 4, [[0, 1], [2], _B])
    assert group_masks(rows, view_of, seen, replace(_CONFIG, consensus=0.75)).tolist() == [0, 1] * 4 + [0, 0, 1]


def test_things_merged_in_one_view_stay_two() -> None:
    # of five views that see A and B one holds both: 0.2 < 0.9. Four of four others tear the merged mask: 1 > 0.4; it
    # then lies in A with 3 of its 5 Gaussians
    rows, view_of, seen = _scene(*[[_A, _B]] * 4, [_BOTH])
    assert group_masks(rows, view_of, seen, replace(_CONFIG, join_share=0.6)).tolist() == [0, 1] * 4 + [0]
    assert group_masks(rows, view_of, seen, replace(_CONFIG, join_share=0.61)).tolist() == [0, 1] * 4 + [-1]


def test_consensus_is_the_share_of_common_views_that_hold_both() -> None:
    # three views hold A and B in one mask, the last in two. The merged masks are torn by one of three: 0.33 < 0.4;
    # any two masks have four common views, three of which hold both: 0.75
    rows, view_of, seen = _scene([_BOTH], [_BOTH], [_BOTH], [_A, _B])
    assert group_masks(rows, view_of, seen, replace(_CONFIG, consensus=0.75)).tolist() == [0] * 5
    assert group_masks(rows, view_of, seen, replace(_CONFIG, consensus=0.76)).tolist() == [-1] * 5


def test_masks_of_too_few_views_are_no_object_but_join_what_holds_them() -> None:
    rows, view_of, seen = _scene(*[[_A]] * 3, [_B], [_B], [[0]])
    config = replace(_CONFIG, minimum_masks=4)
    # A has three masks and the single Gaussian of the last view; B two
    assert group_masks(rows, view_of, seen, config).tolist() == [0, 0, 0, -1, -1, 0]
    assert group_masks(rows, view_of, seen, replace(config, minimum_masks=5)).tolist() == [-1] * 6


def test_views_that_do_not_see_a_mask_say_nothing() -> None:
    # view 3 sees one Gaussian of three of A (0.33), in a mask with B: below the visible share it is no evidence
    views = [[_A, _B], [_A, _B], [_A, _B], [[2, 3, 4]]]
    rows, view_of, seen = _scene(*views)
    strict = replace(_CONFIG, visible_share=0.5, torn_share=0.3)
    assert group_masks(rows, view_of, seen, strict).tolist() == [0, 1, 0, 1, 0, 1, 1]


def test_a_gaussian_shared_by_two_masks_counts_by_its_parts() -> None:
    # Gaussian 3 of a view lies to 0.6 in the first mask and to 0.4 in the second. In three equal views each mask holds
    # its like: (3 + 0.6 * 0.6) / 3.6 = 0.93 and (1 + 0.4 * 0.4) / 1.4 = 0.83 of it
    rows = csr_array(np.array([[1, 1, 1, 0.6, 0], [0, 0, 0, 0.4, 1]] * 3, np.float32))
    seen = csr_array(np.ones((3, 5), np.float32))
    view_of = np.repeat(np.arange(3), 2)
    assert group_masks(rows, view_of, seen, replace(_CONFIG, contained_share=0.82)).tolist() == [0, 1] * 3
    # held by no view, the second ones are torn and join nothing; the first ones remain
    assert group_masks(rows, view_of, seen, replace(_CONFIG, contained_share=0.84)).tolist() == [0, -1] * 3


def test_no_masks_and_masks_without_weight_give_no_objects() -> None:
    seen = csr_array(np.ones((2, 5), np.float32))
    none = csr_array((0, 5), dtype=np.float32)
    assert group_masks(none, np.zeros(0, np.int64), seen, _CONFIG).tolist() == []
    empty = csr_array((3, 5), dtype=np.float32)
    assert group_masks(empty, np.array([0, 1, 1]), seen, _CONFIG).tolist() == [-1] * 3


@pytest.mark.parametrize("wrong", [{"consensus": 0.0}, {"contained_share": 1.2}, {"rounds": 0}, {"minimum_masks": 0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match="expected shares above 0"):
        MaskGraphConfig(**wrong)  # pyright: ignore[reportArgumentType]


def test_object_weights_and_dominant_rows_are_those_of_plain_loops() -> None:
    random = np.random.default_rng(0)
    rows = (random.integers(0, 4, (12, 30)) * (random.random((12, 30)) < 0.4)).astype(np.float32)  # with many ties
    member = random.integers(-1, 4, 12)
    weights = object_weights(csr_array(rows), member, 4)
    expected = np.stack([rows[member == number].sum(0) for number in range(4)])
    np.testing.assert_array_equal(weights.toarray(), expected)
    best = [-1 if column.max() == 0 else int(column.argmax()) for column in expected.T]
    assert -1 in best
    assert dominant_rows(weights).tolist() == best
    # a stored zero is no weight
    zeros = csr_array((np.zeros(1, np.float32), ([0], [1])), shape=(2, 3))
    assert dominant_rows(zeros).tolist() == [-1, -1, -1]
