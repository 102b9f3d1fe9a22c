"""`SegProjection` and `StateHeads`: from a [SEG] state to a prompt vector, and what else the state tells.

The projection is LISA's: linear, ReLU, linear. The heads say whether the language model believes the target is there,
whether it is too thin for the whole picture at once, whether it is what an earlier answer marked, and which part of
a mask is meant.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from medseg.grounding.mask_parts import PARTS


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
    """It is, or is a part of, what an earlier answer marked."""
    part: Float[Tensor, "token part"]
    """Which part of a mask is meant, in the order of `PARTS`."""


class StateHeads(nn.Linear):
    """Logits of each state."""

    def __init__(self, width: int) -> None:
        super().__init__(width, 3 + len(PARTS))

    def say(self, hidden: Float[Tensor, "token width"]) -> StateSays:
        """The logits by their names."""
        said = self(hidden)
        return StateSays(present=said[:, 0], fine=said[:, 1], of_previous=said[:, 2], part=said[:, 3:])
