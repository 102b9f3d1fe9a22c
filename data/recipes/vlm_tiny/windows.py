"""Windows of pictures around things that have a name: what the vision tower learns from first.

A window costs a seventh of a picture and shows a thing nearly as often, so more things are learned from in the same
time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import IterableDataset

from data.recipes.vlm_tiny.exchange import SIDE, Picture, Rng
from data.recipes.vlm_tiny.network import FINE, PATCH
from data.recipes.vlm_tiny.stream import Sources, worker_number
from vlm_bridge.images.tile_batch import IMAGENET_MEAN, IMAGENET_STD

WINDOW = 6
"""Patches along each side of a window."""
_GRID = SIDE // PATCH
_STEP = PATCH // FINE


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowBatch:
    """Windows to learn from."""

    pixels: Float[Tensor, "window 3 height width"]
    what: Int[Tensor, "window row column"]
    """Numbers of what is seen, FINE to each side of a patch."""
    colour: Int[Tensor, "window row column"]
    place: Int[Tensor, "window 2"]
    """Row and column of the first patch in its picture."""

    def to(self, device: torch.device) -> WindowBatch:
        """The same on another device."""
        return WindowBatch(**{one.name: getattr(self, one.name).to(device) for one in fields(self)})


class Windows(IterableDataset[WindowBatch]):
    """Batches of windows from one seed on; `side` patches wide, a whole picture where that is its grid."""

    def __init__(self, sources: Sources, windows: int, seed: int, *, side: int = WINDOW, each: int = 3) -> None:
        super().__init__()
        self._sources, self._windows, self._seed, self._side, self._each = sources, windows, seed, side, each

    def __iter__(self) -> Iterator[WindowBatch]:
        rng = np.random.default_rng([self._seed, 12, worker_number()])
        while True:
            cut: list[tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]] = []
            while len(cut) < self._windows:
                picture = self._sources.draw(rng)
                for _ in range(self._each):
                    place = _place(picture, rng, self._side)
                    cut.append(_cut(picture, place, self._side))
            yield _batch(cut[: self._windows])


def _place(picture: Picture, rng: Rng, side: int) -> tuple[int, int]:
    """Around a random named place of the picture, where it has one."""
    last = _GRID - side
    rows, columns = np.nonzero(picture.what[::8, ::8] > 0)
    if not len(rows) or rng.random() < 0.1:
        row, column = rng.integers(0, last + 1, 2)
        return int(row), int(column)
    one = int(rng.integers(len(rows)))
    middle = np.array([rows[one], columns[one]]) * 8 / PATCH - side / 2 + rng.uniform(-1, 1, 2)
    row, column = np.clip(np.round(middle), 0, last).astype(int)
    return int(row), int(column)


def _cut(
    picture: Picture, place: tuple[int, int], side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]:
    row, column = place[0] * PATCH, place[1] * PATCH
    inside = (slice(row, row + side * PATCH), slice(column, column + side * PATCH))
    fine = (slice(_STEP // 2, None, _STEP),) * 2
    return picture.image[inside], picture.what[inside][fine], picture.colour[inside][fine], place


def _batch(cut: list[tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]]) -> WindowBatch:
    images, what, colour, places = (np.stack(part) for part in zip(*cut, strict=True))
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return WindowBatch(
        pixels=(pixels - mean) / std, what=torch.from_numpy(what.astype(np.int64)),
        colour=torch.from_numpy(colour.astype(np.int64)), place=torch.from_numpy(places),
    )  # fmt: skip
