"""`overlap`: how much two masks share, as counts that Dice and IoU are read from.

Empty rules: where both masks are empty Dice is NaN (such a case tells of refusal, not of overlap) and IoU is 1; where
exactly one is empty both are 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from medseg.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Voxels of two masks; counts of several masks may be added up."""

    shared: int
    """Voxels in both."""
    predicted: int
    """Voxels of the prediction."""
    reference: int
    """Voxels of the reference."""

    @property
    def union(self) -> int:
        """Voxels in one or both."""
        return self.predicted + self.reference - self.shared

    @property
    def dice(self) -> float:
        """Twice the shared voxels over all of both; NaN where both are empty."""
        both = self.predicted + self.reference
        return 2 * self.shared / both if both else float("nan")

    @property
    def iou(self) -> float:
        """Shared voxels over the union; 1 where both are empty."""
        return self.shared / self.union if self.union else 1.0


def overlap(predicted: Bool[ndarray, "..."], reference: Bool[ndarray, "..."]) -> Overlap:
    """Counts of two masks on one grid.

    Example:
        >>> found = overlap(np.array([True, True, False]), np.array([False, True, True]))
        >>> found.dice, round(found.iou, 3)
        (0.5, 0.333)

    Raises:
        InvalidInputError: the masks are of different grids.
    """
    if predicted.shape != reference.shape:
        raise InvalidInputError(
            f"Overlap: expected masks on one grid, found {predicted.shape} and {reference.shape}. Bring the prediction "
            "to the grid of the reference."
        )
    return Overlap(
        shared=int(np.count_nonzero(predicted & reference)),
        predicted=int(np.count_nonzero(predicted)),
        reference=int(np.count_nonzero(reference)),
    )


def united(masks: list[Bool[ndarray, "i j k"]], shape: tuple[int, int, int]) -> Bool[ndarray, "i j k"]:
    """All masks as one; empty where there are none."""
    whole = np.zeros(shape, dtype=bool)
    for mask in masks:
        whole |= mask
    return whole
