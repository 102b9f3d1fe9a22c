"""`Exchange`: a question and its answer; `Picture`: an image, what each pixel shows, and exchanges about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIDE = 256
"""Pixels along each side of every picture."""
UNKNOWN = -1
"""Label of a pixel nobody named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One question about a picture, with the answer expected word for word."""

    kind: str
    """What it is about: colour, shape, presence, side, ..."""
    question: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture to learn from."""

    image: np.ndarray
    """uint8 [SIDE, SIDE, 3]."""
    what: np.ndarray
    """int16 [SIDE, SIDE]: number in `vocabulary.WHAT`, 0 = nothing with a name, UNKNOWN = nobody knows."""
    colour: np.ndarray
    """int16 [SIDE, SIDE]: number in `vocabulary.COLOURS`, 0 = none, UNKNOWN = nobody knows."""
    exchanges: tuple[Exchange, ...]
    source: str
    """shapes, household or medical."""


Rng = np.random.Generator


def one_of(rng: Rng, choices: tuple[str, ...] | list[str]) -> str:
    """One of the choices."""
    return choices[int(rng.integers(len(choices)))]


def with_article(name: str) -> str:
    """The name with a or an.

    Example:
        >>> with_article("orange star"), with_article("ultrasound image")
        ('an orange star', 'an ultrasound image')
    """
    return ("an " if name[0] in "aeio" or name.startswith("ultra") else "a ") + name


def place_words(x: float, y: float, margin: float = 0.04) -> str | None:
    """Where in the picture a point of 0-1 lies, in nine words; None near a border between two."""
    words = []
    for value, names in ((y, ("top", "", "bottom")), (x, ("left", "", "right"))):
        if min(abs(value - 1 / 3), abs(value - 2 / 3)) < margin:
            return None
        words.append(names[int(value * 3) if value < 1 else 2])
    row, column = words
    if row and column:
        return f"at the {row} {column}"
    return f"at the {row or column}" if row or column else "in the middle"
