"""Scores of answers in views: overlap per pair, means over pairs, classes and scenes, and localisation.

All scores are shares in 0-1. A pair is one phrase in one view.

Source: LERF-OVS as LangSplat and LaGa score it (mean IoU over the pairs of a scene; the peak of the relevance, smoothed
by a box of 30 pixels, lies inside a box of the phrase); Acc@0.25 and Acc@0.5 of OpenGaussian; 3D-OVS as LaGa scores it
(intersections and unions of a class are added up over all views).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import avg_pool2d

from vision3d.errors import InvalidInputError
from vision3d.evaluation.phrase_truth import PhraseTruth

SMOOTHING_PIXELS = 30
"""Side of the box filter before the peak of a relevance is looked for."""
_ROUNDING = 1e-9
"""Means that differ by less, relative to the largest one, are equal: they were summed in another order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairScore:
    """How well one phrase was answered in one view."""

    view_name: str
    """The view."""
    phrase: str
    """What was asked for."""
    intersection: int
    """Pixels of both answer and truth."""
    union: int
    """Pixels of either."""
    localised: bool | None
    """Whether the peak of the relevance lies inside a box of the truth; None where there is no box."""

    @property
    def iou(self) -> float:
        """Intersection over union; 1 where neither has a pixel."""
        return self.intersection / self.union if self.union else 1.0


def score_pair(
    truth: PhraseTruth, mask: Bool[Tensor, "height width"], relevance: Float[Tensor, "height width"]
) -> PairScore:
    """The scores of an answer: its mask, and the relevance its peak is looked for in.

    Raises:
        InvalidInputError: the answer is of another size than the truth, or its relevance is not finite.
    """
    shapes = {tuple(truth.mask.shape), tuple(mask.shape), tuple(relevance.shape)}
    if len(shapes) > 1 or not bool(relevance.isfinite().all()):
        raise InvalidInputError(
            f"Answer to {truth.phrase!r} in {truth.view_name}: expected a mask and a finite relevance of "
            f"{tuple(truth.mask.shape)} pixels, found a mask of {tuple(mask.shape)} and a relevance of "
            f"{tuple(relevance.shape)} with {int((~relevance.isfinite()).sum())} values that are not finite. "
            "Render the answer at the size of the annotation."
        )
    own = mask.cpu()
    return PairScore(
        view_name=truth.view_name,
        phrase=truth.phrase,
        intersection=int((own & truth.mask).sum()),
        union=int((own | truth.mask).sum()),
        localised=peak_in_boxes(relevance, truth.boxes) if len(truth.boxes) else None,
    )


def relevance_peaks(relevance: Float[Tensor, "height width"]) -> Int[Tensor, "peak 2"]:
    """Column and row of every pixel with the highest mean over its box of 30 pixels.

    The box of pixel i reaches from i - 15 to i + 14; beyond the edge the picture is mirrored without its outer pixel.
    """
    before, after = SMOOTHING_PIXELS // 2, SMOOTHING_PIXELS - SMOOTHING_PIXELS // 2 - 1
    wide = np.pad(relevance.detach().cpu().double().numpy(), (before, after), mode="reflect")
    smooth = avg_pool2d(torch.from_numpy(wide)[None, None], (SMOOTHING_PIXELS, 1), stride=1)
    smooth = avg_pool2d(smooth, (1, SMOOTHING_PIXELS), stride=1)[0, 0]
    tied = smooth >= smooth.max() - _ROUNDING * smooth.abs().max()
    return tied.nonzero().flip(-1)


def peak_in_boxes(relevance: Float[Tensor, "height width"], boxes: Float[Tensor, "box 4"]) -> bool:
    """Whether any peak of the relevance lies inside any box, edges included.

    A relevance that is the same everywhere points nowhere, so it is in no box; by the letter of the published rule all
    of its pixels would be peaks.
    """
    if bool((relevance == relevance.flatten()[0]).all()):
        return False
    peaks = relevance_peaks(relevance).double()[:, None]
    edges = boxes.double()
    return bool(((peaks >= edges[None, :, :2]) & (peaks <= edges[None, :, 2:])).all(-1).any())


def mean_iou(scores: Sequence[PairScore]) -> float:
    """Mean over the pairs."""
    return _mean([score.iou for score in scores])


def share_above(scores: Sequence[PairScore], iou: float) -> float:
    """Share of the pairs with more than this IoU."""
    return _mean([float(score.iou > iou) for score in scores])


def localisation_accuracy(scores: Sequence[PairScore]) -> float | None:
    """Share of the pairs with boxes whose peak lies inside one; None where no pair has boxes."""
    known = [float(score.localised) for score in scores if score.localised is not None]
    return _mean(known) if known else None


def phrase_ious(scores: Sequence[PairScore]) -> dict[str, float]:
    """Mean IoU of each phrase over the views it is annotated in, in order of appearance."""
    return {phrase: mean_iou(own) for phrase, own in _by_phrase(scores).items()}


def class_ious(scores: Sequence[PairScore]) -> dict[str, float]:
    """Total intersection over total union of each phrase, in order of appearance."""
    totals = {
        phrase: (sum(score.intersection for score in own), sum(score.union for score in own))
        for phrase, own in _by_phrase(scores).items()
    }
    return {phrase: inside / either if either else 1.0 for phrase, (inside, either) in totals.items()}


def mean_class_iou(scores: Sequence[PairScore]) -> float:
    """Mean of `class_ious` over the classes."""
    return _mean(list(class_ious(scores).values()))


def macro_mean(
    scenes: Mapping[str, Sequence[PairScore]], measure: Callable[[Sequence[PairScore]], float | None]
) -> float | None:
    """Mean over the scenes of what `measure` says of each, every scene alike; None where it says nothing of any."""
    known = [value for scores in scenes.values() if (value := measure(scores)) is not None]
    return _mean(known) if known else None


def micro_mean(
    scenes: Mapping[str, Sequence[PairScore]], measure: Callable[[Sequence[PairScore]], float | None]
) -> float | None:
    """What `measure` says of the pairs of all scenes together, every pair alike."""
    return measure([score for scores in scenes.values() for score in scores])


def _by_phrase(scores: Sequence[PairScore]) -> dict[str, list[PairScore]]:
    found: dict[str, list[PairScore]] = {}
    for score in scores:
        found.setdefault(score.phrase, []).append(score)
    return found


def _mean(values: Sequence[float]) -> float:
    if not values:
        raise InvalidInputError("Expected at least one pair to average over, found none. Score some answers first.")
    return sum(values) / len(values)
