"""Ask every phrase of a ground truth and score the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor
from tqdm import tqdm

from vision3d.errors import InvalidInputError
from vision3d.evaluation.phrase_truth import PhraseTruth
from vision3d.evaluation.scores import PairScore, score_pair

Answer = Callable[[str, Sequence[str]], tuple[Tensor, Tensor]]
"""Phrase and names of views of one size -> masks Bool[view height width] and relevance Float[view height width].

Whatever answers has its own protocol and thresholds; the report names them.
"""


def evaluate_phrases(truths: Sequence[PhraseTruth], answer: Answer, *, progress: bool = False) -> list[PairScore]:
    """The score of every pair, in the order of `truths`; a phrase is asked once for all its views of one size.

    Raises:
        InvalidInputError: an answer does not have one mask and relevance per view, of the size of the truth.
    """
    groups: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for place, truth in enumerate(truths):
        groups.setdefault((truth.phrase, tuple(truth.mask.shape)), []).append(place)
    scores: dict[int, PairScore] = {}
    for (phrase, _), places in tqdm(groups.items(), desc="phrases", disable=not progress):
        masks, relevance = answer(phrase, [truths[place].view_name for place in places])
        if len(masks) != len(places) or len(relevance) != len(places):
            raise InvalidInputError(
                f"Answer to {phrase!r}: expected a mask and a relevance for each of {len(places)} views, found "
                f"{len(masks)} and {len(relevance)}. Answer in every view."
            )
        for row, place in enumerate(places):
            scores[place] = score_pair(truths[place], masks[row], relevance[row])
    return [scores[place] for place in range(len(truths))]
