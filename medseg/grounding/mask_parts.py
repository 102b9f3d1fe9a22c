"""Parts of a mask that can be asked for, cut by geometry: halves and pieces. Left and right are the image's.

The language model says which part is meant; where it lies follows exactly from the mask, so nothing is left to be
guessed by a decoder.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Bool
from numpy import ndarray
from scipy.ndimage import label

Part = Literal["whole", "upper half", "lower half", "left half", "right half", "largest piece", "smallest piece"]
PARTS: tuple[Part, ...] = (
    "whole", "upper half", "lower half", "left half", "right half", "largest piece", "smallest piece",
)  # fmt: skip
"""In the order of the model's logits."""
_CRUMB_SHARE = 0.05
"""Smaller pieces of a mask are crumbs, which are never the smallest piece."""


def part_of(mask: Bool[ndarray, "*slice height width"], part: Part) -> Bool[ndarray, "*slice height width"]:
    """A part of a mask, as pictures show it: rows run down, columns to the right.

    Halves are cut at the middle of the mask's extent, pieces are connected across faces, edges and corners.

    Example:
        >>> mask = np.zeros((4, 4), bool)
        >>> mask[1:3, 1:3] = True
        >>> np.argwhere(part_of(mask, "upper half")).tolist()
        [[1, 1], [1, 2]]
    """
    if part == "whole" or not mask.any():
        return mask
    if part in ("largest piece", "smallest piece"):
        return _piece(mask, largest=part == "largest piece")
    axis = mask.ndim - (2 if part in ("upper half", "lower half") else 1)
    places = np.flatnonzero(mask.any(tuple(other for other in range(mask.ndim) if other != axis)))
    first = np.arange(mask.shape[axis]) <= (places[0] + places[-1]) / 2
    kept = first if part in ("upper half", "left half") else ~first
    shape = [1] * mask.ndim
    shape[axis] = len(kept)
    return mask & kept.reshape(shape)


def _piece(mask: Bool[ndarray, "..."], *, largest: bool) -> Bool[ndarray, "..."]:
    names, _ = label(mask, np.ones((3,) * mask.ndim))  # type: ignore[misc]
    sizes = np.bincount(names.ravel())
    sizes[0] = 0
    if largest:
        return names == int(sizes.argmax())
    real = np.flatnonzero(sizes >= _CRUMB_SHARE * sizes.sum())
    return names == int(real[sizes[real].argmin()])
