"""`keep_masks`: which masks of a pool stay when they are compared pixel by pixel, all pairs at once.

Masks are constant along most of a row, and most pixels lie in few of them. So the pixels are gathered into runs that
no mask changes within, and all intersections come from one product of a masks x runs matrix. Counts are whole numbers
throughout: the result is the one of a loop over pairs, not an approximation of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy.sparse import csr_array

from vision3d.errors import InvalidInputError

_MOSTLY_INSIDE, _SMALL_PART = 0.85, 0.5
"""A mask is nested in another when this share of it lies inside and covers less than that share of the other."""
_KEPT_AT_LEAST = 3
_EXACT_BELOW = 2**24
"""Whole numbers below this are exact in single precision."""
_RUNS_AT_A_TIME = 2**16
_DENSE_FROM = 1 / 16
"""Share of pairs that meet in a run from which a dense product is faster than a sparse one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskNmsSettings:
    """When a mask is dropped."""

    iou: float = 0.8
    """Of two masks that overlap more than this, the one with the lower score goes."""
    score: float = 0.7
    """Masks with this score or less go."""
    inner: float = 0.5
    """A nested mask goes when 1 - (share of one inside the other) x (share of the other) exceeds this; 1 keeps all."""


def keep_masks(
    masks: Bool[ndarray, "mask height width"], scores: Float[ndarray, " score"], settings: MaskNmsSettings | None = None
) -> Int64[ndarray, " kept"]:
    """Rows of the masks that stay, best score first.

    A mask goes when its score is low, when it repeats a mask of a better score (of equal ones the earlier row counts
    as better), or when it is nested in a much larger mask, whichever of the two scored higher: each pool becomes an
    almost flat partition. All pairs are judged, also those of masks that go themselves. If nothing would stay, the
    three best masks do. Empty masks never stay.

    Example:
        >>> masks = np.zeros((3, 4, 4), bool)
        >>> masks[0], masks[1, :2, :2], masks[2, 2:] = True, True, True  # all, a quarter of it, half of it
        >>> keep_masks(masks, np.array([0.8, 0.9, 0.95])).tolist()
        [2, 0]

    Raises:
        InvalidInputError: there is not one finite score per mask.

    Source:
        LangSplat (arXiv 2312.16084), pre-processing. There the three best are kept rule by rule.
    """
    settings = settings or MaskNmsSettings()
    if len(scores) != len(masks) or not np.isfinite(scores).all():
        raise InvalidInputError(
            f"keep_masks: expected a finite score for each of {len(masks)} masks, found {scores.shape} scores, "
            f"{int(np.isfinite(scores).sum())} of them finite. Score every mask."
        )
    intersections = pairwise_intersections(masks)
    order = np.argsort(-scores.astype(np.float64), kind="stable")
    order = order[intersections.diagonal()[order] > 0]
    dropped = _dropped(intersections[np.ix_(order, order)], scores[order].astype(np.float64), settings)
    return order[~dropped] if not dropped.all() else order[:_KEPT_AT_LEAST]


def pairwise_intersections(masks: Bool[ndarray, "mask height width"]) -> Int64[ndarray, "mask mask"]:
    """Pixels that each pair of masks shares; a mask's own area on the diagonal.

    Example:
        >>> pairwise_intersections(np.array([[[True, True]], [[False, True]]])).tolist()
        [[2, 1], [1, 1]]
    """
    if masks.size == 0:
        return np.zeros((len(masks), len(masks)), np.int64)
    boxes = [_box(mask) for mask in masks]
    starts = _run_starts(masks, boxes)
    lengths = np.diff(np.flatnonzero(starts), append=starts.size)
    number = np.cumsum(starts.ravel()).reshape(starts.shape) - 1
    rows = [number[box].take(np.flatnonzero(masks[row][box] & starts[box])) for row, box in enumerate(boxes)]
    ends = np.cumsum([0, *(len(runs) for runs in rows)])
    runs = np.concatenate(rows)
    inside = csr_array((np.ones(len(runs), np.int64), runs, ends), shape=(len(masks), len(lengths)))
    return _product(inside, lengths)


def _dropped(
    intersections: Int64[ndarray, "mask mask"], scores: Float[ndarray, " mask"], settings: MaskNmsSettings
) -> Bool[ndarray, " mask"]:
    """Which masks go, of masks sorted by falling score, none of them empty."""
    areas = intersections.diagonal()
    iou = intersections / (areas[:, None] + areas[None, :] - intersections)
    repeats = (np.triu(iou, 1) > settings.iou).any(0)
    share = intersections / areas[:, None]  # of the row's mask that lies inside the column's
    nested = (share >= _MOSTLY_INSIDE) & (share.T < _SMALL_PART) & (1 - share * share.T > settings.inner)
    return repeats | nested.any(1) | (scores <= settings.score)


def _box(mask: Bool[ndarray, "height width"]) -> tuple[slice, slice]:
    rows = np.flatnonzero(mask.any(1))
    if len(rows) == 0:
        return slice(0, 0), slice(0, 0)
    across = slice(rows[0], rows[-1] + 1)
    columns = np.flatnonzero(mask[across].any(0))
    return across, slice(columns[0], columns[-1] + 1)


def _run_starts(
    masks: Bool[ndarray, "mask height width"], boxes: list[tuple[slice, slice]]
) -> Bool[ndarray, "height width"]:
    """Pixels where some mask differs from the pixel to the left, and the first of each row."""
    height, width = masks.shape[1:]
    starts = np.zeros((height, width + 1), bool)
    for mask, (across, columns) in zip(masks, boxes, strict=True):
        if columns.stop:
            part = mask[across, columns]
            starts[across, columns.start] |= part[:, 0]
            starts[across, columns.start + 1 : columns.stop] |= part[:, 1:] != part[:, :-1]
            starts[across, columns.stop] |= part[:, -1]
    starts[:, 0] = True
    return np.ascontiguousarray(starts[:, :width])


def _product(inside: csr_array, lengths: Int64[ndarray, " run"]) -> Int64[ndarray, "mask mask"]:
    """Sum of the run lengths that each pair of masks shares."""
    masks, runs = len(inside.indptr) - 1, len(lengths)
    per_run = np.bincount(inside.indices, minlength=runs)
    if (per_run**2).sum() < _DENSE_FROM * masks**2 * runs:
        weighted = csr_array((lengths[inside.indices], inside.indices, inside.indptr), shape=inside.shape)
        return (weighted @ inside.T).toarray()
    total = np.zeros((masks, masks), np.int64)
    by_run = inside.tocsc()
    for first in _chunks(lengths):
        part = by_run[:, first].toarray().astype(np.float32)
        total += ((part * lengths[first].astype(np.float32)) @ part.T).astype(np.int64)
    return total


def _chunks(lengths: Int64[ndarray, " run"]) -> list[slice]:
    """Slices of runs, each with so few pixels that counts stay exact, and so few runs that memory stays bounded."""
    pixels_before = np.cumsum(lengths) - lengths
    place = np.maximum(pixels_before // (_EXACT_BELOW // 2), np.arange(len(lengths)) // _RUNS_AT_A_TIME)
    cuts = [0, *(np.flatnonzero(np.diff(np.maximum.accumulate(place))) + 1).tolist(), len(lengths)]
    return [slice(start, stop) for start, stop in pairwise(cuts)]
