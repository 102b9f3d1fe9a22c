"""Scores worked by hand, and the smoothed peak against OpenCV's filter."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.evaluation.phrase_truth import PhraseTruth
from vision3d.evaluation.scores import (
    PairScore,
    class_ious,
    localisation_accuracy,
    macro_mean,
    mean_class_iou,
    mean_iou,
    micro_mean,
    peak_in_boxes,
    phrase_ious,
    relevance_peaks,
    score_pair,
    share_above,
)


def pair(phrase: str, intersection: int, union: int, localised: bool | None = None, view: str = "a") -> PairScore:
    return PairScore(view_name=view, phrase=phrase, intersection=intersection, union=union, localised=localised)


def block(height: int, width: int, rows: slice, columns: slice) -> Tensor:
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[rows, columns] = True
    return mask


def test_overlap_worked_by_hand():
    truth = PhraseTruth(
        view_name="a", phrase="mug", mask=block(40, 50, slice(0, 4), slice(0, 5)), boxes=torch.tensor([[0.0, 0, 4, 3]])
    )
    relevance = torch.zeros(40, 50)
    relevance[30, 40] = 1.0
    score = score_pair(truth, block(40, 50, slice(2, 6), slice(0, 5)), relevance)
    # 20 and 20 pixels share rows 2 and 3: 10 of 30.
    assert (score.intersection, score.union, score.localised) == (10, 30, False)
    assert score.iou == pytest.approx(1 / 3)
    assert (score.view_name, score.phrase) == ("a", "mug")


@given(st.integers(0, 10_000))
def test_laws_of_the_overlap(seed: int):
    random = torch.Generator().manual_seed(seed)
    one, other = torch.rand(2, 6, 7, generator=random) > 0.5
    boxes, relevance = torch.zeros(0, 4), torch.zeros(6, 7)
    there = score_pair(PhraseTruth(view_name="a", phrase="b", mask=one, boxes=boxes), other, relevance)
    back = score_pair(PhraseTruth(view_name="a", phrase="b", mask=other, boxes=boxes), one, relevance)
    same = score_pair(PhraseTruth(view_name="a", phrase="b", mask=one, boxes=boxes), one, relevance)
    assert there == back
    assert same.iou == 1.0
    assert 0.0 <= there.iou <= 1.0
    assert there.localised is None


def test_nothing_answered_where_nothing_is_is_right():
    assert pair("mug", 0, 0).iou == 1.0
    assert pair("mug", 0, 5).iou == 0.0


def test_means_over_pairs_phrases_classes_and_scenes():
    # IoU 0.5, 0.1 and 1.
    kitchen = [pair("mug", 5, 10, True), pair("mug", 10, 100, False, view="b"), pair("pot", 4, 4, True)]
    hall = [pair("door", 1, 4)]
    assert mean_iou(kitchen) == pytest.approx(1.6 / 3)
    assert phrase_ious(kitchen) == pytest.approx({"mug": 0.3, "pot": 1.0})
    # 15 of 110 pixels in both views of the mug.
    assert class_ious(kitchen) == pytest.approx({"mug": 15 / 110, "pot": 1.0})
    assert mean_class_iou(kitchen) == pytest.approx((15 / 110 + 1) / 2)
    scenes = {"kitchen": kitchen, "hall": hall}
    assert macro_mean(scenes, mean_iou) == pytest.approx((1.6 / 3 + 0.25) / 2)
    assert micro_mean(scenes, mean_iou) == pytest.approx(1.85 / 4)
    assert localisation_accuracy(kitchen) == pytest.approx(2 / 3)
    assert localisation_accuracy(hall) is None
    assert macro_mean(scenes, localisation_accuracy) == pytest.approx(2 / 3)
    assert macro_mean({"hall": hall}, localisation_accuracy) is None


def test_shares_are_of_pairs_strictly_above():
    scores = [pair("a", 1, 4), pair("b", 26, 100), pair("c", 1, 2), pair("d", 51, 100)]
    assert share_above(scores, 0.25) == 0.75
    assert share_above(scores, 0.5) == 0.25


def test_no_pair_at_all_is_refused():
    for measure in (mean_iou, mean_class_iou, lambda scores: share_above(scores, 0.5)):
        with pytest.raises(InvalidInputError, match="at least one pair"):
            measure([])


@pytest.mark.parametrize("shape", [(40, 70), (31, 16), (120, 33)])
def test_peaks_equal_those_of_opencvs_filter(shape: tuple[int, int]):
    random = np.random.default_rng(shape[0])
    for _ in range(5):
        relevance = cv2.GaussianBlur(random.random(shape), (0, 0), 3)
        smooth = cv2.filter2D(relevance, -1, np.ones((30, 30)) / 900)
        peaks = relevance_peaks(torch.from_numpy(relevance)).tolist()
        row, column = (int(place) for place in np.unravel_index(smooth.argmax(), shape))
        assert [column, row] in peaks
        # Mirrored boxes at an edge hold the same pixels, so that there can be more than one.
        for column, row in peaks:
            assert smooth[row, column] == pytest.approx(smooth.max(), rel=1e-9)
        assert len(peaks) < smooth.size / 4


def test_the_filter_reaches_fifteen_back_and_fourteen_on():
    # One lit pixel in row 60 and column 70 is in the boxes of rows 46..75 and columns 56..85: 900 ties.
    relevance = torch.zeros(150, 150)
    relevance[60, 70] = 1.0
    peaks = relevance_peaks(relevance)
    assert len(peaks) == 900
    assert peaks.min(0).values.tolist() == [56, 46]
    assert peaks.max(0).values.tolist() == [85, 75]
    for box, inside in [
        ([85.0, 75.0, 99.0, 99.0], True),  # one tied peak on the corner is enough
        ([85.5, 75.0, 99.0, 99.0], False),
        ([0.0, 0.0, 56.0, 46.0], True),
        ([0.0, 0.0, 55.0, 46.0], False),
    ]:
        assert peak_in_boxes(relevance, torch.tensor([[0.0, 140.0, 3.0, 149.0], box])) is inside


def test_a_flat_relevance_points_nowhere():
    everywhere = torch.tensor([[0.0, 0.0, 39.0, 39.0]])
    assert peak_in_boxes(torch.zeros(40, 40), everywhere) is False
    assert peak_in_boxes(torch.eye(40), everywhere) is True


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (5, 3)])
def test_pictures_smaller_than_the_filter(shape: tuple[int, int]):
    relevance = torch.rand(shape)
    peaks = relevance_peaks(relevance)
    assert len(peaks) >= 1
    assert bool((peaks < torch.tensor([shape[1], shape[0]])).all())


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("mask", "relevance"),
    [
        (torch.zeros(2, 2, dtype=torch.bool), torch.zeros(2, 3)),
        (torch.zeros(2, 3, dtype=torch.bool), torch.zeros(3, 2)),
        (torch.zeros(2, 3, dtype=torch.bool), torch.full((2, 3), float("nan"))),
    ],
)
def test_answers_that_do_not_fit_are_refused(mask: Tensor, relevance: Tensor):
    truth = PhraseTruth(
        view_name="frame_1", phrase="mug", mask=torch.zeros(2, 3, dtype=torch.bool), boxes=torch.zeros(0, 4)
    )
    with pytest.raises(InvalidInputError, match=r"'mug' in frame_1: expected .* \(2, 3\) pixels"):
        score_pair(truth, mask, relevance)
