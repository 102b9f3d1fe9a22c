"""Masks by plain rules: ranges of values, parts by size, holes, Otsu's threshold, the patient's left and right.

Volumes are read slice by slice where a copy as floats would be large.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from numpy import ndarray
from scipy.ndimage import binary_opening, label

from medseg.study.slice_axis import slice_axis
from medseg.study.volume import Volume

_BINS = 512
_ALL_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)
_FACES = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)


def within(volume: Volume, low: float, high: float) -> Bool[ndarray, "i j k"]:
    """Voxels whose value is `low` or more and below `high`."""
    found = np.empty(volume.shape, dtype=bool, order="F")
    for k in range(volume.shape[2]):
        values = volume.voxels[:, :, k]
        found[:, :, k] = (values >= low) & (values < high)
    return found


def parts_by_size(mask: Bool[ndarray, "i j k"]) -> tuple[Int[ndarray, "i j k"], Int[ndarray, " part"]]:
    """Numbers of the connected parts (26 neighbours; 0 outside), and the voxels of each, entry 0 standing for none."""
    names, count = label(mask, _ALL_NEIGHBOURS, output=np.int32)  # pyright: ignore[reportGeneralTypeIssues]
    sizes = np.zeros(count + 1, dtype=np.int64)
    for flat in names:  # bincount makes a copy in 64 bits
        sizes += np.bincount(flat.ravel(), minlength=count + 1)
    sizes[0] = 0
    return names, sizes


def one_part(mask: Bool[ndarray, "i j k"], largest: bool) -> Bool[ndarray, "i j k"]:
    """The largest or the smallest connected part; the first of equal ones."""
    names, sizes = parts_by_size(mask)
    if len(sizes) == 1:
        return mask
    return names == 1 + (sizes[1:].argmax() if largest else sizes[1:].argmin())


def without_specks(mask: Bool[ndarray, "i j k"], voxels_min: float) -> Bool[ndarray, "i j k"]:
    """The mask without connected parts of fewer voxels."""
    names, sizes = parts_by_size(mask)
    kept = sizes >= max(voxels_min, 1)
    return mask if kept[1:].all() else kept[names]


def body_of(volume: Volume, low: float) -> Bool[ndarray, "i j k"]:
    """The largest solid of values from `low` on, thin sheets removed, with everything that its slices enclose."""
    solid = within(volume, low, np.inf)
    axis = slice_axis(volume)
    for flat in _slices(solid, axis):
        if flat.any():
            flat[...] = binary_opening(flat, _FACES, iterations=2)
    body = one_part(solid, largest=True)
    for flat in _slices(body, axis):
        flat[...] = _filled(flat)
    return body


def otsu_threshold(volume: Volume, inside: Bool[ndarray, "i j k"] | None) -> float | None:
    """Value that splits the voxels of a mask (None: all) best into dark and bright; None where they are all equal.

    Colours are read as the mean of their channels. Source: N. Otsu, A threshold selection method from gray-level
    histograms, 1979, on 512 bins.
    """
    low, high = np.inf, -np.inf
    for grey in _grey_values(volume, inside):
        low, high = min(low, float(grey.min())), max(high, float(grey.max()))
    if not low < high:
        return None
    counts = np.zeros(_BINS, dtype=np.int64)
    for grey in _grey_values(volume, inside):
        counts += np.histogram(grey, bins=_BINS, range=(low, high))[0]
    edges = np.linspace(low, high, _BINS + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * middles)
    between = below * above * (sums[:-1] / np.maximum(below, 1) - (sums[-1] - sums[:-1]) / np.maximum(above, 1)) ** 2
    return float(edges[1 + int(between.argmax())])


def brighter(volume: Volume, threshold: float, inside: Bool[ndarray, "i j k"] | None) -> Bool[ndarray, "i j k"]:
    """Voxels of a mask (None: all) at or above the threshold."""
    found = np.empty(volume.shape, dtype=bool, order="F")
    for k in range(volume.shape[2]):
        found[:, :, k] = _grey(volume, k) >= threshold
    return found if inside is None else found & inside


def half(volume: Volume, mask: Bool[ndarray, "i j k"], about: Bool[ndarray, "i j k"], left: bool) -> ndarray:
    """Voxels of a mask on the patient's left or right of the middle of `about` (its centroid); a straight cut."""
    centre = np.empty(3)
    for axis in range(3):
        counts = np.count_nonzero(about, axis=tuple(other for other in range(3) if other != axis))
        centre[axis] = float(counts @ np.arange(len(counts))) / counts.sum()
    # RAS x grows to the right: it is linear in i, j and k.
    i, j, k = (np.arange(size, dtype=np.float64) - centre[axis] for axis, size in enumerate(volume.shape))
    step = volume.voxel_to_ras[0, :3]
    found = np.empty(volume.shape, dtype=bool, order="F")
    for number in range(volume.shape[2]):
        right = step[0] * i[:, None] + step[1] * j[None, :] + step[2] * k[number]
        found[:, :, number] = mask[:, :, number] & ((right < 0) if left else (right >= 0))
    return found


def share_below(volume: Volume, names: Int[ndarray, "i j k"], count: int, limit: float) -> Float[ndarray, " part"]:
    """Share of the voxels of each of `count` numbered parts whose value is below a limit; entry 0 is the rest."""
    below, sizes = np.zeros(count), np.zeros(count)
    for k in range(volume.shape[2]):
        flat = names[:, :, k]
        below += np.bincount(flat[volume.voxels[:, :, k] < limit], minlength=count)
        sizes += np.bincount(flat.ravel(), minlength=count)
    return below / np.maximum(sizes, 1)


def _slices(mask: Bool[ndarray, "i j k"], axis: int) -> Iterator[Bool[ndarray, "row column"]]:
    yield from np.moveaxis(mask, axis, 0)


def _filled(flat: Bool[ndarray, "row column"]) -> Bool[ndarray, "row column"]:
    """A region with its holes: background that does not reach the border of the slice."""
    names = np.empty(flat.shape, dtype=np.int32)
    count = int(label(~flat, output=names))  # pyright: ignore[reportArgumentType]
    open_air = np.zeros(count + 1, dtype=bool)
    for edge in (names[0], names[-1], names[:, 0], names[:, -1]):
        open_air[edge] = True
    open_air[0] = False
    return ~open_air[names]


def _grey(volume: Volume, k: int) -> Num[ndarray, "i j"]:
    values = volume.voxels[:, :, k]
    return values.mean(axis=-1) if values.ndim == 3 else values


def _grey_values(volume: Volume, inside: Bool[ndarray, "i j k"] | None) -> Iterator[Num[ndarray, " voxel"]]:
    for k in range(volume.shape[2]):
        values = _grey(volume, k).ravel() if inside is None else _grey(volume, k)[inside[:, :, k]]
        if values.size:
            yield values
