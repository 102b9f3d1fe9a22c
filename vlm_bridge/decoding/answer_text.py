"""Answers as ids, cut into the same tokens as in training, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.prompts.conversation import Conversation, Message
from vlm_bridge.prompts.encode_conversation import special_id


def answer_ids(backbone: VisionLanguageBackbone, text: str) -> list[int]:
    """Ids of what an assistant says, special tokens of answers included, without the end of turn.

    Raises:
        InvalidInputError: the text holds a token of turns or pictures.
        BackboneError: the tokenizer does not know a special token of the text.
    """
    said = Conversation(messages=(Message(role="user", text=""), Message(role="assistant", text=text)))
    batch = backbone.encode([said], to_answer=False)
    return batch.ids[batch.answers][:-1].tolist()


def end_of_turn(backbone: VisionLanguageBackbone) -> int:
    """Id of the token that ends an answer.

    Raises:
        BackboneError: the tokenizer does not know it.
    """
    return special_id(backbone.tokens.turn_end, backbone.tokenizer)


def end_ids(backbone: VisionLanguageBackbone) -> set[int]:
    """Ids that end an answer: the end of turn, the tokenizer's end of text, and what the model's settings name.

    Raises:
        BackboneError: the tokenizer does not know the end of turn.
    """
    own = getattr(backbone.model.generation_config, "eos_token_id", None)
    named = own if isinstance(own, list) else [own]
    ends = {end_of_turn(backbone), backbone.tokenizer.eos_token_id, *named}
    return {int(number) for number in ends if number is not None}


def padding_id(backbone: VisionLanguageBackbone) -> int:
    """Id that fills rows up; the end of turn where the tokenizer has no padding."""
    pad = backbone.tokenizer.pad_token_id
    return end_of_turn(backbone) if pad is None else int(pad)


def decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of ids, special tokens and every space included."""
    return tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
