"""`AnswerItem`: one answer with its picture and masks, ready for a batch; `AnswerItems` makes them, in any process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from medseg.errors import RecordError
from medseg.grounding.mask_parts import PARTS, part_of
from medseg.grounding.picture_fit import PictureFit
from medseg.training.decoder_views import Rng, is_fine, whole_view, window_view
from medseg.training.importers.reasonseg import IGNORE
from medseg.training.losses import MaskTruth
from medseg.training.records import QARecord, load_mask, load_picture
from medseg.training.taught_answers import ABSENT, TaughtAnswer
from vlm_bridge.finetune.batches import LengthBuckets

Picture = UInt8[ndarray, "height width 3"]
Masks = dict[str, Bool[ndarray, "height width"]]
Vary = Callable[[Picture, Masks, QARecord, Rng], tuple[Picture, Masks]]
"""Another look of a picture and its masks, each time it is learned from. It must keep what the dialogue says of the
picture: no mirror image where sides are spoken of, no cut that loses a target."""
_SAME_OVERLAP = 0.9
"""Overlap (IoU) from which a mask counts as a part of an earlier one, which annotators draw by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSettings:
    """How items are made; they depend on nothing else but the answer and its place in the run."""

    fit: PictureFit
    """Of the decoder."""
    grid: int
    """Side of the decoder's masks."""
    seed: int
    fine_share: float
    fine_labels: tuple[str, ...]
    earlier: Literal["drawn", "cut"] = "drawn"
    """What inference does with an earlier mask, see `MedSegConfig`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnswerItem:
    """One answer to learn from."""

    answer: TaughtAnswer
    picture: UInt8[ndarray, "height width 3"]
    """As it is shown to the language model."""
    views: Float[Tensor, "view 3 side side"]
    """What the decoder is given of it: the whole, or a window, or both; none where nothing is asked for."""
    view: Int[Tensor, " token"]
    """Which view each [SEG] is decoded in."""
    truth: MaskTruth
    previous: Float[Tensor, "token h w"]
    """Earlier masks as logits; rows of NaN where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedAnswer:
    """The picture of an answer with the masks of what it marks, on the picture's pixels."""

    picture: UInt8[ndarray, "height width 3"]
    masks: tuple[Bool[ndarray, "height width"], ...]
    """One per [SEG]."""
    present: tuple[bool, ...]
    """Whether each target is in the picture, before it was varied."""
    earlier: Bool[ndarray, "height width"] | None
    """The one mask that the question builds upon."""
    ignored: Bool[ndarray, "height width"] | None = None
    """Pixels of which the annotators would not say what they are."""


class AnswerItems(Dataset[AnswerItem]):
    """Items by their place in the run and the number of their answer: equal ones are equal, whichever process asks."""

    def __init__(self, answers: Sequence[TaughtAnswer], settings: ItemSettings, vary: Vary | None = None) -> None:
        self.answers = tuple(answers)
        self.settings = settings
        self.vary = vary

    def __len__(self) -> int:
        """How many answers there are."""
        return len(self.answers)

    def __getitem__(self, at: tuple[int, int]) -> AnswerItem:
        """The item of an answer at a place in the run, which seeds its variation and its window.

        Raises:
            RecordError: picture or mask cannot be read, or they differ in size.
        """
        place, number = at
        rng = np.random.default_rng([self.settings.seed, place, number])
        answer = self.answers[number]
        return _item(answer, load_answer(answer, self.vary, rng), self.settings, rng)


