"""Questions for what is not there: findings the labels know to be absent, organs of other parts of the body."""

from __future__ import annotations

from medseg.training.question_writer.answers import NO, one_of, refusal
from medseg.training.question_writer.asking import Rng, asked_name, drawn, filled, loosened
from medseg.training.question_writer.descriptions import DESCRIPTIONS, ImplicitKind
from medseg.training.question_writer.implicit_writers import fitting, framed
from medseg.training.question_writer.picture_facts import Exchange
from medseg.training.question_writer.scene import Scene
from medseg.training.question_writer.structures import ASKED_IN_VAIN, STRUCTURES
from medseg.training.question_writer.templates import PRESENCE, REQUEST
from medseg.training.question_writer.wordings import WordingChoice

_KNOWN_EMPTY_SHARE = 0.6
_IMPLICIT_SHARE = 0.25
_PRESENCE_SHARE = 0.4
_KINDS: tuple[ImplicitKind, ...] = ("implicit_anatomical", "implicit_pathological")


def write_absent(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    """A question that must be refused; None where nothing is surely absent."""
    name = _absent(scene, rng)
    if name is None:
        return None
    if rng.random() < _IMPLICIT_SHARE:
        descriptions = [one for kind in _KINDS for one in fitting(scene, name, kind, choice)]
        if descriptions and (name in scene.empty or _means_only(scene, name)):
            description = descriptions[int(rng.integers(len(descriptions)))]
            question, wording = framed(description, choice, rng)
            return _refused(name, question, wording, refusal(name, rng))
    presence = rng.random() < _PRESENCE_SHARE
    template, wording = drawn(PRESENCE if presence else REQUEST, choice, rng)
    one = STRUCTURES.get(name) or ASKED_IN_VAIN[name]
    synonyms = one.synonyms if name in scene.empty else [word for word in one.synonyms if not scene.could_mean(word)]
    question = loosened(filled(template, asked_name(one, rng, synonyms)), rng)
    return _refused(name, question, wording, refusal(name, rng, NO) if presence else refusal(name, rng))


def _absent(scene: Scene, rng: Rng) -> str | None:
    elsewhere = [one.name for one in scene.elsewhere if not scene.could_mean(one.name)]
    if scene.empty and (not elsewhere or rng.random() < _KNOWN_EMPTY_SHARE):
        return one_of(rng, scene.empty)
    return one_of(rng, elsewhere) if elsewhere else None


def _means_only(scene: Scene, name: str) -> bool:
    """Whether descriptions of the structure mean nothing that this part of the body may show: not so for lesions, since
    `What should be biopsied?` is asked anywhere."""
    known = STRUCTURES.get(name) or ASKED_IN_VAIN[name]
    return not known.lesion and bool(DESCRIPTIONS[name]["implicit_anatomical"])


def _refused(name: str, question: str, wording: str, answer: str) -> Exchange:
    return Exchange(kind="absent", question=question, answer=answer, wording=wording, asked=(name,))
