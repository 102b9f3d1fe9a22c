"""`TrainingMasks`: which masks of every view take part in the contrastive training, read view by view.

Only small tables are kept in memory: for each view and level the place of every mask among those that train, -1 = left
out. The label maps themselves stay where they are, which may be a mapped file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int, Integer
from numpy import ndarray
from torch import Tensor

from vision3d.masks.view_masks import ViewMasks


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingMasks:
    """The masks that train."""

    masks: ViewMasks
    """All masks."""
    places: tuple[tuple[ndarray, ...], ...]
    """For each view and level the place of each mask number among those that train; the last entry serves number -1."""

    def counts(self, view: int) -> list[int]:
        """Number of masks that train at each level of a view."""
        return [int(table.max(initial=-1)) + 1 for table in self.places[view]]

    def labels_at(self, view: int, pixels: Int[Tensor, " pixel"] | None) -> Int[Tensor, "level pixel"]:
        """Place of the mask at each pixel (None = all), level by level; -1 = no mask that trains."""
        maps = self.masks.labels[view].reshape(len(self.places[view]), -1)
        chosen = slice(None) if pixels is None else pixels.cpu().numpy()
        rows = [table[np.asarray(labels[chosen])] for table, labels in zip(self.places[view], maps, strict=True)]
        return torch.from_numpy(np.stack(rows)).to("cpu" if pixels is None else pixels.device)


def choose_training_masks(masks: ViewMasks, *, minimum_pixels: int, duplicate_iou: float) -> TrainingMasks:
    """Masks with more than `minimum_pixels` pixels that do not repeat a mask of a finer level.

    A level at which every mask is a repetition keeps them all.
    """
    places = []
    for labels in masks.labels:
        maps = [np.asarray(labels[level]).reshape(-1).astype(np.int64) for level in range(len(labels))]
        chosen = (_chosen(maps[: level + 1], minimum_pixels, duplicate_iou) for level in range(len(maps)))
        places.append(tuple(_table(flags) for flags in chosen))
    return TrainingMasks(masks=masks, places=tuple(places))


def _chosen(maps: Sequence[ndarray], minimum_pixels: int, duplicate_iou: float) -> Bool[ndarray, " mask"]:
    """Masks of the last map that train, given the maps of all finer levels."""
    *finer, own = maps
    large = _areas(own) > minimum_pixels
    fresh = large.copy()
    for other in finer:
        fresh &= mask_ious(own, other).max(1, initial=0.0) < duplicate_iou
    return fresh if fresh.any() else large


def mask_ious(one: Integer[ndarray, " pixel"], other: Integer[ndarray, " pixel"]) -> ndarray:
    """[mask of one, mask of the other] intersection over union of the masks of two label maps.

    >>> mask_ious(np.array([0, 0, 1, -1]), np.array([0, 0, 0, 1]))
    array([[0.66666667, 0.        ],
           [0.33333333, 0.        ]])
    """
    areas, others = _areas(one), _areas(other)
    both = (one >= 0) & (other >= 0)
    pairs = one[both].astype(np.int64) * len(others) + other[both]
    shared = np.bincount(pairs, minlength=len(areas) * len(others)).reshape(len(areas), len(others))
    return shared / np.maximum(areas[:, None] + others[None] - shared, 1)


def _areas(labels: ndarray) -> ndarray:
    return np.bincount(labels[labels >= 0])


def _table(flags: ndarray) -> ndarray:
    return np.append(np.where(flags, np.cumsum(flags) - 1, -1), -1)
