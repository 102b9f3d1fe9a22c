"""`score_held_out`: how well answers of held-out patients are grounded, along a training.

States are those of the true answers (teacher forcing); masks are decoded as in inference, in windows where the model
says so, on the picture's own pixels. `medseg evaluate` scores what the model says by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from medseg.grounding.decode_picture import PictureDecoder
from medseg.grounding.mask_parts import PARTS, part_of
from medseg.model import MedSegModel
from medseg.training.answer_batch import make_batch
from medseg.training.answer_items import AnswerItem, LoadedAnswer, load_answer
from medseg.training.answer_pass import read_answers
from medseg.training.decoder_views import EARLIER_LOGIT
from medseg.training.losses import MaskTruth
from medseg.training.taught_answers import TaughtAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutScores:
    """Means over held-out answers; NaN where nothing was to be scored."""

    dice: float
    """Of masks that are not empty; mean over the patients of the mean of their masks."""
    words_loss: float
    """Cross-entropy per token."""
    words_right: float
    """Share of the tokens that are the likeliest word."""
    presence_right: float
    """Share of the [SEG] tokens whose presence is told rightly."""


@torch.no_grad()
def score_held_out(
    model: MedSegModel,
    answers: Sequence[TaughtAnswer],
    *,
    batch_size: int,
    max_tiles: int | None = None,
) -> HeldOutScores:
    """Scores of a model in evaluation mode."""
    dices: dict[str, list[float]] = defaultdict(list)
    words = torch.zeros(3, dtype=torch.float64)
    told: list[bool] = []
    for start in range(0, len(answers), batch_size):
        some = answers[start : start + batch_size]
        loaded = [load_answer(answer) for answer in some]
        items = [_words_only(model, *pair) for pair in zip(some, loaded, strict=True)]
        batch = make_batch(model.backbone, items, seg_state=model.config.seg_state, max_tiles=max_tiles)
        said = read_answers(model, batch)
        words += torch.stack([said.words.double(), said.right.double(), said.count.double()]).cpu()
        for row, (answer, one) in enumerate(zip(some, loaded, strict=True)):
            hidden = said.hidden[batch.row == row].to(model.heads.weight.dtype)
            if len(hidden):
                with torch.autocast(hidden.device.type, enabled=False):
                    scored, present = _scored(model, one, hidden)
                dices[answer.record.patient] += scored
                told += [bool(there) == true for there, true in zip(present, one.present, strict=True)]
    patients = [float(np.mean(scores)) for scores in dices.values() if scores]
    loss, right, count = words.tolist()
    return HeldOutScores(
        dice=float(np.mean(patients)) if patients else float("nan"),
        words_loss=loss / count if count else float("nan"),
        words_right=right / count if count else float("nan"),
        presence_right=float(np.mean(told)) if told else float("nan"),
    )


def dice_of(found: Bool[ndarray, "height width"], true: Bool[ndarray, "height width"]) -> float:
    """Overlap of two masks, 0-1; 1 where both are empty.

    Example:
        >>> dice_of(np.array([[True, True]]), np.array([[True, False]]))
        0.6666666666666666
    """
    both = int(found.sum()) + int(true.sum())
    return 2 * int((found & true).sum()) / both if both else 1.0


def _scored(
    model: MedSegModel, loaded: LoadedAnswer, hidden: Float[Tensor, "token width"]
) -> tuple[list[float], list[bool]]:
    says = model.heads.say(hidden)
    previous = None
    if loaded.earlier is not None and model.config.earlier == "drawn":
        logits = (torch.from_numpy(loaded.earlier).float() * 2 - 1) * EARLIER_LOGIT
        previous = logits.expand(len(hidden), -1, -1).to(hidden.device)
    fine = (says.fine > 0).cpu().numpy()
    found = PictureDecoder(model.decoder, loaded.picture).decode(model.projection(hidden), fine, previous)
    masks = [
        _cut(mask, part, loaded, refers, model.config.earlier == "cut")
        for mask, part, refers in zip(
            (found.logits > 0).cpu().numpy(), says.part.argmax(1).tolist(), (says.of_previous > 0).tolist(), strict=True
        )
    ]
    seen = True if loaded.ignored is None else ~loaded.ignored
    scores = [dice_of(mask & seen, true & seen) for mask, true in zip(masks, loaded.masks, strict=True) if true.any()]
    present = torch.minimum(says.present, found.object_logits) > 0
    return scores, present.tolist()


def _cut(
    mask: Bool[ndarray, "height width"], part: int, loaded: LoadedAnswer, refers: bool, cuts: bool
) -> Bool[ndarray, "height width"]:
    """The part that is meant, of the earlier mask where the state refers to it; for models that cut."""
    if not cuts:
        return mask
    return part_of(loaded.earlier if refers and loaded.earlier is not None else mask, PARTS[part])


def _words_only(model: MedSegModel, answer: TaughtAnswer, loaded: LoadedAnswer) -> AnswerItem:
    """An item for the language model alone."""
    count, side = len(answer.targets), model.decoder.fit.side
    no = torch.zeros(count, dtype=torch.bool)
    zero, empty = torch.zeros(count, dtype=torch.long), torch.zeros(count, 1, 1)
    return AnswerItem(
        answer=answer,
        picture=loaded.picture,
        views=torch.zeros(0, 3, side, side),
        view=zero,
        truth=MaskTruth(masks=empty, present=no, visible=no, fine=no, of_previous=no, part=zero),
        previous=empty,
    )
