"""`read_phrases`: which structures a question asks for, for segmenters that know a fixed list of words.

English alone, by words and without grammar: a question is cut at commas, sentences, `and` and `or`; each piece is known
whole or not at all, so `bone tumour` is not taken for `bone`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

Part = Literal["", "largest", "smallest", "bright", "dark", "left", "right"]

_LABEL_CHARACTERS = 80
"""Longest phrase that is repeated in an answer."""
_PART_WORDS: dict[str, Part] = {
    "largest": "largest",
    "biggest": "largest",
    "smallest": "smallest",
    "bright": "bright",
    "brighter": "bright",
    "brightest": "bright",
    "dark": "dark",
    "darker": "dark",
    "darkest": "dark",
    "left": "left",
    "right": "right",
}
_MARKED = r"(?:what|that which) (?:you|we|i|was)(?: have)?(?: just)? (?:marked|segmented|found|showed|shown|outlined)"
_REFERENCE = rf"{_MARKED}|it|that|this|them|those|these"
_THIS_STUDY = (
    r"\b(?:this|that|the) (?:scan|image|study|picture|volume|slice|series|ct|mri?|x-?ray|patient)(?:'s)?\b"
    r"|\b(?:of|in|inside) the (?:body|patient)\b"
)
_INSIDE = re.compile(r"\b(?:of|in|inside|within)\s+$", re.IGNORECASE)
_PIECES = re.compile(r"[,;.?!:]|\b(?:and|or|plus)\b|&", re.IGNORECASE)
_SILENT = frozenset({
    "a", "about", "again", "all", "also", "an", "any", "are", "area", "areas", "big", "both", "can", "component",
    "could", "delineate", "do", "does", "draw", "find", "for", "from", "give", "half", "has", "have", "here",
    "highlight", "how", "i", "in", "inside", "is", "just", "large", "like", "locate", "many", "mark", "me", "mask",
    "masks", "much", "now", "of", "on", "only", "outline", "part", "parts", "piece", "pieces", "please", "region",
    "regions", "segment", "see", "segmentation", "show", "size", "some", "spot", "spots", "tell", "the", "then",
    "there", "to", "us", "was", "we", "were", "what", "where", "which", "whole", "why", "with", "within", "would",
    "you",
})  # fmt: skip
"""Words that name nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPhrase:
    """One thing a question asks for."""

    text: str
    """As it was asked, without the words before and after it that name nothing."""
    structure: str = ""
    """Its key in the list of known words; empty where none is meant, or none is known."""
    part: Part = ""
    """Which part of it; empty for all of it."""
    marked: bool = False
    """Whether it is about what was marked before."""
    known: bool = True
    """Whether it was understood."""


def read_phrases(question: str, words: Mapping[str, str]) -> tuple[AskedPhrase, ...]:
    """What a question asks for, in the order of mention, each thing once.

    Args:
        question: the question.
        words: structure -> a regular expression of the words for it.

    Example:
        >>> read = read_phrases("Mark the bone and any tumour.", {"bone": "bones?"})
        >>> [(phrase.text, phrase.known) for phrase in read]
        [('bone', True), ('tumour', False)]
    """
    whole = re.sub(_THIS_STUDY, " ", " ".join(question.split()), flags=re.IGNORECASE)
    read = [_read_piece(piece, words) for piece in _PIECES.split(whole)]
    phrases = [phrase for phrase in read if phrase is not None]
    for number in reversed(range(len(phrases) - 1)):
        phrases[number] = _completed(phrases[number], phrases[number + 1])
    phrases = [_named(phrase) for phrase in phrases]
    once: dict[AskedPhrase, AskedPhrase] = {}
    for phrase in phrases:
        once.setdefault(replace(phrase, text="" if phrase.known else phrase.text.lower()), phrase)
    return tuple(once.values())


def _is_bare(phrase: AskedPhrase) -> bool:
    return phrase.known and bool(phrase.part) and not phrase.structure and not phrase.marked


def _completed(phrase: AskedPhrase, following: AskedPhrase) -> AskedPhrase:
    """In "left and right lung", `left` as the left lung; other phrases as they are."""
    if not (_is_bare(phrase) and following.part and following.known):
        return phrase
    words = "|".join(_PART_WORDS)
    text = re.sub(rf"\b(?:{words})\b", lambda _: phrase.text, following.text, count=1, flags=re.IGNORECASE)
    return replace(following, text=text, part=phrase.part)


def _named(phrase: AskedPhrase) -> AskedPhrase:
    """A part of nothing: of the whole volume where it is bright or dark, else nothing that is known."""
    if not _is_bare(phrase):
        return phrase
    if phrase.part in ("bright", "dark"):
        return replace(phrase, text=f"{phrase.text} region")
    return replace(phrase, part="", known=False)


def _read_piece(piece: str, words: Mapping[str, str]) -> AskedPhrase | None:
    """The phrase of a piece; None where no word of it names anything."""
    spans = [
        (key, hit.span()) for key, pattern in words.items() for hit in re.finditer(rf"\b(?:{pattern})\b", piece, re.I)
    ]
    structures = [key for key, _ in spans]
    references = [hit.span() for hit in re.finditer(rf"\b(?:{_REFERENCE})\b", piece, re.I)]
    if structures:  # "is it bone?" asks for bone, "the bone in it" for a part of what was marked
        silent = [span for span in references if not _INSIDE.search(piece[: span[0]])]
        references = [span for span in references if span not in silent]
    else:
        silent = []
    parts = [hit for hit in re.finditer(r"\w+", piece) if hit.group().lower() in _PART_WORDS]
    named = [*(span for _, span in spans), *references, *(hit.span() for hit in parts)]
    others = [
        hit.span()
        for hit in re.finditer(r"\w+(?:['-]\w+)*", piece)
        if hit.group().lower() not in _SILENT
        and not any(first <= hit.start() < last for first, last in (*named, *silent))
    ]
    if not named and not others:
        return None
    first, last = min(span[0] for span in (*named, *others)), max(span[1] for span in (*named, *others))
    text = piece[first:last][:_LABEL_CHARACTERS].strip()
    if others or len(structures) > 1 or len(parts) > 1:
        return AskedPhrase(text=text, known=False)
    return AskedPhrase(
        text=text,
        structure=structures[0] if structures else "",
        part=_PART_WORDS[parts[0].group().lower()] if parts else "",
        marked=bool(references),
    )
