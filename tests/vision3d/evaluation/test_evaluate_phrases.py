"""Every pair is asked once and scored in its own place."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.evaluation.evaluate_phrases import evaluate_phrases
from vision3d.evaluation.phrase_truth import PhraseTruth


def truth_of(view: str, phrase: str, height: int = 2) -> PhraseTruth:
    mask = torch.zeros(height, 4, dtype=torch.bool)
    mask[0, :3] = True
    return PhraseTruth(view_name=view, phrase=phrase, mask=mask, boxes=torch.zeros(0, 4))


TRUTHS = [truth_of("a", "mug"), truth_of("b", "pot"), truth_of("b", "mug"), truth_of("c", "mug", height=3)]


def test_a_phrase_is_asked_once_for_all_views_of_one_size():
    asked = []

    def answer(phrase: str, view_names: Sequence[str]) -> tuple[Tensor, Tensor]:
        asked.append((phrase, list(view_names)))
        height = 3 if view_names[0] == "c" else 2
        masks = torch.zeros(len(view_names), height, 4, dtype=torch.bool)
        for row, name in enumerate(view_names):
            masks[row, 0, : 1 + "abc".index(name)] = True
        return masks, masks.float()

    scores = evaluate_phrases(TRUTHS, answer)
    assert asked == [("mug", ["a", "b"]), ("pot", ["b"]), ("mug", ["c"])]
    assert [(score.view_name, score.phrase) for score in scores] == [
        ("a", "mug"),
        ("b", "pot"),
        ("b", "mug"),
        ("c", "mug"),
    ]
    # One, two and three of the three pixels.
    assert [score.iou for score in scores] == pytest.approx([1 / 3, 2 / 3, 2 / 3, 1.0])


def test_missing_views_are_refused():
    def first_view_only(phrase: str, view_names: Sequence[str]) -> tuple[Tensor, Tensor]:
        return torch.zeros(1, 2, 4, dtype=torch.bool), torch.zeros(1, 2, 4)

    with pytest.raises(InvalidInputError, match=r"'mug': expected .* each of 2 views, found 1 and 1"):
        evaluate_phrases(TRUTHS, first_view_only)


def test_no_truth_gives_no_score():
    def never(phrase: str, view_names: Sequence[str]) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    assert evaluate_phrases([], never) == []
