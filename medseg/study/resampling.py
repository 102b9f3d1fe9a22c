"""Values read off between voxels: volumes at another spacing or with straight axes, labels, and the way back.

Sampling never leaves the grid: within half a voxel of the border the edge values hold, beyond it `outside` is taken.
Nothing is smoothed before a grid is made coarser.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Integer, Num, Shaped
from numpy import ndarray
from scipy.ndimage import affine_transform

from medseg.errors import InvalidInputError, SizeLimitError
from medseg.study.affine import check_affine, is_sheared, spacing_mm
from medseg.study.orientation import move_between
from medseg.study.volume import Volume

Order = Literal["linear", "nearest"]
_VOXELS_MAX = 2**31
"""Most voxels of a new grid: 8 GB of float32."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """Where voxels lie, without values."""

    shape: tuple[int, int, int]
    """Voxels along i, j and k."""
    voxel_to_ras: Float[ndarray, "4 4"]
    """From indices to RAS+ millimetres."""

    def __post_init__(self) -> None:
        check_affine(self.voxel_to_ras, "Grid")
        if min(self.shape) < 1:
            raise InvalidInputError(f"Grid: expected sizes of 1 and more, found {self.shape}.")
        if np.prod([float(size) for size in self.shape]) > _VOXELS_MAX:
            raise SizeLimitError(f"Grid: expected at most {_VOXELS_MAX} voxels, found {self.shape}. Widen the spacing.")


def grid_of(volume: Volume) -> Grid:
    """The grid a volume is on."""
    return Grid(shape=volume.shape, voxel_to_ras=volume.voxel_to_ras)


def source_grid(volume: Volume) -> Grid:
    """The grid of the files a volume came from."""
    return Grid(shape=volume.source.shape, voxel_to_ras=volume.source.voxel_to_ras)


def grid_of_spacing(grid: Grid, spacing: tuple[float, float, float]) -> Grid:
    """The grid of another spacing (mm) with the same axes and the same middle; its extent is that of `grid`, rounded.

    Example:
        >>> grid_of_spacing(Grid(shape=(10, 10, 4), voxel_to_ras=np.diag([1.0, 1.0, 5.0, 1.0])), (2.0, 2.0, 2.0)).shape
        (5, 5, 10)
    """
    wanted = np.asarray(spacing, dtype=np.float64)
    if wanted.shape != (3,) or not np.isfinite(wanted).all() or wanted.min() <= 0:
        raise InvalidInputError(f"Spacing: expected three positive lengths in mm, found {spacing}. Change them.")
    found = spacing_mm(grid.voxel_to_ras)
    counts = np.maximum(1, np.rint(np.array(grid.shape) * found / wanted)).astype(int)
    return _around_the_middle(grid, grid.voxel_to_ras[:3, :3] / found * wanted, counts)


def straight_grid(grid: Grid) -> Grid:
    """The grid with perpendicular axes that covers a sheared one: i and j stay, k becomes their normal."""
    axes = grid.voxel_to_ras[:3, :3]
    steps = spacing_mm(grid.voxel_to_ras)
    first = axes[:, 0] / steps[0]
    second = axes[:, 1] - first * (first @ axes[:, 1])
    second /= np.linalg.norm(second)
    normal = np.cross(first, second)
    normal *= np.sign(normal @ axes[:, 2])
    unit = np.stack([first, second, normal], axis=1)
    # The step along the normal is the distance of slices; i and j grow by what the shear moves them.
    new_steps = np.array([steps[0], second @ axes[:, 1], normal @ axes[:, 2]])
    corners = np.array(np.meshgrid(*[(-0.5, size - 0.5) for size in grid.shape], indexing="ij")).reshape(3, -1)
    extent = np.ptp(unit.T @ (axes @ corners), axis=1)
    counts = np.maximum(1, np.ceil(extent / new_steps - 1e-6)).astype(int)
    return _around_the_middle(grid, unit * new_steps, counts)


def sample(
    values: Num[ndarray, "i j k *channel"], grid: Grid, onto: Grid, order: Order = "linear", outside: float = 0.0
) -> Num[ndarray, "a b c *channel"]:
    """Values of `grid` at the voxels of `onto`: float32 by linear interpolation, unchanged values by `nearest`."""
    if tuple(values.shape[:3]) != tuple(grid.shape):
        raise InvalidInputError(f"Sampling: expected values on the grid {grid.shape}, found {values.shape}.")
    onto_to_grid = np.linalg.solve(grid.voxel_to_ras, onto.voxel_to_ras)
    layers = values.reshape(*values.shape[:3], -1)
    kept = layers.dtype if order == "nearest" else np.dtype(np.float32)
    found = np.empty((*onto.shape, layers.shape[3]), dtype=kept)
    beyond = ~_within(grid.shape, onto.shape, onto_to_grid)
    for layer in range(layers.shape[3]):
        one = layers[..., layer]
        affine_transform(
            one.view(np.uint8) if one.dtype.kind == "b" else one,
            onto_to_grid,
            output_shape=onto.shape,
            output=found[..., layer].view(np.uint8) if kept.kind == "b" else found[..., layer],
            order=1 if order == "linear" else 0,
            mode="nearest",
        )
        found[..., layer][beyond] = outside
    return found.reshape(*onto.shape, *values.shape[3:])


def resample(volume: Volume, spacing: tuple[float, float, float], order: Order = "linear") -> Volume:
    """The volume at another spacing (mm along i, j and k)."""
    return _sampled(volume, grid_of_spacing(grid_of(volume), spacing), order)


def straighten(volume: Volume, order: Order = "linear") -> Volume:
    """The volume with perpendicular axes; the same volume where it has them already. New corners hold its minimum."""
    if not is_sheared(volume.voxel_to_ras):
        return volume
    return _sampled(volume, straight_grid(grid_of(volume)), order)


def sample_labels(labels: Integer[ndarray, "i j k"], grid: Grid, onto: Grid) -> Integer[ndarray, "a b c"]:
    """A label map on another grid: each label's share is interpolated, and the largest share wins.

    Only two shares are held at a time, whatever the number of labels. Ties go to the smaller label; outside is 0.
    """
    best = np.zeros(onto.shape, dtype=labels.dtype)
    share = sample((labels == 0).astype(np.float32), grid, onto, outside=1.0)
    for label in np.unique(labels[labels != 0]):
        mine = sample((labels == label).astype(np.float32), grid, onto)
        wins = mine > share
        best[wins] = label
        share[wins] = mine[wins]
    return best


def to_source_grid(mask: Shaped[ndarray, "i j k"], volume: Volume) -> Shaped[ndarray, "a b c"]:
    """A mask on `volume`'s voxels, brought onto the grid of its files.

    Where the volume is only turned or flipped, voxels are moved and none is changed. Where it was resampled, booleans
    and labels are brought back by interpolated shares, floats (probabilities) by linear interpolation.

    Example:
        >>> from medseg.study.orientation import canonicalise
        >>> from medseg.study.volume import volume_in_memory
        >>> volume = canonicalise(volume_in_memory(np.arange(24).reshape(2, 3, 4), np.diag([-1.0, 1.0, 2.0, 1.0])))
        >>> to_source_grid(volume.voxels, volume)[:, 0, 0].tolist()
        [0, 12]

    Raises:
        InvalidInputError: the mask is not on the volume's grid.
    """
    if tuple(mask.shape) != volume.shape:
        raise InvalidInputError(
            f"Mask: expected the volume's grid {volume.shape}, found {mask.shape}. Bring it onto that grid first."
        )
    source = volume.source
    move = move_between(volume.voxel_to_ras, volume.shape, source.voxel_to_ras, source.shape)
    if move is not None:
        return np.ascontiguousarray(move.apply(mask))
    grid, onto = grid_of(volume), source_grid(volume)
    if mask.dtype == bool:
        return sample(mask.astype(np.float32), grid, onto) > 0.5
    if np.issubdtype(mask.dtype, np.integer):
        return sample_labels(mask, grid, onto)
    return sample(mask, grid, onto)


def _sampled(volume: Volume, onto: Grid, order: Order) -> Volume:
    values = sample(volume.voxels, grid_of(volume), onto, order, outside=float(volume.voxels.min()))
    return replace(volume, voxels=values, voxel_to_ras=onto.voxel_to_ras)


def _around_the_middle(grid: Grid, axes: Float[ndarray, "3 3"], counts: Integer[ndarray, "3"]) -> Grid:
    middle = grid.voxel_to_ras[:3, :3] @ ((np.array(grid.shape) - 1) / 2) + grid.voxel_to_ras[:3, 3]
    moved = np.eye(4)
    moved[:3, :3] = axes
    moved[:3, 3] = middle - axes @ ((counts - 1) / 2)
    return Grid(shape=(int(counts[0]), int(counts[1]), int(counts[2])), voxel_to_ras=moved)


def _within(shape: tuple[int, ...], onto: tuple[int, ...], onto_to_grid: Float[ndarray, "4 4"]) -> ndarray:
    """Voxels of the new grid whose centres lie in the old one, its outer half voxels included."""
    inside = np.ones(onto, dtype=bool)
    a, b, c = (np.arange(size, dtype=np.float32) for size in onto)
    for axis in range(3):
        row = onto_to_grid[axis].astype(np.float32)
        place = row[0] * a[:, None, None] + row[1] * b[None, :, None] + row[2] * c[None, None, :] + row[3]
        inside &= (place >= -0.501) & (place <= shape[axis] - 0.499)
    return inside
