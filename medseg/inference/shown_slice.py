"""`shown_square`: a slice of a volume as the models see it, RGB of 0-255 in its window with square pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from medseg.study.slice_plan import SlicePlan, stretch
from medseg.study.volume import Volume
from medseg.study.windows import IntensityWindow, show


def shown_square(
    volume: Volume, plan: SlicePlan, number: int, window: IntensityWindow
) -> UInt8[ndarray, "height width 3"]:
    """One slice in its window; only that slice is converted."""
    values = plan.picture(volume, number)
    seen = show(replace(volume, voxels=values[:, :, None]), window)[:, :, 0]
    if seen.ndim == 2 or seen.shape[2] == 1:
        seen = np.repeat(seen.reshape(*seen.shape[:2], 1), 3, axis=2)
    if plan.square_size != seen.shape[:2]:
        parts = [stretch(seen[..., part], plan.square_size) for part in range(3)]
        seen = np.rint(np.clip(np.stack(parts, axis=2), 0, 255)).astype(np.uint8)
    return np.ascontiguousarray(seen)
