"""`answer_pass`: one pass over a batch of answers: words, states, masks and their losses.

The same pass serves training and validation. Where nothing of the backbone learns, no gradient goes through it, and the
states are read as inference reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medseg.model import MedSegModel
from medseg.training.answer_batch import AnswerBatch, with_stand_in
from medseg.training.losses import LossWeights, grounding_losses, weighted, words_loss
from vlm_bridge.errors import BackboneError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadAnswers:
    """What the language model makes of a batch."""

    hidden: Float[Tensor, "seg width"]
    """State of each [SEG]."""
    words: Float[Tensor, ""]
    """Cross-entropy of the taught tokens, summed."""
    count: Int[Tensor, ""]
    """Taught tokens."""
    right: Int[Tensor, ""]
    """Those that are the likeliest word."""


def read_answers(model: MedSegModel, batch: AnswerBatch, *, backbone_learns: bool = False) -> ReadAnswers:
    """States and words of a batch.

    Raises:
        BackboneError: the backbone gives no states.
    """
    with torch.set_grad_enabled(backbone_learns and torch.is_grad_enabled()):
        output = model.backbone.forward(batch.prompt, hidden=True)
        if output.hidden is None:
            raise BackboneError("Backbone: expected hidden states, as asked for, found none. Return them from forward.")
        words, count, right = words_loss(output.logits, batch.prompt.ids, batch.taught)
        return ReadAnswers(hidden=output.hidden[batch.row, batch.place], words=words, count=count, right=right)


def answer_pass(
    model: MedSegModel,
    batch: AnswerBatch,
    weights: LossWeights,
    *,
    backbone_learns: bool,
    encoder_learns: bool = True,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """The loss of a batch, and each of its parts by name.

    A batch in which nothing is asked for is passed through the mask path all the same, counted zero times: so every
    parameter that learns has a gradient in every pass.
    """
    empty = not len(batch.row)
    batch = with_stand_in(batch) if empty else batch
    said = read_answers(model, batch, backbone_learns=backbone_learns)
    with torch.set_grad_enabled(encoder_learns and torch.is_grad_enabled()):
        encoded = model.decoder.encode(batch.views)
    grounded = model.ground(encoded, batch.view, said.hidden, batch.previous)
    losses = grounding_losses(grounded.masks, grounded.says, batch.truth)
    if empty:
        losses = {name: 0.0 * value for name, value in losses.items()}
    losses = {"words": said.words / said.count.clamp(min=1), **losses}
    return weighted(losses, weights), {name: value.detach() for name, value in losses.items()}
