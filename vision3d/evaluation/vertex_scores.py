"""Scores of labels on the vertices of a scan, over the classes that are present.

Labels are numbers of classes, 0 = unlabelled.

Source: OpenGaussian's ScanNet protocol: vertices of other classes than the asked ones are left out, a class counts
where the truth has it, and a vertex without a label is a mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vision3d.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class VertexScores:
    """How well the vertices of one scan were labelled."""

    iou: dict[int, float]
    """Intersection over union of each class that is present."""
    accuracy: dict[int, float]
    """Share of each present class's vertices that have its label."""
    vertices: int
    """How many vertices were scored."""
    unlabelled: float
    """Share of them without a label."""

    @property
    def mean_iou(self) -> float:
        """Mean over the present classes."""
        return sum(self.iou.values()) / len(self.iou)

    @property
    def mean_accuracy(self) -> float:
        """Mean over the present classes."""
        return sum(self.accuracy.values()) / len(self.accuracy)


def labels_from_scores(scores: Float[Tensor, "class vertex"], classes: Sequence[int]) -> Int[Tensor, " vertex"]:
    """The class with the highest score of each vertex, the first of equal ones; 0 where no score is above zero.

    Raises:
        InvalidInputError: there is not one row of scores per class.

    Example:
        >>> labels_from_scores(torch.tensor([[0.2, 0.0], [0.7, 0.0]]), [4, 33]).tolist()
        [33, 0]
    """
    if len(scores) != len(classes) or not len(classes):
        raise InvalidInputError(
            f"Expected a row of scores for each of at least one class, found {len(scores)} rows for {len(classes)} "
            "classes. Score every class."
        )
    best, row = scores.max(0)
    return torch.where(best > 0, torch.tensor(list(classes), device=scores.device)[row], 0)


def score_vertices(
    found: Int[Tensor, " vertex"],
    truth: Int[Tensor, " vertex"],
    classes: Sequence[int],
    *,
    kept: Bool[Tensor, " vertex"] | None = None,
) -> VertexScores:
    """The scores of labels among `classes`; only `kept` vertices count, e.g. those whose Gaussian can be seen.

    Raises:
        InvalidInputError: lengths differ, or no kept vertex has any of the classes.
    """
    lengths = {len(found), len(truth), len(truth) if kept is None else len(kept)}
    if len(lengths) > 1:
        raise InvalidInputError(
            f"Expected labels of as many vertices as the truth has, {len(truth)}, found lengths {sorted(lengths)}. "
            "Keep the Gaussians on the vertices of the scan."
        )
    numbers = torch.tensor(sorted(classes), dtype=truth.dtype)
    scored = torch.isin(truth, numbers)
    if kept is not None:
        scored &= kept
    present = [number for number in classes if bool((truth[scored] == number).any())]
    if not present:
        raise InvalidInputError(
            f"Expected vertices of the classes {sorted(classes)}, found none among {int(scored.sum())} kept ones. "
            "Check the class set and the opacity threshold."
        )
    own, target = found[scored], truth[scored]
    iou, accuracy = {}, {}
    for number in present:
        both = int(((own == number) & (target == number)).sum())
        iou[number] = both / int(((own == number) | (target == number)).sum())
        accuracy[number] = both / int((target == number).sum())
    return VertexScores(iou=iou, accuracy=accuracy, vertices=len(own), unlabelled=float((own == 0).double().mean()))
