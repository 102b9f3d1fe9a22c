"""`generate`: answers to conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import LogitsProcessorList, StoppingCriteriaList

from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.decoding.answer_text import decoded, end_ids, padding_id
from vlm_bridge.decoding.catalogue import STRATEGIES
from vlm_bridge.decoding.choice_trie import ChoiceProcessor, choice_ids
from vlm_bridge.decoding.config import DecodingConfig
from vlm_bridge.decoding.text_stream import StopTexts, TextPieces, cut_at_stop
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.prompts.conversation import Conversation
from vlm_bridge.prompts.special_tokens import SpecialTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a backbone says to a conversation."""

    text: str
    """The answer, special tokens such as [SEG] included, without thoughts, end of turn and stop text."""
    think: str | None
    """The thoughts before it, without their marks; None where there are none."""
    ids: Int[Tensor, " token"]
    """All that was said, thoughts and a stop text included, the end of turn not; on the CPU."""
    finished: Literal["end", "stop", "length"]
    """Why it ends: by itself, by a stop text, or because it had grown to `max_new_tokens`."""


def generate(
    backbone: VisionLanguageBackbone,
    conversations: Sequence[Conversation],
    config: DecodingConfig = DecodingConfig(),
    on_text: Callable[[str], None] | None = None,
) -> list[Answer]:
    """One answer per conversation, all decoded together.

    Args:
        backbone: Sees and speaks.
        conversations: Each ends with a user's turn.
        config: How words are chosen. Where they are drawn, an answer depends on `config.seed` and on the conversations
            beside it, as all rows share the generator of random numbers.
        on_text: Hears the text of the answer, thoughts and their marks included, piece by piece while it is written.
            For one conversation only.

    Raises:
        InvalidInputError: the strategy is unknown, a conversation does not wait for an answer, `on_text` is to hear
            several of them, or a choice does not fit in `config.max_new_tokens`.
    """
    if not conversations:
        return []
    _check(conversations, config, on_text)
    batch = backbone.encode(conversations, to_answer=True, think=config.think, max_tiles=config.max_tiles)
    ends = end_ids(backbone)
    streamer = None if on_text is None else TextPieces(backbone.tokenizer, on_text, ends, config.stop)
    options = STRATEGIES[config.strategy](config, streamer) | _limits(backbone, config, ends)
    with _seeded(config.seed, backbone.device):
        said = backbone.generate(batch, **options)
    return [_answer(backbone, row.tolist(), config, ends) for row in said.cpu()]


def split_think(text: str, tokens: SpecialTokens, *, opened: bool = False) -> tuple[str | None, str]:
    """Thoughts and answer in what was said; `opened` says that the prompt had opened the thoughts already.

    Thoughts that were not closed are all there is: the answer is empty.

    Example:
        >>> split_think("<think>left?</think> left", SpecialTokens())
        ('left?', 'left')
        >>> split_think("left?", SpecialTokens(), opened=True)
        ('left?', '')
        >>> split_think("left", SpecialTokens())
        (None, 'left')
    """
    begun = text.lstrip().removeprefix(tokens.think_start)
    if not opened and begun == text.lstrip():
        return None, text
    think, _, answer = begun.partition(tokens.think_end)
    return think.strip(), answer.lstrip()


def _check(conversations: Sequence[Conversation], config: DecodingConfig, on_text: object) -> None:
    if config.strategy not in STRATEGIES:
        raise InvalidInputError(
            f"Strategy: expected one of {', '.join(STRATEGIES)}, found {config.strategy!r}. Choose one of them."
        )
    if on_text is not None and len(conversations) > 1:
        raise InvalidInputError(
            f"on_text: expected one conversation, found {len(conversations)}. Ask them one by one to hear them."
        )
    answered = [number for number, one in enumerate(conversations) if one.messages[-1].role == "assistant"]
    if answered:
        raise InvalidInputError(
            f"Conversations: expected a user's turn at the end of each, found an answer at the end of {answered}. "
            "Leave the answer out, or ask on."
        )


def _limits(backbone: VisionLanguageBackbone, config: DecodingConfig, ends: set[int]) -> dict[str, Any]:
    options: dict[str, Any] = {
        "max_new_tokens": config.max_new_tokens,
        "eos_token_id": sorted(ends),
        "pad_token_id": padding_id(backbone),
        "repetition_penalty": config.repetition_penalty,
    }
    if config.stop:
        options["stopping_criteria"] = StoppingCriteriaList([StopTexts(backbone.tokenizer, config.stop)])
    if config.choices:
        spelled = choice_ids(backbone, config.choices)
        longest = max(len(ids) for ids in spelled)
        if longest > config.max_new_tokens:
            raise InvalidInputError(
                f"Choices: expected max_new_tokens of {longest} at least, for the longest choice and its end, found "
                f"{config.max_new_tokens}. Raise it."
            )
        options["logits_processor"] = LogitsProcessorList([ChoiceProcessor(spelled)])
    return options


@contextmanager
def _seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Draws inside follow from `seed`, and draws afterwards do not know of it."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _answer(backbone: VisionLanguageBackbone, row: list[int], config: DecodingConfig, ends: set[int]) -> Answer:
    over = ends | {padding_id(backbone)}
    length = next((place for place, number in enumerate(row) if number in over), len(row))
    text, stopped = cut_at_stop(decoded(backbone.tokenizer, row[:length]), config.stop)
    think, answer = split_think(text, backbone.tokens, opened=config.think)
    return Answer(
        text=answer,
        think=think,
        ids=torch.tensor(row[:length], dtype=torch.long),
        finished="stop" if stopped else "end" if length < len(row) else "length",
    )
