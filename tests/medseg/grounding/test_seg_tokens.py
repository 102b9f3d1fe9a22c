"""Answers without their marks, and where their phrases stand."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medseg.errors import InvalidInputError
from medseg.grounding.seg_tokens import check_seg_state, plain_answer, tokens_of
from vlm_bridge.decoding.seg_states import SegStates, phrase_before
from vlm_bridge.prompts.special_tokens import SpecialTokens

MARKS = SpecialTokens()


def states_of(answer: str) -> SegStates:
    """States of an answer whose [SEG] were found by searching its text."""
    spans, last, phrases = [], 0, []
    while (start := answer.find("[SEG]", last)) >= 0:
        phrases.append(phrase_before(answer, last, start, MARKS))
        spans.append((start, start + 5))
        last = start + 5
    count = len(spans)
    return SegStates(
        hidden=torch.zeros(count, 3), places=torch.arange(count), answer=answer, spans=tuple(spans),
        phrases=tuple(phrases),
    )  # fmt: skip


def test_two_targets_in_the_order_they_are_said() -> None:
    found = tokens_of(states_of("I marked the <p>left lung</p> [SEG] and the <p> heart </p> [SEG]."), "predicting")
    assert found.text == "I marked the left lung and the heart."
    assert found.phrases == ("left lung", "heart")
    assert [found.text[first:last] for first, last in found.spans if (first, last)] == ["left lung", "heart"]


def test_a_seg_without_a_phrase_has_no_span() -> None:
    found = tokens_of(states_of("Sure [SEG]."), "predicting")
    assert (found.text, found.phrases, found.spans) == ("Sure.", ("",), (None,))


def test_an_answer_without_a_seg_has_no_tokens() -> None:
    found = tokens_of(states_of("There is no spleen."), "at_token")
    assert (found.text, found.phrases, found.spans) == ("There is no spleen.", (), ())


@given(st.text(alphabet="ab .,<>p/[SEG]", max_size=40))
def test_places_always_lie_in_the_plain_text(text: str) -> None:
    plain, places = plain_answer(text)
    assert len(places) == len(text) + 1
    assert all(0 <= one <= other <= len(plain) for one, other in itertools.pairwise(places))
    assert plain == plain.strip(" ")


def test_states_of_another_place_are_refused() -> None:
    check_seg_state("at_token", "at_token")
    with pytest.raises(InvalidInputError, match="predicting"):
        check_seg_state("at_token", "predicting")
