"""An endless stream of training batches: shapes, household photos and medical pictures in fixed shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from data.recipes.vlm_tiny.batches import PackedBatch, Writer, draw_exchanges, pack
from data.recipes.vlm_tiny.exchange import Picture, Rng
from data.recipes.vlm_tiny.household_pictures import close_up, household_picture, read_scene
from data.recipes.vlm_tiny.medical_questions import medical_picture
from data.recipes.vlm_tiny.medical_sets import MedicalItem
from data.recipes.vlm_tiny.shape_questions import shape_picture

SHARES = (0.42, 0.3, 0.28)
"""Of shapes, household photos and medical pictures."""
TEST_EVERY = 20
"""Each 20th household scene is kept for tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where pictures come from; an empty one is left out."""

    scenes: tuple[Path, ...]
    medical: tuple[MedicalItem, ...]
    shares: tuple[float, float, float] = SHARES
    """Of shapes, household photos and medical pictures."""

    easy: float = 0.0
    """Share of the pictures of shapes that show one or two: what things are called is learned from these first."""

    def draw(self, rng: Rng) -> Picture:
        """One picture."""
        weights = np.array(self.shares) * (1, bool(self.scenes), bool(self.medical))
        source = int(rng.choice(3, p=weights / weights.sum()))
        if source == 1:
            arrays, facts = read_scene(self.scenes[int(rng.integers(len(self.scenes)))])
            view = int(rng.integers(len(arrays["images"])))
            near = close_up(arrays, facts, view, rng) if rng.random() < 0.35 else None
            return near or household_picture(arrays, facts, view, rng)
        if source == 2:
            return medical_picture(self.medical[self._medical_number(rng)], rng)
        return shape_picture(rng, easy=bool(rng.random() < self.easy))

    def _medical_number(self, rng: Rng) -> int:
        # small sets count as much as the square root of their size
        names = [item.of.folder + item.of.modality for item in self.medical]
        _, inverse, counts = np.unique(names, return_inverse=True, return_counts=True)
        weights = counts[inverse] ** -0.5
        return int(rng.choice(len(names), p=weights / weights.sum()))


def scene_files(folders: Sequence[Path], *, test: bool) -> tuple[Path, ...]:
    """Household scenes to learn from, or those kept for tests."""
    files = [path for folder in folders for path in sorted(folder.glob("scene_*.npz"))]
    return tuple(path for path in files if (int(path.stem.removeprefix("scene_")) % TEST_EVERY == 0) == test)


def worker_number() -> int:
    """Number of the loader's process, so that each draws other pictures."""
    worker = get_worker_info()
    return 0 if worker is None else worker.id


class Batches(IterableDataset[PackedBatch]):
    """Batches from one seed on."""

    def __init__(self, sources: Sources, writer: Writer, pictures: int, exchanges: int, seed: int) -> None:
        super().__init__()
        self._sources, self._writer, self._sizes, self._seed = sources, writer, (pictures, exchanges), seed

    def __iter__(self) -> Iterator[PackedBatch]:
        rng = np.random.default_rng([self._seed, 11, worker_number()])
        while True:
            pictures: list[Picture] = []
            while len(pictures) < self._sizes[0]:
                picture = self._sources.draw(rng)
                if picture.exchanges:
                    pictures.append(picture)
            yield pack(pictures, [draw_exchanges(one, self._sizes[1], rng) for one in pictures], self._writer)
