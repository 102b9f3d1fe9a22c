"""Words in pictures: each one as it is, or said to be different; never an empty box, never slow."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.report.drawn_text import drawable_words, font_of, shortened, text_width, wrapped

BOX = bytes(font_of(16).getmask("\U0010ffff"))


@settings(max_examples=60)
@given(st.text(max_size=12))
def test_no_character_is_drawn_as_the_box_of_an_unknown_one(text: str) -> None:
    drawn = drawable_words(text, "finding 1")
    assert all(bytes(font_of(16).getmask(mark)) != BOX for mark in drawn.text if mark != " ")
    if drawn.faithful == "exact":
        assert drawn.text.split() == text.split() or "[U+" in drawn.text


@pytest.mark.parametrize("text", ["肝臓", "легкое", "رئة", "कान", "µm"])
def test_other_scripts_are_named(text: str) -> None:
    assert drawable_words(text, "finding 1").text == "finding 1"


def test_turned_text_is_spelled_out() -> None:
    assert drawable_words("left\u202elung", "").text == "left[U+202E]lung"


@settings(max_examples=40)
@given(text=st.text("ab c", max_size=200), width=st.integers(40, 300), lines=st.integers(1, 3))
def test_lines_fit(text: str, width: int, lines: int) -> None:
    rows = wrapped(text, 16, width, lines)
    assert len(rows) <= lines
    assert all(text_width(row, 16) <= width for row in rows)
    whole = " ".join(rows)
    assert whole == " ".join(text.split()) or "..." in whole


def test_endless_words_are_cut_at_once() -> None:
    start = time.perf_counter()
    assert shortened("w" * 1_000_000, 16, 200).endswith("w...")
    assert wrapped("ww " * 300_000, 16, 200, 2)[1].endswith("...")
    assert time.perf_counter() - start < 2.0


def test_a_cut_keeps_as_much_as_fits() -> None:
    text = "left lower lobe of the lung"
    kept = shortened(text, 16, 120)
    head = kept.removesuffix("...")
    assert text.startswith(head)
    assert text_width(kept, 16) <= 120
    longer = {text[:length].rstrip() for length in range(len(head) + 1, len(text))} - {head}
    assert all(text_width(f"{one}...", 16) > 120 for one in longer)
