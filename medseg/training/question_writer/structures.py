"""Every structure that questions are written about, by its name; those of no set are only ever asked for in vain."""

from __future__ import annotations

from medseg.errors import InvalidInputError
from medseg.training.question_writer.abdomen_and_head import ABDOMEN_AND_HEAD
from medseg.training.question_writer.airways_and_opacities import AIRWAYS_AND_OPACITIES
from medseg.training.question_writer.blood_cells import BLOOD_CELLS
from medseg.training.question_writer.brain_and_spine import BRAIN_AND_SPINE
from medseg.training.question_writer.chest_and_heart import CHEST_AND_HEART
from medseg.training.question_writer.elsewhere import ELSEWHERE
from medseg.training.question_writer.eye_and_cells import EYE_AND_CELLS
from medseg.training.question_writer.head_and_skin import HEAD_AND_SKIN
from medseg.training.question_writer.heart import HEART
from medseg.training.question_writer.limbs_and_glands import LIMBS_AND_GLANDS
from medseg.training.question_writer.structure import Structure

STRUCTURES: dict[str, Structure] = {
    one.name: one
    for one in (
        *CHEST_AND_HEART, *AIRWAYS_AND_OPACITIES, *HEART, *ABDOMEN_AND_HEAD, *HEAD_AND_SKIN, *BRAIN_AND_SPINE,
        *EYE_AND_CELLS, *BLOOD_CELLS,
    )
}  # fmt: skip
"""Name -> structure that pictures are labelled with."""
ASKED_IN_VAIN: dict[str, Structure] = {one.name: one for one in (*ELSEWHERE, *LIMBS_AND_GLANDS)}
"""Name -> structure that no set is labelled with."""


def structure(name: str) -> Structure:
    """The structure of that name.

    Raises:
        InvalidInputError: there is none.
    """
    if name in STRUCTURES:
        return STRUCTURES[name]
    raise InvalidInputError(
        f"Structure: expected one of {', '.join(sorted(STRUCTURES))}, found {name!r}. Add it to the table."
    )


def related(name: str) -> frozenset[str]:
    """The structure itself, its parts, and the wholes it is part of."""
    own = STRUCTURES[name].parts if name in STRUCTURES else ()
    wholes = (one.name for one in STRUCTURES.values() if name in one.parts)
    return frozenset({name, *own, *wholes})
