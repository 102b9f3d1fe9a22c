"""Questions that describe what they mean: by function, by relation, by a finding. They never name it."""

from __future__ import annotations

from medseg.training.question_writer.answers import MEANT as ANSWERS
from medseg.training.question_writer.answers import found, one_of
from medseg.training.question_writer.asking import Rng, loosened
from medseg.training.question_writer.descriptions import DESCRIPTIONS, RIVALS, ImplicitKind
from medseg.training.question_writer.named_writers import joined
from medseg.training.question_writer.picture_facts import Exchange, WrittenTarget
from medseg.training.question_writer.scene import Scene
from medseg.training.question_writer.structure import verb
from medseg.training.question_writer.structures import STRUCTURES
from medseg.training.question_writer.templates import MEANT, MEANT_WHY
from medseg.training.question_writer.wordings import Wording, WordingChoice, one_wording, usable

_WHY_SHARE = 0.12


def write_anatomical(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    """A question about what something does or where it belongs; None where none fits just one structure."""
    return _write(scene, "implicit_anatomical", rng, choice)


def write_pathological(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    """A question about a finding or its consequence; None where none fits just one structure."""
    return _write(scene, "implicit_pathological", rng, choice)


def fitting(scene: Scene, name: str, kind: ImplicitKind, choice: WordingChoice) -> list[Wording]:
    """Descriptions of a structure that fit nothing else that is, or may be, in the picture."""
    return [one for one in usable(DESCRIPTIONS[name][kind], choice) if not scene.hides(RIVALS.get(one.text, ()))]


def framed(description: Wording, choice: WordingChoice, rng: Rng, *, why: bool = False) -> tuple[str, str]:
    """A description within a frame, as it is asked, and its id."""
    frame = one_wording(MEANT_WHY if why else MEANT, choice, rng)
    text = description.text
    said = frame.text.format(question=text, lower=text[:1].lower() + text[1:])
    return loosened(said, rng), joined(description, frame)


def _write(scene: Scene, kind: ImplicitKind, rng: Rng, choice: WordingChoice) -> Exchange | None:
    choices = {name: fitting(scene, name, kind, choice) for name in scene.seen}
    names = [name for name, descriptions in choices.items() if descriptions]
    if not names:
        return None
    name = one_of(rng, names)
    description = choices[name][int(rng.integers(len(choices[name])))]
    why = rng.random() < _WHY_SHARE
    question, wording = framed(description, choice, rng, why=why)
    answer = found([name], rng, ANSWERS)
    if why:
        pronoun = "They are" if verb(name) == "are" else "It is"
        answer = f"{answer} {pronoun} {STRUCTURES[name].meaning}."
    return Exchange(
        kind=kind,
        question=question,
        answer=answer,
        wording=wording,
        targets=(WrittenTarget(label=name, mask=scene.seen[name]),),
        asked=(name,),
    )
