"""Text of a user as token ids that mean nothing but the text.

The policy: what was typed is kept, to the last control character, NUL, mark of direction, emoji and space; a typed
`[SEG]` or `<|im_end|>` is kept too, spelled in ordinary tokens. Two things change. Surrogates, which no UTF-8 text can
hold, are joined where two of them are one character and become U+FFFD where one stands alone. And whatever normaliser
belongs to the tokenizer (Unicode's NFC for Qwen) does its work, as it did in training.
"""

from __future__ import annotations

from dataclasses import astuple

from tokenizers.models import Model
from transformers import PreTrainedTokenizerFast

from vlm_bridge.prompts.special_tokens import SpecialTokens


def clean_text(text: str) -> str:
    """`text` with its surrogates joined or replaced; otherwise as it is.

    Example:
        >>> clean_text("a\\ud800b") == "a\\ufffdb"
        True
        >>> clean_text("\\ud83d\\ude00") == "\\U0001f600"
        True
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def encode_plain(text: str, tokenizer: PreTrainedTokenizerFast, tokens: SpecialTokens) -> list[int]:
    """Ids of `text` as ordinary words: none of them is a special token or any other token added to the vocabulary.

    The option `split_special_tokens` of transformers is not enough: it still finds added tokens that are not marked
    special, such as `<think>` of Qwen3. So the text passes the parts of the tokenizer that come after that search. A
    word of the vocabulary proper that a special token was made of is spelled character by character.
    """
    backend = tokenizer.backend_tokenizer
    cleaned = clean_text(text)
    if not cleaned:
        return []
    if backend.normalizer is not None:
        cleaned = backend.normalizer.normalize_str(cleaned)
    pieces = [cleaned]
    if backend.pre_tokenizer is not None:
        pieces = [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(cleaned)]
    reserved = _reserved_ids(tokenizer, tokens)
    return [number for piece in pieces for number in _word_ids(piece, backend.model, reserved)]


def _word_ids(piece: str, model: Model, reserved: frozenset[int]) -> list[int]:
    ids = [token.id for token in model.tokenize(piece)]
    if reserved.isdisjoint(ids):
        return ids
    return [token.id for character in piece for token in model.tokenize(character)]


def _reserved_ids(tokenizer: PreTrainedTokenizerFast, tokens: SpecialTokens) -> frozenset[int]:
    known = (tokenizer.backend_tokenizer.token_to_id(text) for text in astuple(tokens))
    return frozenset(tokenizer.get_added_vocab().values()) | {number for number in known if number is not None}
