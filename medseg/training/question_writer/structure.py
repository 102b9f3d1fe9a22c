"""`Structure`: a thing that can be asked for, what people call it, and how it is described without being named."""

from __future__ import annotations

import re
from dataclasses import dataclass

# fmt: off
_PLURAL_HEADS = frozenset({
    "airways", "arteries", "bronchi", "cells", "consolidations", "fields", "gallstones", "growths", "infiltrates",
    "kidneys", "lesions", "lungs", "membranes", "nuclei", "opacities", "polyps", "pulmones", "stones", "teeth",
    "tumors", "tumours", "ulcers", "vasa", "veins", "vertebrae", "vessels", "wounds",
})
_UNCOUNTED = frozenset({
    "caries", "consolidation", "cytoplasm", "cytosol", "decay", "fluid", "ggo", "haemorrhage", "haze", "muscle",
    "myocardium", "parenchyma", "plasmalemma", "protoplasm",
})
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A question that means a structure and does not name it."""

    text: str
    rivals: tuple[str, ...] = ()
    """Other structures it fits as well; it is not asked where one of them can be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """A structure that pictures are labelled with."""

    name: str
    """As it stands in answers."""
    meaning: str
    """What it is, as a phrase that could follow `It is`, without its names."""
    synonyms: tuple[str, ...] = ()
    """Other names, English and Latin, lower case."""
    adjectives: tuple[str, ...] = ()
    """Words that would give the name away."""
    lesion: bool = False
    """Whether it is a finding, which a healthy body lacks."""
    anatomical: tuple[Description, ...] = ()
    """By function and relation."""
    pathological: tuple[Description, ...] = ()
    """By finding and consequence."""
    shown_in: tuple[tuple[str, str], ...] = ()
    """Modality and body part of pictures that are labelled with it."""
    may_be_in: frozenset[str] = frozenset()
    """Further body parts whose pictures may show it, labelled or not: there it is never said to be absent."""
    spread_out: bool = False
    """Whether it lies all over the picture, so that nobody asks where."""
    parts: tuple[str, ...] = ()
    """Structures that make it up."""

    @property
    def plural(self) -> bool:
        """Whether one says `are`."""
        return is_plural(self.name)

    def may_be_seen(self, body_part: str) -> bool:
        """Whether a picture of that body part may show it."""
        return body_part in self.may_be_in or any(place == body_part for _, place in self.shown_in)


def is_plural(name: str) -> bool:
    """Whether a name is one of several things.

    Example:
        >>> is_plural("left lung"), is_plural("blood vessels")
        (False, True)
    """
    return head_word(name) in _PLURAL_HEADS


def head_word(name: str) -> str:
    """The word that says what a name is about, lower case.

    Example:
        >>> head_word("blood vessels"), head_word("upper half of the lungs"), head_word("lung on the patient's left")
        ('vessels', 'half', 'lung')
    """
    return re.split(r" (?:of|on|around) ", name.lower())[0].split()[-1]


def verb(name: str) -> str:
    """`is` or `are`."""
    return "are" if is_plural(name) else "is"


def with_article(name: str) -> str:
    """The name with `a` or `an`, as far as it can be counted.

    Example:
        >>> with_article("ulcer"), with_article("lungs"), with_article("cytoplasm"), with_article("ultrasound image")
        ('an ulcer', 'lungs', 'cytoplasm', 'an ultrasound image')
    """
    if is_plural(name) or head_word(name) in _UNCOUNTED:
        return name
    vowel = name[0].lower() in "aeio" or name.startswith(("ultra", "ulc", "upper", "MR", "X-ray"))
    return ("an " if vowel else "a ") + name


def described(*texts: str | tuple[str, ...]) -> tuple[Description, ...]:
    """Descriptions from texts; a tuple is a text and the other structures it fits."""
    return tuple(
        Description(text=one) if isinstance(one, str) else Description(text=one[0], rivals=tuple(one[1:]))
        for one in texts
    )
