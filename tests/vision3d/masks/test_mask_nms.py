"""Mask suppression against a loop over pairs, written down as the rules are said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.vision3d.masks.loop_over_pairs import keep_by_loop, pool_of_masks
from vision3d.errors import InvalidInputError
from vision3d.masks import mask_nms
from vision3d.masks.mask_nms import MaskNmsSettings, keep_masks, pairwise_intersections

SHAPES = arrays.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9)
SETTINGS = st.builds(
    MaskNmsSettings,
    iou=st.sampled_from([0.0, 0.25, 0.5, 0.8, 1.0]),
    score=st.sampled_from([0.0, 0.5, 0.7, 1.0]),
    inner=st.sampled_from([0.0, 0.5, 0.75, 1.0]),
)


@given(st.data(), SETTINGS)
def test_random_masks_stay_as_in_a_loop(data: st.DataObject, settings: MaskNmsSettings) -> None:
    masks = data.draw(arrays.arrays(bool, SHAPES))
    # few values, so that ties and scores on the threshold come up
    scores = data.draw(arrays.arrays(np.float64, len(masks), elements=st.sampled_from([0.0, 0.5, 0.7, 0.75, 0.9, 1.0])))
    assert keep_masks(masks, scores, settings).tolist() == keep_by_loop(masks, scores, settings)


@given(st.integers(0, 10_000), SETTINGS)
def test_nested_rectangles_stay_as_in_a_loop(seed: int, settings: MaskNmsSettings) -> None:
    random = np.random.default_rng(seed)
    masks = np.zeros((12, 20, 24), bool)
    for mask in masks:
        top, left = random.integers(0, 12, 2)
        mask[top : top + random.integers(0, 16), left : left + random.integers(0, 20)] = True
    scores = random.random(12).astype(np.float32)
    assert keep_masks(masks, scores, settings).tolist() == keep_by_loop(masks, scores, settings)


def test_a_pool_like_sams_stays_as_in_a_loop() -> None:
    masks, scores = pool_of_masks(40, 200)
    kept = keep_masks(masks, scores)
    assert kept.tolist() == keep_by_loop(masks, scores, MaskNmsSettings())
    assert 3 < len(kept) < 40  # the rules had something to do, and the fallback had not


@given(arrays.arrays(bool, SHAPES), st.sampled_from([0.0, 2.0]), st.sampled_from([1, 7, 2**24]))
def test_both_products_count_what_integers_count(masks: np.ndarray, dense_from: float, exact_below: int) -> None:
    flat = masks.reshape(len(masks), -1).astype(np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mask_nms, "_DENSE_FROM", dense_from)
        patch.setattr(mask_nms, "_EXACT_BELOW", exact_below + 1)
        patch.setattr(mask_nms, "_RUNS_AT_A_TIME", 3)
        assert np.array_equal(pairwise_intersections(masks), flat @ flat.T)


def test_three_best_masks_stay_where_none_would() -> None:
    masks = np.zeros((5, 4, 4), bool)
    for row in range(4):  # the fifth stays empty
        masks[row, row] = True
    scores = np.array([0.1, 0.4, 0.3, 0.2, 0.6])
    assert keep_masks(masks, scores).tolist() == [1, 2, 3]
    assert keep_masks(masks[:2], scores[:2]).tolist() == [1, 0]
    assert keep_masks(masks[4:], scores[4:]).tolist() == []
    assert keep_masks(masks[:0], scores[:0]).tolist() == []


def test_counts_above_single_precision_are_exact() -> None:
    # 2^24 + 1 of the pixels: the first whole number that single precision cannot hold
    masks = np.ones((1, 2**12 + 1, 2**12), bool)
    masks[0, -1, 1:] = False
    assert pairwise_intersections(masks).item() == 2**24 + 1


@pytest.mark.parametrize("scores", [np.zeros(1), np.array([0.5, np.nan])])
def test_scores_that_do_not_fit_are_refused(scores: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match="finite score for each of 2 masks"):
        keep_masks(np.ones((2, 3, 3), bool), scores)
