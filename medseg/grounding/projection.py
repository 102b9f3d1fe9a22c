"""`SegProjection` and `StateHeads`: from a [SEG] state to a prompt vector, and what else the state tells.

The projection is LISA's: linear, ReLU, linear. The heads say whether the language model believes the target is there,
whether it is too thin for the whole picture at once, and whether it is a part of what an earlier answer marked.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn


class SegProjection(nn.Sequential):
    """States [token width] -> prompt vectors [token prompt_width]."""

    def __init__(self, width: int, prompt_width: int) -> None:
        super().__init__(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, prompt_width))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StateSays:
    """What the heads read from [SEG] states, as logits."""

    present: Float[Tensor, " token"]
    """The target is there at all."""
    fine: Float[Tensor, " token"]
    """Its structures are thin or small: it is decoded in windows at twice the resolution."""
    of_previous: Float[Tensor, " token"]
    """It is a part of what an earlier answer marked."""


class StateHeads(nn.Linear):
    """Three logits of each state."""

    def __init__(self, width: int) -> None:
        super().__init__(width, 3)

    def say(self, hidden: Float[Tensor, "token width"]) -> StateSays:
        """The three logits by their names."""
        present, fine, of_previous = self(hidden).unbind(1)
        return StateSays(present=present, fine=fine, of_previous=of_previous)
