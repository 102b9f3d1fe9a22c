"""`wording_group`: whether a question was put in words that training may have seen."""

from __future__ import annotations

from typing import Literal

from medseg.training.question_writer.catalogue import is_held_out

WordingGroup = Literal["train", "held_out", "free"]


def wording_group(wording: str) -> WordingGroup:
    """`held_out` where any part of the question is of a wording kept out of training, else `train`.

    `free` is a question that no template wrote.

    Example:
        >>> wording_group("")
        'free'
    """
    if not wording:
        return "free"
    return "held_out" if is_held_out(wording) else "train"
