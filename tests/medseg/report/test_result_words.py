"""Numbers and words a person reads, and names of files."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.report.result_words import mask_stem, number_text, visible_text, window_text
from medseg.study.windows import IntensityWindow


@given(st.floats(1e-3, 1e7))
def test_numbers_keep_three_digits(value: float) -> None:
    text = number_text(value)
    assert re.fullmatch(r"\d+(\.\d{1,3})?", text)
    assert float(text) == pytest.approx(value, rel=6e-3, abs=6e-4)


def test_odd_numbers_have_words() -> None:
    assert [number_text(value) for value in (float("nan"), float("inf"), -1e-9)] == ["not a number"] * 2 + [">-0.001"]


def test_windows_name_their_unit_where_there_is_one() -> None:
    window = IntensityWindow(low=7.0, high=109.0, name="percentiles", chosen_by="modality")
    assert window_text(window, "unknown") == "percentile window, 7 to 109, chosen by modality"
    assert window_text(window, "SUV") == "percentile window, 7 to 109 SUV, chosen by modality"
    assert window_text(IntensityWindow(low=0.0, high=255.0, name="as stored"), "8 bit") == "shown as stored"


@given(st.text(), st.integers(1, 300))
def test_names_of_files_are_plain(label: str, number: int) -> None:
    assert re.fullmatch(r"\d{2,3}(_[a-z0-9]+)*", mask_stem(number, label))


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"])))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert visible_text(text) == text
