"""Which things a question asks for: in order, once, and never half understood."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.inference.asked_phrases import read_phrases

WORDS = {"bone": "bones?", "lungs": "lungs?", "soft tissue": "soft tissues?", "body": "body"}


def read(question: str) -> list[tuple[str, str, str, bool]]:
    """Text, structure, part and whether it is about what was marked; `?` as the structure of what is not known."""
    return [
        (phrase.text, phrase.structure if phrase.known else "?", phrase.part, phrase.marked)
        for phrase in read_phrases(question, WORDS)
    ]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Where are the lungs?", [("lungs", "lungs", "", False)]),
        ("Show me the Soft  Tissue", [("Soft Tissue", "soft tissue", "", False)]),
        ("the lungs, then the BONES!", [("lungs", "lungs", "", False), ("BONES", "bone", "", False)]),
        ("left and right lung", [("left lung", "lungs", "left", False), ("right lung", "lungs", "right", False)]),
        ("bright and dark region", [("bright region", "", "bright", False), ("dark region", "", "dark", False)]),
        (
            "the largest and the smallest part of it",
            [("largest part of it", "", "largest", True), ("smallest part of it", "", "smallest", True)],
        ),
        ("the bone and the bones", [("bone", "bone", "", False)]),
        ("bones of the body in this CT", [("bones", "bone", "", False)]),
        ("Is it bone?", [("bone", "bone", "", False)]),
        ("the bone in it", [("bone in it", "bone", "", True)]),
        ("the largest part of it", [("largest part of it", "", "largest", True)]),
        ("the bright part of what you just marked", [("bright part of what you just marked", "", "bright", True)]),
        ("the dark part of the lungs", [("dark part of the lungs", "lungs", "dark", False)]),
        ("bright region", [("bright region", "", "bright", False)]),
        ("bone tumour", [("bone tumour", "?", "", False)]),
        ("a nodule of the left lung", [("nodule of the left lung", "?", "", False)]),
        ("tumour or bone; it", [("tumour", "?", "", False), ("bone", "bone", "", False), ("it", "", "", True)]),
        ("the left one", [("left one", "?", "", False)]),
        ("the largest", [("largest", "?", "", False)]),
        ("the bone in the lungs", [("bone in the lungs", "?", "", False)]),
        ("肝臓はどこですか", [("肝臓はどこですか", "?", "", False)]),
        ("What do you see?", []),
        ("🦴", []),
        ("trombone, lungsful", [("trombone", "?", "", False), ("lungsful", "?", "", False)]),
    ],
)  # fmt: skip
def test_what_is_asked_for(question: str, expected: list[tuple[str, str, str, bool]]) -> None:
    assert read(question) == expected


@given(text=st.text(max_size=80))
@settings(max_examples=30, deadline=None)
def test_any_text_is_read(text: str) -> None:
    for phrase in read_phrases(text, WORDS):
        assert 0 < len(phrase.text) <= 90
