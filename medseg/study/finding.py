"""`Finding`: one structure that was asked for, with its mask and what was measured in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Bool
from numpy import ndarray

from medseg.errors import InvalidInputError
from medseg.study.quantities import Quantities

Status = Literal["found", "uncertain", "not_found"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finding:
    """A structure that was asked for. Nothing is left out: what is not there is a finding with an empty mask."""

    label: str
    """The phrase of the answer, as `left lung`."""
    status: Status
    """Whether it is there; `uncertain` masks are kept and marked."""
    mask: Bool[ndarray, "i j k"]
    """On the voxels of the volume that was asked about; empty where `not_found`."""
    presence: float
    """Probability that the structure is there at all, 0-1."""
    quality: float
    """The model's own estimate of the mask's overlap (IoU) with the truth, 0-1; 0 where there is none."""
    span: tuple[int, int] | None = None
    """First character of the phrase in the answer, and the one after its last; None where the answer lacks it."""
    quantities: Quantities | None = None
    """What was measured in the mask; None where it is empty."""

    def __post_init__(self) -> None:
        if self.status == "not_found" and self.mask.any():
            raise InvalidInputError("Finding: expected an empty mask for what is not found. Empty it or change status.")
        if not (0 <= self.presence <= 1 and 0 <= self.quality <= 1):
            raise InvalidInputError(
                f"Finding: expected presence and quality of 0-1, found {self.presence}, {self.quality}."
            )
