"""`measure`: what a mask says in millilitres and millimetres. Numbers are computed from the mask, never read by eye."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int32, Num, Shaped
from numpy import ndarray
from scipy.ndimage import find_objects, label

from medseg.errors import InvalidInputError
from medseg.study.diameters import diameters, is_longer, plane_metric
from medseg.study.slice_axis import slice_axis, source_slice_axis, source_slice_numbers
from medseg.study.volume import Volume

_AXES: tuple[Literal["i", "j", "k"], ...] = ("i", "j", "k")
_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantities:
    """What was measured in a mask."""

    voxels: int
    """Voxels of the mask."""
    volume_ml: float | None
    """Millilitres; None for pictures and for spacings nobody knows."""
    area_mm2: float | None
    """Area of the mask in its largest slice, square millimetres; None where spacing is unknown."""
    area_pixels: int
    """The same in pixels."""
    long_axis_mm: float | None
    """Longest diameter of one connected region of one slice, from outer edge to outer edge, as RECIST measures it but
    computed; None where spacing is unknown."""
    short_axis_mm: float | None
    """Longest diameter of the same region at right angles to it."""
    axis_slice: int
    """Slice of the two diameters, its number in the files (along `slice_axis`), from 0."""
    components: int
    """Separate parts (26 neighbours)."""
    touches_border: bool
    """Whether the mask reaches the border of the volume along an axis, so that some of it may lie outside. An axis of
    one voxel and the time of `frames` do not count."""
    intensity_mean: float | None
    """Mean value inside, in the volume's unit; None for colour."""
    intensity_std: float | None
    """Standard deviation inside."""
    intensity_min: float | None
    """Smallest value inside."""
    intensity_max: float | None
    """Largest value inside."""
    unit: str
    """Unit of the intensities."""
    slice_axis: Literal["i", "j", "k"] = "k"
    """Axis of the files' grid that counts slices, see `source_slice_axis`."""


def measure(mask: Shaped[ndarray, "i j k"], volume: Volume) -> Quantities | None:
    """What is measured in `mask`, or None where it is empty.

    Slices are those of the acquisition (see `slice_axis`). Millimetres follow the affine, for tilted stacks too.

    Example:
        >>> from medseg.study.volume import volume_in_memory
        >>> mask = np.zeros((8, 8, 4), dtype=bool)
        >>> mask[1:5, 2:5, 1:3] = True
        >>> found = measure(mask, volume_in_memory(mask.astype(np.int16), np.diag([1.0, 1.0, 2.0, 1.0])))
        >>> found.volume_ml, found.area_mm2, found.long_axis_mm, found.short_axis_mm, found.components
        (0.048, 12.0, 5.0, 3.75, 1)

    Raises:
        InvalidInputError: the mask is not on the volume's grid, or not of booleans.
    """
    if mask.shape != volume.shape or mask.dtype != bool:
        raise InvalidInputError(
            f"Measuring: expected booleans on the grid {volume.shape}, found {mask.dtype} of {mask.shape}. "
            "Bring the mask to the volume's voxels first."
        )
    box = _bounding_box(mask)
    if box is None:
        return None
    inside = mask[box]
    axis = slice_axis(volume)
    numbers = source_slice_numbers(volume)[box[axis]]
    slices = np.moveaxis(inside, axis, 0)
    voxels = int(np.count_nonzero(inside))
    area = max(int(np.count_nonzero(flat)) for flat in slices)
    first, second = (volume.voxel_to_ras[:3, other] for other in range(3) if other != axis)
    long_axis, short_axis, place = _longest(slices, plane_metric(first, second), numbers)
    known = volume.spacing_known
    mean, std, low, high = _intensities(np.moveaxis(volume.voxels[box], axis, 0), slices)
    return Quantities(
        voxels=voxels,
        volume_ml=voxels * volume.voxel_ml if known and volume.space == "patient" else None,
        area_mm2=area * float(np.linalg.norm(np.cross(first, second))) if known else None,
        area_pixels=area,
        long_axis_mm=long_axis if known else None,
        short_axis_mm=short_axis if known else None,
        axis_slice=place,
        components=_named_parts(inside, _NEIGHBOURS)[1],
        touches_border=_touches_border(box, volume),
        intensity_mean=mean,
        intensity_std=std,
        intensity_min=low,
        intensity_max=high,
        unit=volume.unit,
        slice_axis=_AXES[source_slice_axis(volume.source)],
    )


