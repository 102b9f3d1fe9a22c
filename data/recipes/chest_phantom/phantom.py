"""The phantom itself: Hounsfield units on a grid, and where its parts are. No person's image is behind it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int16
from numpy import ndarray
from scipy.ndimage import gaussian_filter

SHAPE = (160, 120, 30)
"""Voxels along i (to the patient's left), j (to the back) and k (to the head)."""
SPACING_MM = (2.2, 2.2, 8.0)
"""Distances along i, j and k."""
_AIR, _FAT, _MUSCLE, _LUNG, _VESSEL, _HEART, _LIVER, _BONE = -1000.0, -95.0, 45.0, -850.0, 30.0, 42.0, 62.0, 480.0
_GRAIN = 6
"""Values are multiples of this many HU, so that the archive stays small."""


def chest_phantom(seed: int = 0) -> Int16[ndarray, "i j k"]:
    """A chest in HU: skin and fat, muscle, two lungs with vessels and a nodule, heart, liver, ribs and a spine."""
    rng = np.random.default_rng(seed)
    places = _places()
    voxels = np.full(SHAPE, _AIR)
    voxels[_ellipsoid(places, (0, 0, 0), (160, 112, 1e4))] = _FAT
    voxels[_ellipsoid(places, (0, 0, 0), (146, 99, 1e4))] = _MUSCLE
    _place_ribs(voxels, places)
    lungs = _ellipsoid(places, (-70, -4, 12), (50, 74, 112)) | _ellipsoid(places, (72, -4, 20), (46, 72, 104))
    dome = _ellipsoid(places, (-62, -8, -112), (84, 80, 74))
    voxels[dome & _ellipsoid(places, (0, 0, 0), (138, 92, 1e4))] = _LIVER
    heart = _ellipsoid(places, (24, -22, -22), (46, 40, 66))
    inside = lungs & ~dome & ~heart
    voxels[inside] = _LUNG
    voxels[inside & _vessels(places, rng)] = _VESSEL
    voxels[_ellipsoid(places, (-78, 18, 44), (9, 9, 10))] = _VESSEL
    voxels[heart] = _HEART
    voxels[_ellipsoid(places, (0, 76, 0), (18, 17, 1e4))] = _BONE
    voxels[_ellipsoid(places, (0, 92, 0), (8, 8, 1e4))] = 25.0
    noise = gaussian_filter(rng.normal(size=SHAPE), (0.7, 0.7, 0.0))
    blurred = gaussian_filter(voxels, (0.5, 0.5, 0.0)) + noise * (11.0 / noise.std())
    return (_GRAIN * np.rint(blurred / _GRAIN)).astype(np.int16)


def _places() -> tuple[Float[ndarray, "i 1 1"], Float[ndarray, "1 j 1"], Float[ndarray, "1 1 k"]]:
    """Millimetres from the middle, to the left, back and head."""
    left, back, head = (
        (np.arange(count) - (count - 1) / 2) * step for count, step in zip(SHAPE, SPACING_MM, strict=True)
    )
    return left[:, None, None], back[None, :, None], head[None, None, :]


def _ellipsoid(places: tuple[ndarray, ...], centre: tuple[float, ...], radii: tuple[float, ...]) -> ndarray:
    return sum(((axis - c) / r) ** 2 for axis, c, r in zip(places, centre, radii, strict=True)) < 1  # type: ignore[return-value]


def _place_ribs(voxels: ndarray, places: tuple[ndarray, ...]) -> None:
    left, back, head = places
    ring = (left / 132) ** 2 + (back / 87) ** 2
    for level in np.arange(-120.0, 121.0, 28.0):
        slanted = np.abs(head - level + back * 0.3) < 7
        voxels[(ring > 0.9) & (ring < 1.05) & slanted & (np.abs(left) > 12)] = _BONE


def _vessels(places: tuple[ndarray, ...], rng: np.random.Generator) -> ndarray:
    """Small tubes, upright and a little thicker towards the middle."""
    found = np.zeros(SHAPE, dtype=bool)
    for side in (-1, 1):
        for _ in range(55):
            across, depth, height = rng.normal((side * 62, -2, 8), (22, 28, 40))
            thick = max(2.4, 5.5 - abs(across) / 28)
            found |= _ellipsoid(places, (across, depth, height), (thick, thick, 5 * thick))
    return found
