"""Mask suppression as a loop over pairs, the way its rules are said, and a pool of masks like those of SAM."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from vision3d.masks.mask_nms import MaskNmsSettings

Count = Callable[[int, int], tuple[int, int]]
"""From the rows of two masks to the pixels of their intersection and union."""


def pool_of_masks(count: int, edge: int) -> tuple[Bool[ndarray, "mask edge edge"], Float[ndarray, " mask"]]:
    """Turned ellipses of 2 to 30 % of the edge, some nested, some nearly repeated, and their scores."""
    random = np.random.default_rng(0)
    down, right = np.mgrid[:edge, :edge]
    shapes: list[ndarray] = []
    for row in range(count):
        repeated = row % 4 == 3
        centre = random.uniform(0, edge, 2)
        radii = edge * np.exp(random.uniform(np.log(0.02), np.log(0.3), 2))
        shape = np.array([*centre, *radii, random.uniform(0, np.pi)])
        shapes.append(shapes[-1] * random.uniform(0.99, 1.01, 5) if repeated else shape)
    masks = np.zeros((count, edge, edge), bool)
    for mask, (row, column, long, short, angle) in zip(masks, shapes, strict=True):
        along = (right - column) * np.cos(angle) + (down - row) * np.sin(angle)
        across = (down - row) * np.cos(angle) - (right - column) * np.sin(angle)
        mask[:] = (along / long) ** 2 + (across / short) ** 2 < 1
    return masks, random.uniform(0.6, 1.0, count)


def written_out(masks: Bool[ndarray, "mask height width"]) -> Count:
    """Counts both sets of pixels anew for each pair."""

    def count(one: int, other: int) -> tuple[int, int]:
        shared = np.logical_and(masks[one], masks[other]).sum()
        return int(shared), int(np.logical_or(masks[one], masks[other]).sum())

    return count


def keep_by_loop(
    masks: Bool[ndarray, "mask height width"],
    scores: Float[ndarray, " mask"],
    settings: MaskNmsSettings,
    counting: Callable[[ndarray], Count] = written_out,
) -> list[int]:
    """What `keep_masks` keeps, from a loop over pairs that says each rule as it is."""
    areas, count = [int(mask.sum()) for mask in masks], counting(masks)
    order = sorted((row for row in range(len(masks)) if areas[row]), key=lambda row: -scores[row])
    dropped = {row for row in order if scores[row] <= settings.score}
    for place, better in enumerate(order):
        for worse in order[place + 1 :]:
            shared, union = count(better, worse)
            if shared / union > settings.iou:
                dropped.add(worse)
            for small, large in ((better, worse), (worse, better)):
                inside, covered = shared / areas[small], shared / areas[large]
                if inside >= 0.85 and covered < 0.5 and 1 - inside * covered > settings.inner:
                    dropped.add(small)
    return [row for row in order if row not in dropped] or order[:3]
