"""`encode_conversation`: a conversation as token ids, in the chat template of Qwen2.5 and InternVL3.

A turn is `<|im_start|>role`, a new line, what is said, `<|im_end|>` and a new line. A picture is `<img>`, one
`<IMG_CONTEXT>` for each visual token of its tiles, `</img>` and a new line. Only this file and the texts of an
assistant put special tokens into the ids; texts of users and of the system go through `encode_plain`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from vlm_bridge.errors import BackboneError, InvalidInputError
from vlm_bridge.prompts.conversation import Conversation, Message
from vlm_bridge.prompts.plain_text import encode_plain
from vlm_bridge.prompts.special_tokens import SpecialTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedConversation:
    """One conversation as ids, not padded."""

    ids: list[int]
    answers: list[bool]
    """True for what an assistant says, its end of turn included; as long as `ids`."""


def encode_conversation(
    conversation: Conversation,
    tokenizer: PreTrainedTokenizerFast,
    tokens: SpecialTokens,
    tile_counts: Sequence[int],
    tokens_per_tile: int,
    *,
    to_answer: bool,
    think: bool = False,
) -> EncodedConversation:
    """The conversation as ids, with its pictures expanded to as many context tokens as the connector gives vectors.

    Nothing that a user or the system says becomes a special token. The text of an assistant may hold the tokens of
    thinking and of grounded answers.

    Args:
        conversation: What was said; no system message is added.
        tokenizer: Knows the special tokens that are needed.
        tokens: How they are spelled.
        tile_counts: Tiles of each picture of the conversation, thumbnails included.
        tokens_per_tile: Visual tokens of a tile.
        to_answer: Open the turn of the assistant at the end; the conversation must end with a user.
        think: Begin that turn with the token that opens thinking, and a new line. None of this counts as an answer.

    Raises:
        InvalidInputError: tile counts do not fit the pictures; an answer is asked for where an assistant spoke last;
            thinking without an answer; an assistant's text holds a token of turns or pictures.
        BackboneError: the tokenizer does not know a special token that is needed.
    """
    _check(conversation, tile_counts, tokens_per_tile, to_answer, think)
    writer = _Writer(tokenizer, tokens)
    counts = iter(tile_counts)
    for message in conversation.messages:
        if message.role == "assistant":
            writer.write_answer(message.text)
        else:
            lengths = [next(counts) * tokens_per_tile for _ in message.images]
            writer.write_plain_turn(message, lengths)
    if to_answer:
        writer.open_answer(think)
    return EncodedConversation(ids=writer.ids, answers=writer.answers)


def special_id(text: str, tokenizer: PreTrainedTokenizerFast) -> int:
    """Id of a special token.

    Raises:
        BackboneError: the tokenizer does not know it.
    """
    number = tokenizer.backend_tokenizer.token_to_id(text)
    if number is None:
        raise BackboneError(
            f"Tokenizer: expected the special token {text!r}, found none among its {len(tokenizer)} tokens. Add it "
            "with add_tokens_to_model, or say how this tokenizer spells it."
        )
    return number


def check_answer_text(text: str, tokens: SpecialTokens) -> None:
    """Refuse an assistant's text that would end its own turn or show a picture.

    Raises:
        InvalidInputError: it holds a token of turns or pictures; the message says which and where.
    """
    for token in (tokens.turn_start, tokens.turn_end, tokens.image_start, tokens.image_context, tokens.image_end):
        place = text.find(token)
        if place >= 0:
            raise InvalidInputError(
                f"Assistant's text: expected no token of turns or pictures, found {token!r} at character {place}. "
                "Take it out; turns and pictures are written by the template."
            )


class _Writer:
    """Ids written so far, and which of them an assistant says."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, tokens: SpecialTokens) -> None:
        self.ids: list[int] = []
        self.answers: list[bool] = []
        self._tokenizer = tokenizer
        self._tokens = tokens

    def write_plain_turn(self, message: Message, lengths: Sequence[int]) -> None:
        """A turn of a user or the system; `lengths` are the visual tokens of its pictures."""
        self._special(self._tokens.turn_start)
        # What stands between two special tokens is one text, as in training: a new line and a word may be one token.
        text = f"{message.role}\n"
        for length in lengths:
            self._plain(text)
            self._special(self._tokens.image_start)
            self._special(self._tokens.image_context, times=length)
            self._special(self._tokens.image_end)
            text = "\n"
        self._plain(text + message.text)
        self._special(self._tokens.turn_end)
        self._plain("\n")

    def write_answer(self, text: str) -> None:
        check_answer_text(text, self._tokens)
        self.open_answer(think=False)
        spoken = (self._tokens.think_start, self._tokens.think_end, *self._tokens.grounding)
        # The longest first, should one token be the beginning of another.
        pattern = "|".join(re.escape(token) for token in sorted(spoken, key=len, reverse=True))
        for piece in re.split(f"({pattern})", text):
            if piece in spoken:
                self._special(piece, said=True)
            else:
                self._plain(piece, said=True)
        self._special(self._tokens.turn_end, said=True)
        self._plain("\n")

    def open_answer(self, think: bool) -> None:
        self._special(self._tokens.turn_start)
        self._plain("assistant\n")
        if think:
            self._special(self._tokens.think_start)
            self._plain("\n")

    def _special(self, text: str, *, times: int = 1, said: bool = False) -> None:
        self._add([special_id(text, self._tokenizer)] * times, said)

    def _plain(self, text: str, *, said: bool = False) -> None:
        self._add(encode_plain(text, self._tokenizer, self._tokens), said)

    def _add(self, ids: list[int], said: bool) -> None:
        self.ids += ids
        self.answers += [said] * len(ids)


def _check(
    conversation: Conversation, tile_counts: Sequence[int], tokens_per_tile: int, to_answer: bool, think: bool
) -> None:
    pictures = len(conversation.images)
    if len(tile_counts) != pictures or any(count < 1 for count in tile_counts) or tokens_per_tile < 1:
        raise InvalidInputError(
            f"Conversation: expected a count of 1 and more for each of its {pictures} pictures and at least one token "
            f"per tile, found counts {tuple(tile_counts)} and {tokens_per_tile} tokens. Cut them with cut_tiles."
        )
    last = conversation.messages[-1].role
    if to_answer and last != "user":
        raise InvalidInputError(
            f"Conversation: expected a user's turn last where an answer is wanted, found {last}. Leave it out."
        )
    if think and not to_answer:
        raise InvalidInputError(
            "Conversation: expected thinking in an answer that is wanted, found think without to_answer. To learn "
            "from thinking, write it into the assistant's text."
        )
