"""Batches of squares with the structures to be found in each: present, absent, and parts of earlier masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from data.recipes.medseg_tiny.pictures import SETS, LabelledPicture
from data.recipes.medseg_tiny.variation import Rng, varied

PARTS = ("again", "upper half", "lower half", "image-left half", "image-right half")
"""What may be asked of an earlier mask."""
DERIVED = ("lungs", "left lung", "right lung", "white blood cell")
"""Structures made of others, or parts of them."""
NAMES: tuple[str, ...] = tuple(dict.fromkeys([*(name for one in SETS for name in one.structures.values()), *DERIVED]))
"""Every structure that grounding knows; `PARTS` follow them in the table of prompts."""
_TOKENS_MAX = 3
_ABSENT_SHARE = 0.3
_PART_SHARE = 0.04
_SEEN_PIXELS = 12
"""A structure with fewer pixels left in the square is not asked for."""
SIDES = (128, 192, 256)
"""Sides of squares: small ones first, since four of them cost what one large one does."""
_OFTEN = {
    "med_ct_kidney_tumor": 2.0, "med_polyp_kvasir": 1.6, "med_wound_foot_ulcer": 1.6, "med_breast_us_busi": 1.6,
    "med_fundus_fives": 3.5, "med_fundus_chasedb1": 2.5, "med_mr_lgg_flair": 1.3, "med_cxr_covid_multi": 1.3,
    "med_cxr_lungs": 0.6, "med_nuclei_dsb2018": 0.6, "med_us_fetal_head": 0.8, "phantom_chest": 0.3,
}  # fmt: skip
"""Sets drawn more or less often than by the square root of their size: by how hard they turned out to be."""
LOGIT = 6.0
"""An earlier mask enters as logits of this size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingBatch:
    """Squares, and tokens about them."""

    pictures: Tensor
    """uint8 [picture side side 3]."""
    picture: Tensor
    """Int [token]: which square a token is about."""
    name: Tensor
    """Int [token]: number in NAMES + PARTS."""
    masks: Tensor
    """bool [token side side]."""
    present: Tensor
    """bool [token]: whether the picture shows the structure at all."""
    previous: Tensor
    """float [token side/2 side/2]: logits of an earlier mask; NaN for none."""

    def to(self, device: torch.device) -> GroundingBatch:
        """The batch on a device."""
        return replace(self, **{one.name: getattr(self, one.name).to(device) for one in fields(self)})


class GroundingBatches(IterableDataset[Any]):
    """Batches without end; sets are drawn by the square root of their size and how hard they are, sides by `shares`."""

    def __init__(self, pictures: Sequence[LabelledPicture], count: int, seed: int, side_shares: Tensor) -> None:
        """Args:
        pictures: to learn from.
        count: squares of a batch at a side of 256; more at smaller ones.
        seed: of the draws.
        side_shares: of each of SIDES, in shared memory, changed from outside.
        """
        self.sets: dict[str, list[LabelledPicture]] = {}
        for picture in pictures:
            self.sets.setdefault(picture.of.folder, []).append(picture)
        sizes = np.array([_OFTEN.get(name, 1.0) * len(one) ** 0.5 for name, one in self.sets.items()])
        self.shares = sizes / sizes.sum()
        self.count, self.seed, self.side_shares = count, seed, side_shares

    def __iter__(self) -> Iterator[GroundingBatch]:
        """Batches, other ones in each worker."""
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        folders = list(self.sets)
        while True:
            side = int(rng.choice(SIDES, p=self.side_shares.numpy()))
            drawn = rng.choice(len(folders), self.count * SIDES[-1] ** 2 // side**2, p=self.shares)
            chosen = [self.sets[folders[number]] for number in drawn]
            yield draw_batch([one[int(rng.integers(len(one)))] for one in chosen], side, rng)


def draw_batch(pictures: Sequence[LabelledPicture], side: int, rng: Rng) -> GroundingBatch:
    """One square of each picture, varied, and up to three tokens about it."""
    squares, picture, name, masks, present, previous = [], [], [], [], [], []
    for number, one in enumerate(pictures):
        square, moved = varied(one, side, rng, one.masks)
        squares.append(square)
        for asked, mask, there, before in _tokens(one, moved, rng):
            picture.append(number)
            name.append(number_of(asked))
            masks.append(mask)
            present.append(there)
            previous.append(_as_logits(before, side))
    return GroundingBatch(
        pictures=torch.from_numpy(np.stack(squares)), picture=torch.tensor(picture), name=torch.tensor(name),
        masks=torch.from_numpy(np.stack(masks)), present=torch.tensor(present),
        previous=torch.from_numpy(np.stack(previous)),
    )  # fmt: skip


def number_of(asked: str) -> int:
    """Row of a structure or a part in the table of prompts."""
    return NAMES.index(asked) if asked in NAMES else len(NAMES) + PARTS.index(asked)


def half_of(mask: np.ndarray, part: str) -> np.ndarray:
    """A part of a mask: cut at the middle of its box; `again` is all of it."""
    if part == "again" or not mask.any():
        return mask
    axis = 0 if part in ("upper half", "lower half") else 1
    places = np.nonzero(mask.any(1 - axis))[0]
    middle = (places[0] + places[-1] + 1) / 2
    before = np.arange(mask.shape[axis]) + 0.5 < middle
    chosen = before if part in ("upper half", "image-left half") else ~before
    return mask & (chosen[:, None] if axis == 0 else chosen[None])


def _tokens(
    one: LabelledPicture, moved: dict[str, np.ndarray], rng: Rng
) -> list[tuple[str, np.ndarray, bool, np.ndarray | None]]:
    there = [name for name, mask in moved.items() if mask.sum() >= _SEEN_PIXELS and one.masks[name].any()]
    gone = [name for name in moved if not one.masks[name].any()]
    tokens: list[tuple[str, np.ndarray, bool, np.ndarray | None]] = []
    for name in rng.permutation(there)[:_TOKENS_MAX]:
        if rng.random() < _PART_SHARE:
            part = PARTS[int(rng.integers(len(PARTS)))]
            tokens.append((part, half_of(moved[str(name)], part), True, moved[str(name)]))
        else:
            tokens.append((str(name), moved[str(name)], True, None))
    nothing = np.zeros(next(iter(moved.values())).shape, bool)
    if gone and (rng.random() < 0.7 or not tokens):
        tokens.append((gone[int(rng.integers(len(gone)))], nothing, False, None))
    if rng.random() < _ABSENT_SHARE or not tokens:
        elsewhere = _names_elsewhere(one)
        tokens.append((elsewhere[int(rng.integers(len(elsewhere)))], nothing, False, None))
    return tokens


def _names_elsewhere(one: LabelledPicture) -> list[str]:
    near = {name for other in SETS if other.body_part == one.of.body_part for name in other.structures.values()}
    near |= {"lungs", "left lung", "right lung"} if one.of.body_part in ("chest", "abdomen") else set()
    return [name for name in NAMES if name not in near]


def _as_logits(before: np.ndarray | None, side: int) -> np.ndarray:
    if before is None:
        return np.full((side // 2, side // 2), np.nan, np.float32)
    halved = before.reshape(side // 2, 2, side // 2, 2).mean((1, 3), dtype=np.float32)
    return (halved * 2 - 1) * np.float32(LOGIT)
