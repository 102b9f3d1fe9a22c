"""Questions that are answered in words: kind of image, body part, where, how many, what it means, yes or no."""

from __future__ import annotations

from collections.abc import Callable

from medseg.training.question_writer.answers import NO, one_of, refusal
from medseg.training.question_writer.asking import Rng, asked_name, drawn, filled, loosened
from medseg.training.question_writer.geometry import pieces, place_words
from medseg.training.question_writer.picture_facts import Exchange
from medseg.training.question_writer.scene import Scene
from medseg.training.question_writer.structure import verb, with_article
from medseg.training.question_writer.structures import ASKED_IN_VAIN, STRUCTURES
from medseg.training.question_writer.text_templates import (
    BODY_PART,
    COUNT,
    MEANING,
    MODALITY,
    OVERVIEW,
    PLACE,
    YES_OR_NO,
)
from medseg.training.question_writer.wordings import WordingChoice

_CALLED = {"CT": "CT slice", "MRI": "MRI slice", "X-ray": "X-ray image", "ultrasound": "ultrasound image",
           "endoscopy": "endoscopy image", "histology": "histology image", "microscopy": "microscopy image",
           "electron microscopy": "electron microscopy image"}  # fmt: skip
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six")


def write_text(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    """One question that wants no mask."""
    for number in rng.permutation(len(_WAYS)):
        exchange = _WAYS[int(number)](scene, rng, choice)
        if exchange is not None:
            return exchange
    return None


def called(modality: str, *, volume: bool = False) -> str:
    """What a picture of a modality is called.

    Example:
        >>> called("MRI"), called("MRI", volume=True), called("photograph")
        ('MRI slice', 'MRI scan', 'photograph')
    """
    return f"{modality} scan" if volume else _CALLED.get(modality, modality)


def _modality(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange:
    text, wording = drawn(MODALITY, choice, rng)
    return _answered(text, f"This is {with_article(_called(scene))}.", wording, rng)


def _body_part(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange:
    text, wording = drawn(BODY_PART, choice, rng)
    return _answered(text, f"It shows the {scene.facts.body_part}.", wording, rng)


def _overview(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange:
    text, wording = drawn(OVERVIEW, choice, rng)
    return _answered(text, f"This is {with_article(_called(scene))} of the {scene.facts.body_part}.", wording, rng)


def _called(scene: Scene) -> str:
    return called(scene.facts.modality, volume=not scene.flat)


def _place(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    names = [name for name in scene.seen if not STRUCTURES[name].spread_out] if scene.flat else []
    if not names:
        return None
    name = one_of(rng, names)
    where = place_words(scene.seen[name])
    if where is None:
        return None
    text, wording = drawn(PLACE, choice, rng)
    question = filled(text, asked_name(STRUCTURES[name], rng))
    return _answered(question, f"The {name} {verb(name)} {where}.", wording, rng, asked=name)


def _count(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    names = [name for name in scene.seen if not STRUCTURES[name].spread_out] if scene.flat else []
    if not names:
        return None
    name = one_of(rng, names)
    found = pieces(scene.seen[name])
    if not 1 <= len(found) < len(_NUMBERS) or sum(int(piece.sum()) for piece in found) < scene.seen[name].sum():
        return None
    text, wording = drawn(COUNT, choice, rng)
    question = filled(text, asked_name(STRUCTURES[name], rng))
    many = "piece" if len(found) == 1 else "pieces"
    answer = f"There {'is' if len(found) == 1 else 'are'} {_NUMBERS[len(found)]} {many} of the {name}."
    return _answered(question, answer, wording, rng, asked=name)


def _yes_or_no(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    absent = (*scene.empty, *(one.name for one in scene.elsewhere if not scene.could_mean(one.name)))
    there = bool(scene.seen) and (not absent or rng.random() < 0.5)
    if not there and not absent:
        return None
    name = one_of(rng, tuple(scene.seen) if there else absent)
    text, wording = drawn(YES_OR_NO, choice, rng)
    answer = f"Yes, there {verb(name)} {with_article(name)}." if there else refusal(name, rng, NO)
    return _answered(filled(text, name), answer, wording, rng, asked=name)


def _meaning(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    among = tuple(scene.seen) or tuple(STRUCTURES)
    name = one_of(rng, among)
    text, wording = drawn(MEANING, choice, rng)
    pronoun = "They are" if verb(name) == "are" else "It is"
    return _answered(filled(text, name), f"{pronoun} {STRUCTURES[name].meaning}.", wording, rng, asked=name)


def _answered(question: str, answer: str, wording: str, rng: Rng, *, asked: str = "") -> Exchange:
    return Exchange(
        kind="text",
        question=loosened(question, rng),
        answer=answer,
        wording=wording,
        asked=(asked,) if asked in STRUCTURES or asked in ASKED_IN_VAIN else (),
    )


_Way = Callable[[Scene, Rng, WordingChoice], Exchange | None]
_WAYS: tuple[_Way, ...] = (_modality, _body_part, _overview, _place, _count, _yes_or_no, _meaning)
