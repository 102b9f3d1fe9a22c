"""Wordings with stable ids, and which of them are kept out of training.

An id is a hash of the text, so a changed wording is another wording. Of each group a fifth is held out, at least one,
by the order of the ids: the same ones in every run. The plainest wordings of a group may be exempt: a user who types
`Segment the liver.` is owed an answer that was taught.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

WordingChoice = Literal["train", "held_out", "all"]
"""Which wordings may be used."""
HELD_OUT_SHARE = 0.2
JOINT = "+"
"""Between the ids of a question that was made of several wordings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """One way to put something."""

    id: str
    text: str
    held_out: bool
    """Kept out of training."""


def worded(group: str, texts: Iterable[str], taught: Collection[str] = ()) -> tuple[Wording, ...]:
    """The wordings of a group: those of `taught`, and `texts`, of which a fifth is held out.

    Example:
        >>> [one.held_out for one in worded("greeting", ["Hello.", "Good day.", "Hi."])].count(True)
        1
    """
    ids = {text: f"{group}-{hashlib.sha256(f'{group}/{text}'.encode()).hexdigest()[:8]}" for text in (*taught, *texts)}
    drawn = sorted(number for text, number in ids.items() if text not in taught)
    kept_out = set(drawn[: max(1, round(HELD_OUT_SHARE * len(drawn)))]) if drawn else set()
    return tuple(Wording(id=number, text=text, held_out=number in kept_out) for text, number in ids.items())


def usable(wordings: Sequence[Wording], choice: WordingChoice) -> list[Wording]:
    """Those of the choice, in order."""
    return [one for one in wordings if choice == "all" or one.held_out == (choice == "held_out")]


def one_wording(wordings: Sequence[Wording], choice: WordingChoice, rng: np.random.Generator) -> Wording:
    """One of the choice, drawn evenly."""
    among = usable(wordings, choice)
    return among[int(rng.integers(len(among)))]
