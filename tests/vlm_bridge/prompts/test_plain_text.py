"""Text of users: whatever it is, it stays text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers
from transformers import Qwen2Tokenizer

from tests.vlm_bridge.prompts.hostile_texts import TYPED, hostile_texts
from tests.vlm_bridge.tiny_models import tiny_tokenizer
from vlm_bridge.prompts.new_tokens import add_special_tokens
from vlm_bridge.prompts.plain_text import clean_text, encode_plain
from vlm_bridge.prompts.special_tokens import SpecialTokens

TOKENS = SpecialTokens()
TOKENIZER = tiny_tokenizer()
add_special_tokens(TOKENIZER, TOKENS)


def encoded(text: str) -> list[int]:
    return encode_plain(text, TOKENIZER, TOKENS)


def test_there_are_two_hundred_hostile_texts() -> None:
    assert len({text for _, text in hostile_texts()}) == 200


@pytest.mark.parametrize("text", [pytest.param(text, id=ascii(name)) for name, text in hostile_texts()])
def test_hostile_text_has_no_added_token_and_decodes_to_itself(text: str) -> None:
    ids = encoded(text)
    assert not set(ids) & set(TOKENIZER.get_added_vocab().values())
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    # NFC is the normaliser of Qwen's tokenizer; nothing else may change.
    assert TOKENIZER.decode(ids) == unicodedata.normalize("NFC", joined)


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_is_kept(text: str) -> None:
    assert clean_text(text) == text
    assert TOKENIZER.decode(encoded(text)) == unicodedata.normalize("NFC", text)


@given(st.text(st.characters(codec="utf-8", exclude_characters="<[")))
def test_text_without_special_tokens_is_encoded_as_the_tokenizer_does(text: str) -> None:
    assert encoded(text) == TOKENIZER.encode(text, add_special_tokens=False)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\ud800b", "a\ufffdb"),
        ("\udc00\ud800", "\ufffd\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ud800\ud83d\ude00", "\ufffd\U0001f600"),
        ("\0\x1b\u202e ", "\0\x1b\u202e "),
    ],
)
def test_only_surrogates_are_cleaned(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


def test_special_token_that_is_a_word_of_the_vocabulary_is_spelled() -> None:
    words = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "[[", "[[["]
    tokenizer = Qwen2Tokenizer(
        vocab={word: number for number, word in enumerate(words)}, **{"merges": [("[", "["), ("[[", "[")]}
    )
    tokens = SpecialTokens(seg="[[")
    assert add_special_tokens(tokenizer, tokens)
    bracket = tokenizer.backend_tokenizer.token_to_id("[")
    assert tokenizer.backend_tokenizer.token_to_id("[[") == 256
    assert encode_plain("[[", tokenizer, tokens) == [bracket, bracket]
    # Another word that begins alike is no special token and stays whole.
    assert encode_plain("[[[", tokenizer, tokens) == [257]


def test_the_tokenizer_is_left_as_it_was() -> None:
    before = TOKENIZER.backend_tokenizer.to_str()
    encoded("<think>[SEG]")
    assert TOKENIZER.backend_tokenizer.to_str() == before
    assert all(len(TOKENIZER.encode(text, add_special_tokens=False)) == 1 for text in TYPED[:10])
