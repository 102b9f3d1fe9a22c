"""`Scene`: a picture's facts put in order for the writers: what is seen, what is surely absent, wholes and sides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from medseg.training.question_writer.geometry import lungs_of
from medseg.training.question_writer.picture_facts import Mask, PictureFacts
from medseg.training.question_writer.structure import Structure
from medseg.training.question_writer.structures import ASKED_IN_VAIN, STRUCTURES, related

_PATIENTS_SIDES = ("left lung", "right lung")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """What can be asked for in a picture, and what in vain."""

    facts: PictureFacts
    seen: dict[str, Mask]
    """Name -> mask of what is large enough to be seen, also wholes and sides made from the labels."""
    labelled: tuple[str, ...]
    """Those of `seen` that the labels name themselves, in the order of the table."""
    empty: tuple[str, ...]
    """Looked for and not there."""
    elsewhere: tuple[Structure, ...]
    """Structures that no picture of this body part shows."""

    @property
    def flat(self) -> bool:
        """Whether this is a picture and no volume."""
        return all(mask.ndim == 2 for mask in self.facts.masks.values())

    def hides(self, rivals: tuple[str, ...]) -> bool:
        """Whether one of these is, or may be, in the picture."""
        labelled = self.facts.masks
        return any(
            bool(labelled[name].any()) if name in labelled else self._may_show(name) for name in rivals
        )  # fmt: skip

    def _may_show(self, name: str) -> bool:
        known = STRUCTURES.get(name) or ASKED_IN_VAIN.get(name)
        return not self.facts.complete and known is not None and known.may_be_seen(self.facts.body_part)

    def could_mean(self, text: str) -> bool:
        """Whether a name, or part of it, is used for something that pictures of this body part may show."""
        return _could_mean(text.lower(), self.facts.body_part)


def read_scene(facts: PictureFacts) -> Scene:
    """The facts in order; wholes are made of all their parts, lungs of an upright radiograph are told apart."""
    masks = dict(facts.masks)
    for whole in STRUCTURES.values():
        if whole.parts and whole.name not in masks and all(part in masks for part in whole.parts):
            masks[whole.name] = np.logical_or.reduce([masks[part] for part in whole.parts])
    upright = facts.modality == "X-ray" and not facts.mirrored
    if upright and "lungs" in masks and masks["lungs"].ndim == 2:
        masks = {**lungs_of(masks["lungs"]), **masks}
    if facts.mirrored:
        masks = {name: mask for name, mask in masks.items() if name not in _PATIENTS_SIDES}
    ordered = [name for name in STRUCTURES if name in masks]
    seen = {name: masks[name] for name in ordered if masks[name].mean() >= facts.seen_share}
    empty = tuple(name for name in ordered if not masks[name].any() and not _present_relative(name, masks))
    known = {other for name in masks for other in related(name)}
    elsewhere = tuple(
        one
        for one in (*STRUCTURES.values(), *ASKED_IN_VAIN.values())
        if one.name not in known and not one.may_be_seen(facts.body_part)
    )
    return Scene(
        facts=facts,
        seen=seen,
        labelled=tuple(name for name in seen if name in facts.masks),
        empty=empty,
        elsewhere=elsewhere,
    )


@lru_cache(maxsize=16_384)
def _could_mean(text: str, body_part: str) -> bool:
    return any(
        f" {text} " in f" {name.lower()} "
        for one in (*STRUCTURES.values(), *ASKED_IN_VAIN.values())
        if one.may_be_seen(body_part)
        for name in (one.name, *one.synonyms)
    )


def _present_relative(name: str, masks: dict[str, Mask]) -> bool:
    """Whether the parts of something empty are not: the labels then contradict each other."""
    return any(masks[other].any() for other in STRUCTURES[name].parts if other in masks)
