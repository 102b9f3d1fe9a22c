"""`wording_group`: whether a question was put in words that training may have seen."""

from __future__ import annotations

from functools import cache
from typing import Literal

from medseg.training.question_writer.templates import GROUPS
from medseg.training.question_writer.wordings import JOINT

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
    return "held_out" if any(part in _held_out() for part in wording.split(JOINT)) else "train"


@cache
def _held_out() -> frozenset[str]:
    return frozenset(one.id for group in GROUPS for one in group if one.held_out)
