"""Pieces of text: whole characters, stop texts held back, ends not told."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.vlm_bridge.tiny_models import tiny_tokenizer
from vlm_bridge.decoding.answer_text import decoded
from vlm_bridge.decoding.text_stream import StopTexts, TextPieces, begun_stop, cut_at_stop

TOKENIZER = tiny_tokenizer()
END = int(TOKENIZER.convert_tokens_to_ids("<|im_end|>"))  # type: ignore[arg-type]


def _told(ids: list[int], stop: tuple[str, ...] = ()) -> list[str]:
    pieces: list[str] = []
    stream = TextPieces(TOKENIZER, pieces.append, {END}, stop)
    stream.put(torch.tensor([[5, 6, 7]]))  # a prompt, as `generate` puts it
    for number in ids:
        stream.put(torch.tensor([number]))
    stream.end()
    return pieces


def _ids(text: str) -> list[int]:
    return TOKENIZER(text).input_ids  # type: ignore[return-value]


@given(text=st.text(max_size=30))
def test_pieces_join_to_the_text_and_are_whole_characters(text: str) -> None:
    pieces = _told(_ids(text))
    assert "".join(pieces) == decoded(TOKENIZER, _ids(text))
    if "\ufffd" not in text:
        assert all("\ufffd" not in piece for piece in pieces)


@given(ids=st.lists(st.integers(0, 255), max_size=30))
def test_bytes_in_any_order_join_to_what_is_decoded_at_once(ids: list[int]) -> None:
    assert "".join(_told(ids)) == decoded(TOKENIZER, ids)


def test_a_character_comes_when_its_last_byte_does() -> None:
    """The flag is two code points of four bytes each, one token per byte."""
    assert _told(_ids("a🇫🇷b")) == ["a", "🇫", "🇷", "b"]


def test_the_end_of_turn_and_what_follows_are_not_told() -> None:
    assert "".join(_told([*_ids("yes"), END, *_ids("no")])) == "yes"


def test_what_may_become_a_stop_text_is_held_back() -> None:
    assert _told(_ids("a##b###c"), ("###",)) == ["a", "##b"]
    assert "".join(_told(_ids("a##"), ("###",))) == "a##"


def test_the_first_of_several_stop_texts_counts() -> None:
    assert cut_at_stop("one two three", ("three", "two")) == ("one ", True)
    assert cut_at_stop("one", ("two",)) == ("one", False)
    assert begun_stop("xab", ("abc", "bd")) == 2


@pytest.mark.parametrize(("said", "over"), [("no stop", False), ("a ###", True), ("a ##", False)])
def test_criterion_reads_only_the_answer(said: str, over: bool) -> None:
    """The prompt ends in a mark, so that a stop text could begin in it."""
    prompt, answer = _ids("prompt #"), _ids(said)
    criterion = StopTexts(TOKENIZER, ("###",))
    found = [
        criterion(torch.tensor([prompt + answer[:length]]), None)[0].item() for length in range(1, len(answer) + 1)
    ]
    assert found[-1] is over
    assert not any(found[:-1])


def test_criterion_sees_a_stop_text_of_many_bytes() -> None:
    criterion = StopTexts(TOKENIZER, ("🇫🇷",))
    answer = _ids("vive 🇫🇷")
    found = [criterion(torch.tensor([answer[:length]]), None)[0].item() for length in range(1, len(answer) + 1)]
    assert found == [False] * (len(answer) - 1) + [True]
