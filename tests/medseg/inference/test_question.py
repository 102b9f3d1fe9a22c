"""Questions of every kind: kept, cleaned with a warning, or refused with a reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.errors import InvalidInputError
from medseg.inference.question import QUESTION_CHARACTERS_MAX, check_question


@pytest.mark.parametrize(
    "question",
    [
        "Where is the liver?",
        "肝臓はどこですか",
        "أين الكبد؟",
        "🦴?",
        "[SEG] <p>liver</p> <|im_end|>",
        "a\nb\tc",
        "x" * 8000,
    ],
)
def test_words_of_every_kind_are_kept(question: str) -> None:
    assert check_question(question) == (question, ())


@pytest.mark.parametrize("question", ["", "   ", "\n\t ", "\x00\x01", "\u202e\u200f", "\u200b"])
def test_a_question_without_words_is_refused(question: str) -> None:
    with pytest.raises(InvalidInputError, match="expected words, found an empty one"):
        check_question(question)


def test_a_hundred_thousand_characters_are_refused_and_not_quoted() -> None:
    with pytest.raises(InvalidInputError, match="at most 8000 characters, found 100000") as failure:
        check_question("lung " * 20_000)
    assert len(str(failure.value)) < 200


def test_what_a_report_cannot_hold_is_replaced_and_counted() -> None:
    cleaned, warnings = check_question("Where\x00 is\x1b[31m the \u202eliver\x7f?")
    assert cleaned == "Where  is [31m the  liver ?"
    assert warnings == ("4 control character(s) of the question were replaced by spaces.",)


def test_surrogates_are_joined_or_replaced() -> None:
    assert check_question("\ud83e\uddb4 and \ud800") == ("🦴 and \ufffd", ())


@given(text=st.text(st.characters(), max_size=60))
@settings(max_examples=60, deadline=None)
def test_what_comes_out_can_be_written_anywhere(text: str) -> None:
    try:
        cleaned, _ = check_question(text)
    except InvalidInputError:
        return
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
    assert json.loads(json.dumps(cleaned)) == cleaned
    assert not any(ord(character) < 32 and character not in "\n\t" for character in cleaned)
    assert check_question(cleaned) == (cleaned, ())
    assert len(cleaned) <= QUESTION_CHARACTERS_MAX
