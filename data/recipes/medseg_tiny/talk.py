"""What the language model is taught about each picture: dialogues by rule, as token ids, with what each [SEG] means.

An earlier answer stands in the dialogue as people read it, without marks, exactly as the segmenter will show it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.recipes.medseg_tiny.batches import NAMES
from data.recipes.medseg_tiny.volumes import ABSENT, STRUCTURES
from data.recipes.vlm_tiny.batches import Writer
from data.recipes.vlm_tiny.exchange import Exchange as Said
from medseg.grounding.mask_parts import PARTS
from medseg.grounding.seg_tokens import plain_answer
from medseg.training.question_writer.picture_facts import Conversation, Exchange, PictureFacts
from medseg.training.question_writer.wordings import WordingChoice
from medseg.training.question_writer.write_questions import write_questions

UNKNOWN = -1
_HALF = re.compile(r"(?:image-)?(upper|lower|left|right) half of the (.+)")
_PIECE = re.compile(r"(largest|smallest) (?:piece|part) of the (.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What one [SEG] of an answer stands for."""

    structure: str
    """Without its part."""
    part: int
    """Number in PARTS."""
    of_previous: bool
    """It is, or is cut from, what the answer before marked."""
    present: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One answer to learn, with the dialogue before it."""

    ids: tuple[int, ...]
    """After the picture: dialogue, question and answer."""
    asked: int
    """How many of them come before the answer."""
    meanings: tuple[Meaning, ...]
    """Of each [SEG], in order."""
    kind: str
    answer: str
    later: bool = False
    """Whether other questions were answered before."""


def read_label(label: str) -> tuple[str, int]:
    """Structure and part of a phrase.

    Example:
        >>> read_label("image-left half of the lungs"), read_label("liver")
        (('lungs', 3), ('liver', 0))
    """
    part = 0
    while (half := _HALF.fullmatch(label)) or (piece := _PIECE.fullmatch(label)):
        found = half or piece
        part = part or PARTS.index(f"{found[1]} {'half' if half else 'piece'}")  # type: ignore[index]
        label = found[2]  # type: ignore[index]
    return label, part


def meanings_of(talk: Conversation, number: int) -> tuple[Meaning, ...]:
    """What each [SEG] of one exchange stands for."""
    exchange = talk[number]
    before = _only_mark_before(talk[:number])
    found = []
    for target in exchange.targets:
        structure, part = read_label(target.label)
        of_previous = bool(exchange.refers_to) and before is not None and read_label(before)[0] == structure
        if of_previous and before == target.label:
            part = 0  # the same again, whatever part that was
        found.append(Meaning(structure=structure, part=part, of_previous=of_previous))
    return tuple(found)


def _only_mark_before(talk: Conversation) -> str | None:
    """Label of the one mask of the latest answer that marked; None where it marked several, or nothing was."""
    for exchange in reversed(talk):
        if exchange.targets:
            return exchange.targets[0].label if len(exchange.targets) == 1 else None
    return None


def lessons(
    facts: PictureFacts, writer: Writer, rng: np.random.Generator, choice: WordingChoice, per_kind: int = 2
) -> list[Lesson]:
    """Lessons about one picture."""
    found = []
    for talk in write_questions(facts, rng, choice, per_kind=per_kind):
        for number, exchange in enumerate(talk):
            ids = _before(talk[:number], writer)
            said, asked = writer.exchange(Said(kind=exchange.kind, question=exchange.question, answer=exchange.answer))
            found.append(
                Lesson(
                    ids=(*ids, *said),
                    asked=len(ids) + asked,
                    meanings=meanings_of(talk, number),
                    kind=exchange.kind,
                    answer=exchange.answer,
                    later=number > 0,
                )
            )
    return found


def _before(talk: Sequence[Exchange], writer: Writer) -> list[int]:
    ids: list[int] = []
    for exchange in talk:
        plain = plain_answer(exchange.answer)[0]
        said, _ = writer.exchange(Said(kind=exchange.kind, question=exchange.question, answer=plain))
        ids += [*said, *writer.next_question]
    return ids


def table_row(structure: str) -> int:
    """Row of a structure in the table of 2D prompts, or UNKNOWN."""
    return NAMES.index(structure) if structure in NAMES else UNKNOWN


def volume_row(structure: str) -> int:
    """Row of a structure in the table of 3D prompts, or UNKNOWN."""
    rows = [*STRUCTURES, *ABSENT]
    return rows.index(structure) if structure in STRUCTURES else UNKNOWN