def _bounding_box(mask: Bool[ndarray, "i j k"]) -> tuple[slice, slice, slice] | None:
    box = []
    for axis in range(3):
        seen = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if not seen.size:
            return None
        box.append(slice(int(seen[0]), int(seen[-1]) + 1))
    return box[0], box[1], box[2]


def _touches_border(box: tuple[slice, slice, slice], volume: Volume) -> bool:
    counted = range(2) if volume.space == "frames" else range(3)
    ends = [(box[axis], volume.shape[axis]) for axis in counted if volume.shape[axis] > 1]
    return any(part.start == 0 or part.stop == size for part, size in ends)


def _longest(
    slices: Bool[ndarray, "slice row column"], metric: Float[ndarray, "2 2"], numbers: ndarray
) -> tuple[float, float, int]:
    """The two diameters of the region with the longest one, and its slice; the first slice where several are equal.

    Regions are tried by the diagonal of their box, the longest first, until none can win any more.
    """
    order = np.argsort(numbers, kind="stable")
    bounds = [(bound, int(place), name) for place in order for name, bound in _bounds(slices[place], metric)]
    bounds.sort(key=lambda entry: -entry[0])
    best, where = (0.0, 0.0), -1
    names, named = np.zeros((0, 0), dtype=np.int32), -1
    for bound, place, name in bounds:
        if bound < best[0] * (1 - 1e-6):
            break
        if place != named:
            (names, _), named = _named_parts(slices[place], _NEIGHBOURS[0]), place
        found = diameters(names == name, metric)
        first = not is_longer(best, found) and numbers[place] < where
        if where < 0 or is_longer(found, best) or first:
            best, where = found, int(numbers[place])
    return *best, where


def _named_parts(mask: Bool[ndarray, "..."], neighbours: Bool[ndarray, "..."]) -> tuple[Int32[ndarray, "..."], int]:
    names, count = label(mask, neighbours, output=np.int32)  # pyright: ignore[reportGeneralTypeIssues]
    return names, int(count)


def _bounds(flat: Bool[ndarray, "row column"], metric: Float[ndarray, "2 2"]) -> list[tuple[int, float]]:
    """Number of each region of a slice and a length that its diameter does not exceed."""
    found = []
    for number, box in enumerate(find_objects(_named_parts(flat, _NEIGHBOURS[0])[0]), 1):
        sizes = [part.stop - part.start for part in box]
        ends = np.array([sizes, [sizes[0], -sizes[1]]]) @ metric
        found.append((number, float(np.linalg.norm(ends, axis=1).max())))
    return found


def _intensities(
    values: Num[ndarray, "slice row column *channel"], slices: Bool[ndarray, "slice row column"]
) -> tuple[float | None, float | None, float | None, float | None]:
    """Mean, standard deviation (of the mask as a population), smallest and largest; slice by slice, to spare memory."""
    if values.ndim == 4:
        return None, None, None, None
    parts = [(flat, inside) for flat, inside in zip(values, slices, strict=True) if inside.any()]
    count = sum(int(np.count_nonzero(inside)) for _, inside in parts)
    mean = sum(float(flat[inside].sum(dtype=np.float64)) for flat, inside in parts) / count
    spread = sum(float(np.square(flat[inside] - mean).sum(dtype=np.float64)) for flat, inside in parts) / count
    low = min(float(flat[inside].min()) for flat, inside in parts)
    high = max(float(flat[inside].max()) for flat, inside in parts)
    return mean, float(np.sqrt(spread)), low, high
