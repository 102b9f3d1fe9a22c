"""Axes turned to RAS and masks brought back: permutations and flips alone, so no value changes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

from medseg.study.affine import nearest_axes
from medseg.study.volume import Volume

_WHOLE = 1e-3
"""How far from whole numbers the map between two grids may be, voxels, for them to be the same voxels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisMove:
    """How to reorder axes: first take them in `order`, then flip those of the result where `flips` says so."""

    order: tuple[int, int, int]
    """Axis of the old array that becomes each axis of the new one."""
    flips: tuple[bool, bool, bool]
    """Axes of the new array that run backwards."""

    def apply(self, values: Shaped[ndarray, "i j k *channel"]) -> Shaped[ndarray, "a b c *channel"]:
        """The array with axes moved; a view."""
        moved = values.transpose(*self.order, *range(3, values.ndim))
        return np.flip(moved, [axis for axis in range(3) if self.flips[axis]])

    def undo(self, values: Shaped[ndarray, "a b c *channel"]) -> Shaped[ndarray, "i j k *channel"]:
        """The exact inverse of `apply`; a view."""
        turned = np.flip(values, [axis for axis in range(3) if self.flips[axis]])
        back = [self.order.index(axis) for axis in range(3)]
        return turned.transpose(*back, *range(3, values.ndim))

    def affine(self, voxel_to_ras: Float[ndarray, "4 4"], shape: tuple[int, ...]) -> Float[ndarray, "4 4"]:
        """The affine after the move, from the affine and the shape before it."""
        new_to_old = np.zeros((4, 4))
        new_to_old[3, 3] = 1.0
        for new, old in enumerate(self.order):
            new_to_old[old, new] = -1.0 if self.flips[new] else 1.0
            new_to_old[old, 3] = shape[old] - 1 if self.flips[new] else 0.0
        return voxel_to_ras @ new_to_old


def move_to_ras(voxel_to_ras: Float[ndarray, "4 4"]) -> AxisMove:
    """The move after which i, j and k run most nearly right, anterior and superior."""
    axes = nearest_axes(voxel_to_ras)
    order = [next(place for place, (axis, _) in enumerate(axes) if axis == wanted) for wanted in range(3)]
    flips = [axes[place][1] < 0 for place in order]
    return AxisMove(order=(order[0], order[1], order[2]), flips=(flips[0], flips[1], flips[2]))


def canonicalise(volume: Volume) -> Volume:
    """The volume with its axes in RAS order; oblique ones stay oblique, and `source` stays what it was.

    Example:
        >>> from medseg.study.volume import volume_in_memory
        >>> canonicalise(volume_in_memory(np.zeros((4, 5, 6)), np.diag([-1.0, -1.0, 1.0, 1.0]))).orientation
        'RAS'
    """
    move = move_to_ras(volume.voxel_to_ras)
    moved = move.affine(volume.voxel_to_ras, volume.shape)
    return replace(volume, voxels=move.apply(volume.voxels), voxel_to_ras=moved)


def move_between(
    from_affine: Float[ndarray, "4 4"],
    from_shape: tuple[int, ...],
    onto_affine: Float[ndarray, "4 4"],
    onto_shape: tuple[int, ...],
) -> AxisMove | None:
    """The move that turns one grid into the other, None where their voxels are not the same."""
    onto_to_from = np.linalg.solve(from_affine, onto_affine)
    whole = np.rint(onto_to_from[:3, :3])
    if sorted(np.abs(whole).sum(axis=0)) != [1, 1, 1] or sorted(np.abs(whole).sum(axis=1)) != [1, 1, 1]:
        return None
    order = [int(np.abs(whole[:, new]).argmax()) for new in range(3)]
    flips = [whole[order[new], new] < 0 for new in range(3)]
    move = AxisMove(order=(order[0], order[1], order[2]), flips=(bool(flips[0]), bool(flips[1]), bool(flips[2])))
    if tuple(from_shape[axis] for axis in order) != tuple(onto_shape[:3]):
        return None
    # Both corners must agree: a voxel of the one grid is that of the other, from the first to the last.
    expected = move.affine(np.eye(4), tuple(from_shape))
    corners = np.array([[0, 0, 0, 1], [*(size - 1 for size in onto_shape[:3]), 1]], dtype=np.float64)
    apart = np.abs((onto_to_from - expected) @ corners.T).max()
    return move if apart < _WHOLE else None