class RunOrder(Sampler[list[tuple[int, int]]]):
    """Batches from a pass of the run on, without end: (place in the run, number of the answer) of each item.

    Example:
        >>> order = RunOrder(LengthBuckets([5, 1, 5], batch_size=2, seed=0), first_pass=1)
        >>> next(iter(order))[0][0]
        2
    """

    def __init__(self, order: LengthBuckets, *, first_pass: int) -> None:
        """`order` gives the answers of an epoch; the last batch of an epoch may be small."""
        self.order = order
        self.first_pass = first_pass

    @property
    def passes(self) -> int:
        """Of an epoch."""
        return -(-len(self.order) // self.order.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """From the first pass on."""
        size = self.order.batch_size
        epoch, skipped = divmod(self.first_pass, self.passes)
        while True:
            self.order.set_epoch(epoch)
            numbers = list(self.order)
            for at in range(skipped, self.passes):
                start = (epoch * self.passes + at) * size
                yield [(start + place, number) for place, number in enumerate(numbers[at * size : (at + 1) * size])]
            epoch, skipped = epoch + 1, 0


def load_answer(answer: TaughtAnswer, vary: Vary | None = None, rng: Rng | None = None) -> LoadedAnswer:
    """Picture and masks of an answer, varied where asked.

    Raises:
        RecordError: picture or mask cannot be read, or they differ in size.
    """
    record = answer.record
    picture = load_picture(record)
    keys = [key for key in dict.fromkeys((*answer.targets, *answer.refers_to)) if key != ABSENT]
    keys += [IGNORE] * (IGNORE in record.targets and IGNORE not in keys)
    masks = {key: load_mask(record, key) for key in keys}
    for key, mask in masks.items():
        if mask.shape != picture.shape[:2]:
            raise RecordError(
                f"Record {record.id}: expected a mask of {picture.shape[:2]} pixels as the picture, found "
                f"{mask.shape} for {key}. Give both the same size."
            )
    present = {key: bool(mask.any()) for key, mask in masks.items()}
    if vary is not None and rng is not None:
        picture, masks = vary(picture, masks, record, rng)
    masks = {**masks, ABSENT: np.zeros(picture.shape[:2], bool)}
    earlier = masks[answer.refers_to[0]] if len(answer.refers_to) == 1 else None  # several are drawn anew
    return LoadedAnswer(
        picture=picture,
        masks=tuple(masks[key] for key in answer.targets),
        present=tuple(present.get(key, False) for key in answer.targets),
        earlier=earlier if earlier is not None and earlier.any() else None,
        ignored=masks.get(IGNORE),
    )


def _item(answer: TaughtAnswer, loaded: LoadedAnswer, settings: ItemSettings, rng: Rng) -> AnswerItem:
    fit, grid = settings.fit, settings.grid
    whole = whole_view(fit)
    parts = [part_meant(mask, loaded.earlier) if answer.refers_to else 0 for mask in loaded.masks]
    drawn = [_drawn(*pair, loaded.earlier, settings) for pair in zip(loaded.masks, parts, strict=True)]
    coarse = [whole.mask(mask, grid, loaded.ignored) for mask in drawn]
    fine = [_fine(answer, number, mask, settings) for number, mask in enumerate(coarse)]
    thin = [mask for mask, one in zip(drawn, fine, strict=True) if one]
    views = [whole] * (not all(fine))
    views += [window_view(fit, _size(loaded.picture), thin, rng)] * any(fine)
    view = [len(views) - 1 if one else 0 for one in fine]
    masks = [
        views[at].mask(mask, grid, loaded.ignored) if one else mask_on_grid
        for at, mask, one, mask_on_grid in zip(view, drawn, fine, coarse, strict=True)
    ]
    none, before = torch.full((grid, grid), torch.nan), loaded.earlier if settings.earlier == "drawn" else None
    earlier = [none if before is None else views[at].earlier(before, grid) for at in view]
    stacked = _stacked(masks, grid)
    return AnswerItem(
        answer=answer,
        picture=loaded.picture,
        views=torch.stack([one.picture(loaded.picture) for one in views] or [torch.zeros(3, fit.side, fit.side)])[
            : len(views)
        ],
        view=torch.tensor(view, dtype=torch.long),
        truth=MaskTruth(
            masks=stacked,
            present=torch.tensor(loaded.present, dtype=torch.bool),
            visible=((stacked > 0) & (stacked <= 1)).flatten(1).any(1),
            fine=torch.tensor(fine, dtype=torch.bool),
            of_previous=torch.full((len(fine),), bool(answer.refers_to)),
            part=torch.tensor(parts, dtype=torch.long),
        ),
        previous=_stacked(earlier, grid),
    )


def part_meant(mask: Bool[ndarray, "height width"], earlier: Bool[ndarray, "height width"] | None) -> int:
    """Number in `PARTS` of the part of an earlier mask that a mask is; -1 where it is none of them.

    Example:
        >>> earlier = np.ones((4, 4), bool)
        >>> part_meant(earlier & (np.arange(4) < 2)[:, None], earlier), part_meant(np.eye(4, dtype=bool), earlier)
        (1, -1)
    """
    if earlier is None or not mask.any():
        return -1
    for number, part in enumerate(PARTS):
        found = part_of(earlier, part)
        if (found & mask).sum() > _SAME_OVERLAP * (found | mask).sum():
            return number
    return -1


def _drawn(
    mask: Bool[ndarray, "height width"],
    part: int,
    earlier: Bool[ndarray, "height width"] | None,
    settings: ItemSettings,
) -> Bool[ndarray, "height width"]:
    """What the decoder is to draw: where inference cuts a part by geometry, the whole that it is cut from."""
    return earlier if settings.earlier == "cut" and part > 0 and earlier is not None else mask


def _fine(answer: TaughtAnswer, number: int, mask: Float[Tensor, "grid grid"], settings: ItemSettings) -> bool:
    targets: Mapping[str, object] = answer.record.targets
    key = answer.targets[number]
    if key in targets and answer.record.targets[key].label in settings.fine_labels:
        return True
    return settings.fine_share > 0 and is_fine(mask, settings.fine_share)


def _size(picture: UInt8[ndarray, "height width 3"]) -> tuple[int, int]:
    return int(picture.shape[0]), int(picture.shape[1])


def _stacked(grids: Sequence[Tensor], grid: int) -> Float[Tensor, "token grid grid"]:
    return torch.stack(list(grids)) if grids else torch.zeros(0, grid, grid)
