"""The writers by kind of question, and every wording they use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medseg.training.question_writer.absent_writer import write_absent
from medseg.training.question_writer.descriptions import DESCRIPTIONS
from medseg.training.question_writer.history_writer import NEIGHBOUR_GROUPS
from medseg.training.question_writer.implicit_writers import write_anatomical, write_pathological
from medseg.training.question_writer.named_writers import write_explicit, write_multi
from medseg.training.question_writer.picture_facts import Exchange
from medseg.training.question_writer.scene import Scene
from medseg.training.question_writer.spatial_writer import write_spatial
from medseg.training.question_writer.templates import GROUPS
from medseg.training.question_writer.text_writer import write_text
from medseg.training.question_writer.wordings import JOINT, Wording, WordingChoice
from medseg.training.records import Kind

Writer = Callable[[Scene, np.random.Generator, WordingChoice], Exchange | None]
WRITERS: dict[Kind, Writer] = {
    "explicit": write_explicit,
    "multi": write_multi,
    "implicit_anatomical": write_anatomical,
    "implicit_pathological": write_pathological,
    "spatial": write_spatial,
    "absent": write_absent,
    "text": write_text,
}
"""Kind -> what writes one such question; `history` needs an earlier exchange and has a writer of its own."""
WORDINGS: dict[str, Wording] = {
    one.id: one
    for group in (*GROUPS, *NEIGHBOUR_GROUPS, *(group for kinds in DESCRIPTIONS.values() for group in kinds.values()))
    for one in group
}
"""Id -> wording."""


def is_held_out(wording: str) -> bool:
    """Whether a question was made of wordings that are kept out of training, by its ids joined by `+`.

    Example:
        >>> is_held_out("")
        False
    """
    return any(number in WORDINGS and WORDINGS[number].held_out for number in wording.split(JOINT))
