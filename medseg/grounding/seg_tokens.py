"""`SegTokens`: what the language model means by each [SEG] of one answer, beside the words that the mask grounds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from medseg.errors import InvalidInputError
from vlm_bridge.decoding.seg_states import SegState, SegStates
from vlm_bridge.prompts.special_tokens import SpecialTokens


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegTokens:
    """The [SEG] tokens of one answer, in the order they were said; there may be none."""

    hidden: Float[Tensor, "token width"]
    """States of the language model, one per token."""
    phrases: tuple[str, ...]
    """The words each mask grounds; empty where the answer marks none."""
    spans: tuple[tuple[int, int] | None, ...]
    """Where each phrase stands in `text`: first letter, and one behind the last; None where there is none."""
    text: str
    """The answer without its marks."""
    seg_state: SegState
    """Which state was taken: that of the token before, from which [SEG] is predicted, or its own."""


def tokens_of(states: SegStates, seg_state: SegState, tokens: SpecialTokens = SpecialTokens()) -> SegTokens:
    """The tokens of an answer whose states were read, with spans in the text as people read it.

    Example:
        >>> import torch
        >>> from vlm_bridge.decoding.seg_states import Phrase
        >>> said = SegStates(hidden=torch.zeros(1, 4), places=torch.tensor([9]), spans=((30, 35),),
        ...     answer="Here are the <p>lungs</p> [SEG].", phrases=(Phrase(text="lungs", start=16, end=21),))
        >>> found = tokens_of(said, "predicting")
        >>> found.text, [found.text[first:last] for first, last in found.spans]
        ('Here are the lungs.', ['lungs'])
    """
    text, places = plain_answer(states.answer, tokens)
    spans, last = [], 0
    for phrase in states.phrases:
        if phrase is None:
            spans.append(None)
            continue
        first, end = places[phrase.start], places[phrase.end]
        spans.append((first, end) if last <= first < end else None)
        last = end
    phrases = tuple("" if phrase is None else phrase.text for phrase in states.phrases)
    return SegTokens(hidden=states.hidden, phrases=phrases, spans=tuple(spans), text=text, seg_state=seg_state)


def plain_answer(marked: str, tokens: SpecialTokens = SpecialTokens()) -> tuple[str, tuple[int, ...]]:
    """An answer without its marks, and for each letter of the marked one (and its end) its place in the plain one.

    The space before a removed [SEG] goes with it; spaces at both ends go too.

    Example:
        >>> plain_answer("It is <p> the liver </p> [SEG] .")[0]
        'It is the liver.'
    """
    mark = "|".join(re.escape(text) for text in (tokens.seg, tokens.phrase_start, tokens.phrase_end))
    gone = [False] * len(marked)
    for found in re.finditer(mark, marked):
        for letter in range(*found.span()):
            gone[letter] = True
    kept: list[str] = []
    places = []
    for letter, character in enumerate(marked):
        places.append(len(kept))
        if gone[letter]:
            continue
        if character == " " and (not kept or kept[-1] == " "):
            continue
        if character in ".,;:!?" and kept and kept[-1] == " ":
            kept.pop()
            places = [min(place, len(kept)) for place in places]
        kept.append(character)
    places.append(len(kept))
    text = "".join(kept).rstrip()
    return text, tuple(min(place, len(text)) for place in places)


def check_seg_state(found: str, expected: str) -> None:
    """Refuses states read at another place than the model was trained with.

    Raises:
        InvalidInputError: they differ; masks would be wrong without a sign.
    """
    if found != expected:
        raise InvalidInputError(
            f"[SEG] states: expected {expected!r}, as the checkpoint was trained, found {found!r}. Read them so."
        )
