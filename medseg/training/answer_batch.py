"""`AnswerBatch`: items as one batch on the device, and where in its token ids each [SEG] has its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from PIL import Image
from torch import Tensor

from medseg.errors import InvalidInputError, RecordError
from medseg.training.answer_items import AnswerItem
from medseg.training.losses import MaskTruth
from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.decoding.seg_states import SegState
from vlm_bridge.prompts.conversation import Conversation
from vlm_bridge.prompts.encode_conversation import special_id
from vlm_bridge.prompts.prompt_batch import PromptBatch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnswerBatch:
    """Answers of one pass; the [SEG] tokens of all rows stand one after the other, in the order of mention."""

    prompt: PromptBatch
    taught: Bool[Tensor, "row token"]
    """Words to learn: the last answer of each dialogue."""
    row: Int[Tensor, " seg"]
    """Row of each [SEG]."""
    place: Int[Tensor, " seg"]
    """Where in its row its state is."""
    views: Float[Tensor, "view 3 side side"]
    """What the decoder is given."""
    view: Int[Tensor, " seg"]
    """Which of the views a [SEG] is decoded in."""
    truth: MaskTruth
    previous: Float[Tensor, "seg h w"]


def make_batch(
    backbone: VisionLanguageBackbone,
    items: Sequence[AnswerItem],
    *,
    seg_state: SegState,
    max_length: int | None = None,
    max_tiles: int | None = None,
) -> AnswerBatch:
    """Items as a batch on the backbone's device, padded on the right.

    Raises:
        InvalidInputError: a dialogue is longer than `max_length` tokens.
        RecordError: a dialogue has another number of [SEG] tokens in its last answer than of masks.
    """
    prompt = backbone.encode([_conversation(item) for item in items], to_answer=False, max_tiles=max_tiles)
    if max_length is not None and prompt.ids.shape[1] > max_length:
        raise InvalidInputError(
            f"Batch: expected at most {max_length} tokens, found {prompt.ids.shape[1]}. Raise max_length, show fewer "
            "tiles (max_tiles) or shorten the dialogues; cutting one would lose its picture or answer."
        )
    last = last_answers(prompt.answers)
    row, place = seg_sites(prompt, last, special_id(backbone.tokens.seg, backbone.tokenizer), seg_state)
    _check_counts(items, torch.bincount(row.cpu(), minlength=len(items)).tolist())
    taught = last & torch.tensor([item.answer.words_taught for item in items], device=last.device)[:, None]
    starts = torch.tensor([0, *(len(item.views) for item in items)]).cumsum(0)
    views = [start + item.view for start, item in zip(starts, items, strict=False)]
    device = backbone.device
    truth = MaskTruth(
        **{
            part.name: torch.cat([getattr(item.truth, part.name) for item in items]).to(device)
            for part in fields(MaskTruth)
        }
    )
    return AnswerBatch(
        prompt=prompt,
        taught=taught,
        row=row,
        place=place,
        views=torch.cat([item.views for item in items]).to(device),
        view=torch.cat(views).to(device),
        truth=truth,
        previous=torch.cat([item.previous for item in items]).to(device),
    )


def last_answers(answers: Bool[Tensor, "row token"]) -> Bool[Tensor, "row token"]:
    """Of the tokens an assistant says, those of the last turn of each row.

    Example:
        >>> last_answers(torch.tensor([[False, True, True, False, True, True, False]])).int().tolist()
        [[0, 0, 0, 0, 1, 1, 0]]
    """
    before = torch.cat([torch.zeros_like(answers[:, :1]), answers[:, :-1]], dim=1)
    turn = (answers & ~before).cumsum(1)
    return answers & (turn == turn[:, -1:])


def seg_sites(
    prompt: PromptBatch, said: Bool[Tensor, "row token"], seg: int, seg_state: SegState
) -> tuple[Int[Tensor, " seg"], Int[Tensor, " seg"]]:
    """Row and place of the state of each [SEG] among the tokens of `said`, row by row, in the order of mention.

    Places count from the first column, so padding on either side and any number of pictures are right by themselves.
    """
    row, place = ((prompt.ids == seg) & said).nonzero(as_tuple=True)
    return row, place - (1 if seg_state == "predicting" else 0)


def with_stand_in(batch: AnswerBatch) -> AnswerBatch:
    """A batch in which nothing is asked for, with one [SEG] that means nothing, so that the mask path is run.

    Its losses are to be counted zero times: then every parameter has a gradient, if only of zero.
    """
    side, grid = batch.views.shape[-1], batch.truth.masks.shape[-1]
    zero = torch.zeros(1, dtype=torch.long, device=batch.row.device)
    no = torch.zeros(1, dtype=torch.bool, device=batch.row.device)
    masks = batch.truth.masks.new_zeros(1, grid, grid)
    truth = MaskTruth(masks=masks, present=no, visible=no, fine=no, of_previous=no, part=zero)
    return replace(
        batch, row=zero, place=zero, view=zero, truth=truth, views=batch.views.new_zeros(1, 3, side, side),
        previous=masks * torch.nan,
    )  # fmt: skip


def _conversation(item: AnswerItem) -> Conversation:
    return item.answer.conversation(Image.fromarray(item.picture))


def _check_counts(items: Sequence[AnswerItem], counts: Sequence[int]) -> None:
    for item, count in zip(items, counts, strict=True):
        if count != len(item.view):
            raise RecordError(
                f"Record {item.answer.record.id}: expected {len(item.view)} [SEG] tokens in an answer, one per target, "
                f"found {count}. Correct the answer, or run `medseg validate`."
            )
