"""Which slices of a volume a person should see: those where the findings are largest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from medseg.errors import InvalidInputError
from medseg.study.result import SegmentationResult
from medseg.study.slice_plan import SlicePlan

_NEARLY_LARGEST = 0.9
"""Share of its largest area at which a finding counts as well shown, so that findings can share a slice."""
_QUARTERS = (0.25, 0.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceChoice:
    """Slices of a plan, and where each finding is seen best."""

    slices: tuple[int, ...]
    """Numbers of the plan, from 0, rising."""
    largest: dict[int, int]
    """Finding, from 1 -> slice of its largest area; findings with a mask alone."""
    unseen: tuple[int, ...] = ()
    """Findings with a mask, of which no slice that was chosen holds a voxel."""


def informative_slices(result: SegmentationResult, plan: SlicePlan, *, most: int = 12, least: int = 3) -> SliceChoice:
    """Few slices that show each finding at nine tenths of its largest area or more; the middle one where there is none.

    A single finding is shown where it is largest. Up to `least`, slices at the quarters of the largest finding's volume
    are added. Over `most`, slices with the most findings come first, and findings that no slice shows are `unseen`.

    Raises:
        InvalidInputError: `most` is below 1.
    """
    if most < 1:
        raise InvalidInputError(f"Slices: expected at least 1, found {most}. Ask for more.")
    areas = slice_areas(result, plan)
    with_mask = [row for row in range(len(areas)) if areas[row].any()]
    largest = {row + 1: int(areas[row].argmax()) for row in with_mask}
    if not with_mask:
        return SliceChoice(slices=(plan.shape[0] // 2,), largest={})
    shares = areas[with_mask] / areas[with_mask].max(axis=1, keepdims=True)
    chosen = _covering(shares, most)
    largest_row = areas[with_mask[int(areas[with_mask].sum(axis=1).argmax())]]
    for quarter in _QUARTERS:
        if len(chosen) < min(least, most):
            chosen.add(int(np.searchsorted(largest_row.cumsum(), quarter * largest_row.sum())))
    shown = areas[:, sorted(chosen)].sum(axis=1)
    unseen = tuple(row + 1 for row in with_mask if not shown[row])
    return SliceChoice(slices=tuple(sorted(chosen)), largest=largest, unseen=unseen)


def slice_areas(result: SegmentationResult, plan: SlicePlan) -> Int[ndarray, "finding slice"]:
    """Pixels of each finding in each slice of the plan."""
    rows = [np.count_nonzero(plan.pictures(finding.mask), axis=(1, 2)) for finding in result.findings]
    return np.array(rows, dtype=np.int64).reshape(len(rows), plan.shape[0])


def _covering(shares: ndarray, most: int) -> set[int]:
    """Slices taken one by one: that of the most findings not shown well yet, then of their largest shares."""
    waiting = np.ones(len(shares), dtype=bool)
    chosen: set[int] = set()
    while waiting.any() and len(chosen) < most:
        good = shares[waiting] >= _NEARLY_LARGEST
        best = max(range(shares.shape[1]), key=lambda k: (good[:, k].sum(), (shares[waiting][:, k] * good[:, k]).sum()))
        chosen.add(best)
        waiting &= shares[:, best] < _NEARLY_LARGEST
    return chosen
