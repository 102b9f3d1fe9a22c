"""Labels of vertices: scores worked by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.evaluation.vertex_scores import labels_from_scores, score_vertices


def ints(*values: int) -> Tensor:
    return torch.tensor(values)


def test_scores_over_the_classes_that_are_present():
    truth = ints(1, 1, 1, 1, 2, 2, 5, 39, 0)
    found = ints(1, 1, 2, 0, 2, 1, 5, 1, 1)
    scores = score_vertices(found, truth, [1, 2, 5, 33])
    # The last two vertices are of no asked class. Class 1: 2 right, 4 in truth, 1 more taken. Class 2: 1 right, 2, 1.
    assert scores.iou == pytest.approx({1: 2 / 5, 2: 1 / 3, 5: 1.0})
    assert scores.accuracy == pytest.approx({1: 2 / 4, 2: 1 / 2, 5: 1.0})
    assert scores.mean_iou == pytest.approx((0.4 + 1 / 3 + 1) / 3)
    assert scores.mean_accuracy == pytest.approx(2 / 3)
    assert scores.vertices == 7
    assert scores.unlabelled == pytest.approx(1 / 7)


def test_only_kept_vertices_count():
    kept = torch.tensor([True, True, False, False])
    scores = score_vertices(ints(1, 2, 2, 2), ints(1, 2, 1, 5), [1, 2, 5], kept=kept)
    assert scores.iou == {1: 1.0, 2: 1.0}
    assert scores.vertices == 2


def test_labels_outside_the_set_are_mistakes():
    scores = score_vertices(ints(7, 1), ints(1, 1), [1, 2])
    assert scores.iou == {1: 0.5}


def test_labels_take_the_highest_score_above_zero():
    scores = torch.tensor([[0.0, 0.3, 0.5, -1.0], [0.0, 0.6, 0.5, -2.0]])
    assert labels_from_scores(scores, [33, 4]).tolist() == [0, 4, 33, 0]


def test_nothing_to_score_is_refused():
    with pytest.raises(InvalidInputError, match="found none among 0 kept"):
        score_vertices(ints(1), ints(1), [2])
    with pytest.raises(InvalidInputError, match="found 1 rows for 2"):
        labels_from_scores(torch.zeros(1, 3), [1, 2])


@pytest.mark.usefixtures("unchecked_shapes")
def test_other_lengths_are_refused():
    with pytest.raises(InvalidInputError, match=r"has, 2, found lengths \[2, 3\]"):
        score_vertices(ints(1, 2, 3), ints(1, 2), [1])
