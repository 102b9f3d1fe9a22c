"""Grids for tests: all 48 orientations of the axes, anisotropic, turned out of the patient's planes."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
from numpy import ndarray
from scipy.spatial.transform import Rotation

from medseg.study.affine import to_ras

ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1.0, -1.0), repeat=3)]
"""48 of them: 6 orders of axes, 8 choices of direction."""
SPACING = (0.7, 1.1, 4.5)
DEGREES = (0.0, 9.0, 27.0)


def affine_of(order: tuple[int, ...], signs: tuple[float, ...], degrees: float) -> ndarray:
    """Axis n runs along patient axis `order[n]`, then all are turned about an oblique line."""
    axes = np.zeros((3, 3))
    for place, (axis, sign) in enumerate(zip(order, signs, strict=True)):
        axes[axis, place] = sign * SPACING[place]
    turn = Rotation.from_rotvec(np.radians(degrees) * np.array([0.48, -0.6, 0.64])).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ axes
    affine[:3, 3] = (-31.5, 12.25, 90.0)
    return affine


def lopsided_mask(shape: tuple[int, int, int] = (14, 11, 7)) -> ndarray:
    """A blob without any symmetry."""
    mask = np.zeros(shape, dtype=bool)
    mask[2:9, 1:4, 1:3] = True
    mask[3, 4:9, 2:6] = True
    mask[11, 8, 5] = True
    return mask


def centroid(mask: ndarray, voxel_to_ras: ndarray) -> ndarray:
    """Middle of a mask, RAS mm."""
    return to_ras(voxel_to_ras, np.argwhere(mask).astype(np.float64)).mean(axis=0)
