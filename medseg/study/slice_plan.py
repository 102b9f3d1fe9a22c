"""`SlicePlan`: a volume as a stack of upright pictures for a 2D model, and masks of them back as a volume.

Pictures are seen as radiologists see them: columns run to the patient's left (axial, coronal) or back (sagittal), rows
run to the back (axial) or the feet. Slices are numbered towards right, front or head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Num, Shaped
from numpy import ndarray
from scipy.ndimage import affine_transform

from medseg.errors import InvalidInputError
from medseg.study.affine import nearest_axes
from medseg.study.orientation import AxisMove
from medseg.study.volume import Volume

Plane = Literal["axial", "coronal", "sagittal"]
_PLANES: dict[Plane, tuple[int, int, int]] = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}
"""Plane -> patient axes along the slices, the rows and the columns; the last two run backwards."""
_NEARLY_ISOTROPIC = 1.5
"""Largest spacing over the smallest, up to which slices are axial whatever the through-plane axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicePlan:
    """How a volume is cut: an exact change of axes, the same way back."""

    plane: Plane
    """The plane of the pictures, or the one nearest to it."""
    move: AxisMove
    """From [i j k] to [slice height width]."""
    shape: tuple[int, int, int]
    """Slices, height and width."""
    spacing_mm: tuple[float, float, float]
    """Distance of slices, rows and columns."""

    def picture(self, volume: Volume, number: int) -> Num[ndarray, "height width *channel"]:
        """One slice, numbered from 0; a view."""
        if not 0 <= number < self.shape[0]:
            raise InvalidInputError(f"Slice: expected 0 to {self.shape[0] - 1}, found {number}. Choose another.")
        return self.pictures(volume.voxels)[number]

    def pictures(self, voxels: Shaped[ndarray, "i j k *channel"]) -> Shaped[ndarray, "slice height width *channel"]:
        """Every slice of voxels (or of masks) on the volume's grid; a view."""
        moved = self.move.apply(voxels)
        if moved.shape[:3] != self.shape:
            raise InvalidInputError(
                f"Slices: expected voxels that give {self.shape}, found {moved.shape[:3]}. Plan for this volume."
            )
        return moved

    def volume_of(self, pictures: Shaped[ndarray, "slice height width *channel"]) -> Shaped[ndarray, "i j k *channel"]:
        """Pictures (as masks of every slice) back on the volume's grid; the exact inverse of `pictures`."""
        if pictures.shape[:3] != self.shape:
            raise InvalidInputError(
                f"Slices: expected {self.shape} [slice height width], found {pictures.shape}. Give one per slice."
            )
        return np.ascontiguousarray(self.move.undo(pictures))

    @property
    def square_size(self) -> tuple[int, int]:
        """Height and width once pixels are made square, at the finer of the two spacings."""
        _, rows, columns = self.spacing_mm
        fine = min(rows, columns)
        return max(1, round(self.shape[1] * rows / fine)), max(1, round(self.shape[2] * columns / fine))


def plan_slices(volume: Volume, plane: Plane | None = None) -> SlicePlan:
    """Slices across the axis of the widest spacing; axial where spacings are nearly alike. `plane` overrides.

    A volume of one slice is cut along that slice. Pictures and films have one plane of their own, k.

    Example:
        >>> from medseg.study.volume import volume_in_memory
        >>> volume = volume_in_memory(np.zeros((40, 8, 50), np.int16), np.diag([1.0, 4.0, 1.0, 1.0]))
        >>> plan = plan_slices(volume)
        >>> plan.plane, plan.shape
        ('coronal', (8, 50, 40))
    """
    axes = nearest_axes(volume.voxel_to_ras)
    steps = volume.spacing_mm
    if volume.space != "patient":
        plane = "axial"
    elif plane is None:
        plane = _widest(volume)
    places = [next(place for place, (axis, _) in enumerate(axes) if axis == wanted) for wanted in _PLANES[plane]]
    forward = [axes[place][1] > 0 for place in places]
    # Slices run forwards along the patient axis, rows and columns backwards.
    move = AxisMove(order=(places[0], places[1], places[2]), flips=(not forward[0], forward[1], forward[2]))
    sizes = [volume.shape[place] for place in places]
    spacing = [float(steps[place]) for place in places]
    return SlicePlan(
        plane=plane,
        move=move,
        shape=(sizes[0], sizes[1], sizes[2]),
        spacing_mm=(spacing[0], spacing[1], spacing[2]),
    )


def stretch(
    picture: Num[ndarray, "height width"], size: tuple[int, int], order: Literal["linear", "nearest"] = "linear"
) -> Num[ndarray, "rows columns"]:
    """A picture of another height and width over the same extent: square pixels on the way in, the old ones back.

    Linear gives float32; for masks stretch the probabilities and take the threshold afterwards.
    """
    scale = [old / new for old, new in zip(picture.shape, size, strict=True)]
    offset = [0.5 * (step - 1) for step in scale]  # outer edges stay where they are, not the first pixel's centre
    return affine_transform(
        picture,
        scale,
        offset=offset,  # pyright: ignore[reportArgumentType] - one per axis is meant
        output_shape=size,
        output=np.float32 if order == "linear" else picture.dtype,
        order=1 if order == "linear" else 0,
        mode="nearest",
    )


def _widest(volume: Volume) -> Plane:
    steps = volume.spacing_mm
    if 1 in volume.shape:  # a single slice is the picture, however thick it is
        steps = np.where(np.arange(3) == 2 - volume.shape[::-1].index(1), np.inf, steps)
    elif steps.max() <= _NEARLY_ISOTROPIC * steps.min():
        return "axial"
    axis = nearest_axes(volume.voxel_to_ras)[int(steps.argmax())][0]
    return {0: "sagittal", 1: "coronal", 2: "axial"}[axis]  # pyright: ignore[reportReturnType]
