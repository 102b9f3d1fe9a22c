"""`MaskProposer`: what every maker of masks can do."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Int16, UInt8
from numpy import ndarray


@runtime_checkable
class MaskProposer(Protocol):
    """Splits a photo into masks, at several levels from fine to coarse."""

    @property
    def proposer_id(self) -> str:
        """Name, settings and digest of the weights: equal ids give equal masks of equal photos."""
        ...

    @property
    def level_names(self) -> tuple[str, ...]:
        """From fine to coarse."""
        ...

    def propose(self, image: UInt8[ndarray, "height width 3"]) -> Int16[ndarray, "level height width"]:
        """Label maps of one photo, -1 = no mask, numbers counted from 0 at each level."""
        ...
