"""Questions as people and job files send them: what is kept, what is replaced, what is refused.

Words of any language, emoji and typed tokens such as `[SEG]` stay as they are; a segmenter reads them as plain words.
Control characters and marks of direction become spaces, since reports and DICOM cannot hold them.
"""

from __future__ import annotations

import unicodedata

from medseg.errors import InvalidInputError

QUESTION_CHARACTERS_MAX = 8_000
"""Longest question, characters."""
_KEPT_CONTROLS = "\t\n"
_DIRECTION_MARKS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Turn the text around them; a reader would see another question than the one that was asked."""


def check_question(question: str) -> tuple[str, tuple[str, ...]]:
    """The question without characters that mean nothing in a report, and a warning where some were replaced.

    Example:
        >>> check_question("  Where is\\x00the liver? ")
        ('Where is the liver?', ('1 control character(s) of the question were replaced by spaces.',))

    Raises:
        InvalidInputError: it is no text, it is empty, or it is longer than 8,000 characters.
    """
    if not isinstance(question, str):
        raise InvalidInputError(f"Question: expected text, found {type(question).__name__}. Ask in words.")
    if len(question) > QUESTION_CHARACTERS_MAX:
        raise InvalidInputError(
            f"Question: expected at most {QUESTION_CHARACTERS_MAX} characters, found {len(question)}. Shorten it."
        )
    # Two surrogates that make one character are joined; one alone becomes U+FFFD.
    whole = question.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    replaced = sum(_means_nothing(character) for character in whole)
    cleaned = "".join(" " if _means_nothing(character) else character for character in whole).strip()
    if not any(character.isprintable() and not character.isspace() for character in cleaned):
        raise InvalidInputError("Question: expected words, found an empty one. Ask for a structure.")
    if not replaced:
        return cleaned, ()
    return cleaned, (f"{replaced} control character(s) of the question were replaced by spaces.",)


def _means_nothing(character: str) -> bool:
    if character in _DIRECTION_MARKS:
        return True
    return unicodedata.category(character) == "Cc" and character not in _KEPT_CONTROLS
