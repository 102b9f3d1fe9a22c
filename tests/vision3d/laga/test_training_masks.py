"""Which masks train, on label maps small enough to judge by eye."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vision3d.laga.training_masks import choose_training_masks, mask_ious
from vision3d.masks.view_masks import ViewMasks


def _masks(*levels: list[list[int]]) -> ViewMasks:
    names = tuple("sml"[: len(levels)])
    return ViewMasks(labels=np.array([levels], np.int16), view_names=("a",), level_names=names, source="hand")


def test_small_masks_are_left_out_and_the_others_counted_anew() -> None:
    masks = _masks([[0, 1, 1, 1], [2, 2, 2, -1]])
    training = choose_training_masks(masks, minimum_pixels=1, duplicate_iou=0.8)
    assert training.counts(0) == [2]
    assert training.labels_at(0, None).tolist() == [[-1, 0, 0, 0, 1, 1, 1, -1]]
    assert training.labels_at(0, torch.tensor([7, 4, 4, 0])).tolist() == [[-1, 1, 1, -1]]


def test_the_minimum_itself_is_too_small() -> None:
    training = choose_training_masks(_masks([[0, 0, 1, 1, 1]]), minimum_pixels=2, duplicate_iou=0.8)
    assert training.labels_at(0, None).tolist() == [[-1, -1, 0, 0, 0]]


def test_a_coarse_mask_that_repeats_any_finer_one_does_not_train() -> None:
    # medium mask 0 overlaps small mask 1 with IoU 4/5; medium mask 1 holds small masks 3 and 4, IoU 1/2 each
    masks = _masks([[0, 1, 1, 1, 1, 2, 3, 4]], [[-1, 0, 0, 0, 0, 0, 1, 1]])
    at = {limit: choose_training_masks(masks, minimum_pixels=0, duplicate_iou=limit).labels_at(0, None)[1].tolist()
          for limit in (0.8, 0.81)}  # fmt: skip
    assert at == {0.8: [-1, -1, -1, -1, -1, -1, 0, 0], 0.81: [-1, 0, 0, 0, 0, 0, 1, 1]}


def test_small_fine_masks_still_make_a_coarse_one_a_repetition() -> None:
    # small mask 1 is too small to train, and medium mask 0 is equal to it; medium mask 1 is new
    masks = _masks([[0, 0, 0, 1, 1, -1, -1, -1, -1]], [[-1, -1, -1, 0, 0, 1, 1, 1, 1]])
    training = choose_training_masks(masks, minimum_pixels=1, duplicate_iou=0.8)
    assert training.labels_at(0, None)[1].tolist() == [-1, -1, -1, -1, -1, 0, 0, 0, 0]


def test_a_level_of_repetitions_only_keeps_them() -> None:
    same = [[0, 0, 1, 1]]
    training = choose_training_masks(_masks(same, same, same), minimum_pixels=0, duplicate_iou=0.8)
    assert training.counts(0) == [2, 2, 2]


def test_views_without_masks_have_none() -> None:
    empty = [[-1, -1]]
    training = choose_training_masks(_masks(empty, [[0, 0]]), minimum_pixels=0, duplicate_iou=0.8)
    assert training.counts(0) == [0, 1]
    assert training.labels_at(0, torch.tensor([1])).tolist() == [[-1], [0]]


_labels = arrays(np.int64, 30, elements=st.integers(-1, 4))


@given(one=_labels, other=_labels)
def test_overlaps_equal_those_counted_pair_by_pair(one: np.ndarray, other: np.ndarray) -> None:
    found = mask_ious(one, other)
    assert found.shape == (one.max(initial=-1) + 1, other.max(initial=-1) + 1)
    for row, column in np.ndindex(*found.shape):
        inside, outside = one == row, other == column
        union = int((inside | outside).sum())
        assert found[row, column] == ((inside & outside).sum() / union if union else 0.0)
