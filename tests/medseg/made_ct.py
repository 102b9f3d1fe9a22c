"""A CT made for tests: a body of ellipses with fat around it, lungs, a spine and gas, whose volumes are known."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from medseg.study.volume import Volume, volume_in_memory

BODY_MM = (160.0, 110.0)
"""Half axes of the body, right and front; a straight column from the first slice to the last."""
FAT_MM = 15.0
"""Thickness of the fat, as half axes shrink."""
LUNG_MM = (45.0, 60.0, 55.0)
"""Half axes of each lung, 60 mm right and left of the middle."""
SPINE_MM = 18.0
"""Radius of the spine, 65 mm behind the middle."""


def made_ct(
    shape: tuple[int, int, int] = (68, 48, 28), spacing: tuple[float, float, float] = (5.0, 5.0, 7.0)
) -> ndarray:
    """HU, int16 [i j k], axes to the right, front and head; the left lung is the smaller one (0.8 in each axis)."""
    x, y, z = (
        (np.arange(size, dtype=np.float32) - (size - 1) / 2) * step for size, step in zip(shape, spacing, strict=True)
    )
    values = np.full(shape, -1000, dtype=np.int16, order="F")
    rim = (x[:, None] / BODY_MM[0]) ** 2 + (y[None] / BODY_MM[1]) ** 2
    core = (x[:, None] / (BODY_MM[0] - FAT_MM)) ** 2 + (y[None] / (BODY_MM[1] - FAT_MM)) ** 2
    spine = x[:, None] ** 2 + (y[None] + 65.0) ** 2
    for k, height in enumerate(z):
        flat = values[:, :, k]
        flat[rim <= 1] = -90
        flat[core <= 1] = 40
        for side, scale in ((60.0, 1.0), (-60.0, 0.8)):
            a, b, c = (scale * axis for axis in LUNG_MM)
            flat[((x[:, None] - side) / a) ** 2 + (y[None] / b) ** 2 + (height / c) ** 2 <= 1] = -820
        flat[spine <= SPINE_MM**2] = 600
    return values


def made_ct_volume(
    shape: tuple[int, int, int] = (68, 48, 28), spacing: tuple[float, float, float] = (5.0, 5.0, 7.0)
) -> Volume:
    """The same as a volume."""
    return volume_in_memory(made_ct(shape, spacing), np.diag([*spacing, 1.0]), modality="CT", unit="HU")
