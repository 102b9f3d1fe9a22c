"""`seg_states`: what the language model means by each [SEG] of an answer, read in a second pass.

The answer is generated first, with a cache; then prompt and answer are read once more, whole, as in training. So the
states do not depend on how the answer was decoded, and are those that training sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.decoding.answer_text import answer_ids, decoded, padding_id
from vlm_bridge.errors import BackboneError, InvalidInputError
from vlm_bridge.prompts.conversation import Conversation
from vlm_bridge.prompts.encode_conversation import special_id
from vlm_bridge.prompts.prompt_batch import PromptBatch
from vlm_bridge.prompts.special_tokens import SpecialTokens

SegState = Literal["predicting", "at_token"]
"""Which state stands for a [SEG]: that of the token before it, from which it is predicted, or its own. Training and
inference must agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """The words that a mask grounds."""

    text: str
    """Without the marks and the spaces at both ends."""
    start: int
    """Of the text in the answer, first letter."""
    end: int
    """One behind its last letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegStates:
    """The [SEG] tokens of one answer, in order; there may be none."""

    hidden: Float[Tensor, "token width"]
    """State of the last layer, after its norm, one per [SEG]; on the backbone's device."""
    places: Int[Tensor, " token"]
    """Of each [SEG] among the ids of the answer, from 0."""
    answer: str
    """The answer that the spans refer to, as the tokenizer spells it."""
    spans: tuple[tuple[int, int], ...]
    """First letter of each [SEG] in `answer`, and one behind its last."""
    phrases: tuple[Phrase | None, ...]
    """The last phrase between <p> and </p> since the [SEG] before; None where there is none."""


def seg_states(
    backbone: VisionLanguageBackbone,
    conversation: Conversation,
    answer: str | Sequence[int] | Tensor,
    *,
    seg_state: SegState = "predicting",
    think: bool = False,
    max_tiles: int | None = None,
) -> SegStates:
    """The [SEG] states of one answer; see `read_seg_states`."""
    return read_seg_states(backbone, [conversation], [answer], seg_state=seg_state, think=think, max_tiles=max_tiles)[0]


@torch.no_grad()
def read_seg_states(
    backbone: VisionLanguageBackbone,
    conversations: Sequence[Conversation],
    answers: Sequence[str | Sequence[int] | Tensor],
    *,
    seg_state: SegState = "predicting",
    think: bool = False,
    max_tiles: int | None = None,
) -> list[SegStates]:
    """The [SEG] states of each answer, all read in one pass.

    Args:
        backbone: Sees and speaks.
        conversations: Each ends with a user's turn.
        answers: To each conversation, its text or, better, the ids as they were generated (`Answer.ids`): text may be
            cut into other tokens than those it was made of.
        seg_state: Which state stands for a [SEG].
        think: The prompt opened the thoughts, as in `DecodingConfig.think`.
        max_tiles: Most tiles of a picture, as in `DecodingConfig.max_tiles`.

    Raises:
        InvalidInputError: conversations and answers differ in number, or `seg_state` is unknown.
        BackboneError: the tokenizer does not know [SEG] as one token.
    """
    if len(conversations) != len(answers) or seg_state not in ("predicting", "at_token"):
        raise InvalidInputError(
            f"[SEG] states: expected one answer per conversation and seg_state predicting or at_token, found "
            f"{len(answers)} answers to {len(conversations)} conversations and {seg_state!r}. Change them."
        )
    if not conversations:
        return []
    seg = special_id(backbone.tokens.seg, backbone.tokenizer)
    said = [_ids(backbone, answer) for answer in answers]
    prompts = backbone.encode(conversations, to_answer=True, think=think, max_tiles=max_tiles)
    batch = append_answers(prompts, said, padding_id(backbone))
    hidden = backbone.forward(batch, hidden=True).hidden
    if hidden is None:
        raise BackboneError("Backbone: expected hidden states, as asked for, found none. Return them from forward.")
    back = 1 if seg_state == "predicting" else 0
    found = []
    for row, ids in enumerate(said):
        places = (ids == seg).nonzero()[:, 0]
        first = batch.ids.shape[1] - len(ids)
        states = hidden[row, (first + places - back).to(hidden.device)]
        found.append(_described(backbone, ids, places, states))
    return found


def append_answers(prompts: PromptBatch, answers: Sequence[Int[Tensor, " _"]], pad: int) -> PromptBatch:
    """Prompts with the ids of their answers behind them, padded on the left.

    Example:
        >>> ids, all_of_it = torch.tensor([[0, 5, 6]]), torch.tensor([[False, True, True]])
        >>> prompt = PromptBatch(ids=ids, attention=all_of_it, answers=~all_of_it, tiles=None)
        >>> append_answers(prompt, [torch.tensor([7, 8])], pad=0).ids
        tensor([[5, 6, 7, 8]])
    """
    device = prompts.ids.device
    kept = [ids[mask] for ids, mask in zip(prompts.ids, prompts.attention, strict=True)]
    rows = [torch.cat([prompt, answer.to(device)]) for prompt, answer in zip(kept, answers, strict=True)]
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad, dtype=torch.long, device=device)
    attention, answered = torch.zeros_like(ids, dtype=torch.bool), torch.zeros_like(ids, dtype=torch.bool)
    for number, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        ids[number, longest - len(row) :] = row
        attention[number, longest - len(row) :] = True
        answered[number, longest - len(answer) :] = True
    return PromptBatch(ids=ids, attention=attention, answers=answered, tiles=prompts.tiles)


def phrase_before(text: str, start: int, end: int, tokens: SpecialTokens) -> Phrase | None:
    """The last marked phrase in `text[start:end]`; its place counts from the beginning of `text`.

    Example:
        >>> phrase_before("The <p> left kidney </p> [SEG]", 0, 25, SpecialTokens())
        Phrase(text='left kidney', start=8, end=19)
    """
    close = text.rfind(tokens.phrase_end, start, end)
    open_at = text.rfind(tokens.phrase_start, start, max(close, start))
    if close < 0 or open_at < 0:
        return None
    inner = text[open_at + len(tokens.phrase_start) : close]
    first = open_at + len(tokens.phrase_start) + len(inner) - len(inner.lstrip())
    return Phrase(text=inner.strip(), start=first, end=first + len(inner.strip()))


def _ids(backbone: VisionLanguageBackbone, answer: str | Sequence[int] | Tensor) -> Int[Tensor, " token"]:
    if isinstance(answer, str):
        answer = answer_ids(backbone, answer)
    return torch.as_tensor(answer, dtype=torch.long).reshape(-1).cpu()


def _described(backbone: VisionLanguageBackbone, ids: Tensor, places: Tensor, states: Tensor) -> SegStates:
    said = ids.tolist()
    text = decoded(backbone.tokenizer, said)
    # by the tokens and not by searching the text, which may also spell the mark in ordinary letters
    ends = [len(decoded(backbone.tokenizer, said[: place + 1])) for place in places.tolist()]
    spans = tuple((end - len(backbone.tokens.seg), end) for end in ends)
    before = (0, *(end for _, end in spans))
    phrases = tuple(
        phrase_before(text, last, start, backbone.tokens) for last, (start, _) in zip(before, spans, strict=False)
    )
    return SegStates(hidden=states, places=places, answer=text, spans=spans, phrases=phrases)
