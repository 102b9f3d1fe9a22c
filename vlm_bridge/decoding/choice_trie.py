"""`ChoiceProcessor`: only the given answers can be spelled, token by token."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import LogitsProcessor

from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.decoding.answer_text import answer_ids, end_of_turn
from vlm_bridge.errors import InvalidInputError


def choice_ids(backbone: VisionLanguageBackbone, choices: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Ids of each choice with the end of turn behind it, so that no choice is the beginning of another.

    Raises:
        InvalidInputError: there are no choices, one is empty, or two are spelled by the same ids.
    """
    end = end_of_turn(backbone)
    spelled = tuple((*answer_ids(backbone, choice), end) for choice in choices if choice)
    if not spelled or len(set(spelled)) < len(choices):
        raise InvalidInputError(
            f"Choices: expected at least one, all different and none empty, found {list(choices)}. Change them."
        )
    return spelled


class ChoiceProcessor(LogitsProcessor):
    """Leaves only tokens that go on spelling one of `spelled`; made for one call of `generate`."""

    only_masks = True
    """It forbids and does not change the rest; see `pcd_generate`."""

    def __init__(self, spelled: Sequence[Sequence[int]]) -> None:
        self._start: int | None = None
        self._next: dict[tuple[int, ...], set[int]] = {}
        self._ends = sorted({choice[-1] for choice in spelled})
        for choice in spelled:
            for length, token in enumerate(choice):
                self._next.setdefault(tuple(choice[:length]), set()).add(token)

    def __call__(
        self, input_ids: Int[Tensor, "row token"], scores: Float[Tensor, "row word"]
    ) -> Float[Tensor, "row word"]:
        """Scores, -inf where no choice goes on; a row that is over may end again."""
        if self._start is None:
            self._start = input_ids.shape[1]
        forbidden = torch.ones_like(scores, dtype=torch.bool)
        for row, said in enumerate(input_ids[:, self._start :].tolist()):
            forbidden[row, sorted(self._next.get(tuple(said), self._ends))] = False
        return scores.masked_fill(forbidden, -math.inf)
