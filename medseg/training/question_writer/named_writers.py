"""Questions that name what they ask for: one structure, several, or the parts of one."""

from __future__ import annotations

from medseg.training.question_writer.answers import YES, enumerated, found, one_of, refusal
from medseg.training.question_writer.asking import Rng, asked_name, drawn, filled, loosened
from medseg.training.question_writer.picture_facts import Exchange, WrittenTarget
from medseg.training.question_writer.scene import Scene
from medseg.training.question_writer.structures import STRUCTURES, related
from medseg.training.question_writer.templates import EVERYTHING, PARTWISE, PRESENCE, REQUEST, SEVERAL
from medseg.training.question_writer.wordings import JOINT, Wording, WordingChoice

_PRESENCE_SHARE = 0.25
_EVERYTHING_SHARE = 0.15
_PARTWISE_SHARE = 0.25
_PARTLY_ABSENT_SHARE = 0.15
_MOST_TARGETS = 6


def write_explicit(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    """One structure by its name or a synonym; None where nothing is seen."""
    if not scene.seen:
        return None
    name = one_of(rng, tuple(scene.seen))
    return explicit_about(scene, name, rng, choice)


def explicit_about(scene: Scene, name: str, rng: Rng, choice: WordingChoice) -> Exchange:
    """The question for one structure that is seen."""
    presence = rng.random() < _PRESENCE_SHARE
    template, wording = drawn(PRESENCE if presence else REQUEST, choice, rng)
    said = asked_name(STRUCTURES[name], rng)
    return Exchange(
        kind="explicit",
        question=loosened(filled(template, said), rng),
        answer=found([name], rng, YES) if presence else found([name], rng),
        wording=wording,
        targets=(WrittenTarget(label=name, mask=scene.seen[name]),),
        asked=(name,),
    )


def write_multi(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    """Several structures in the order in which they are named; None where there are not several."""
    kinds = rng.random(2)
    if kinds[0] < _PARTWISE_SHARE:
        exchange = _partwise(scene, rng, choice)
        if exchange is not None:
            return exchange
    if kinds[1] < _EVERYTHING_SHARE and scene.facts.complete and 2 <= len(scene.labelled) <= _MOST_TARGETS:
        template, wording = drawn(EVERYTHING, choice, rng)
        return _all_of(scene, list(scene.labelled), template, wording, rng)
    names = _apart(list(scene.seen), rng)
    absent = _surely_absent(scene)
    if absent and names and (rng.random() < _PARTLY_ABSENT_SHARE):
        return _partly_absent(scene, names[0], one_of(rng, absent), rng, choice)
    if len(names) < 2:
        return None
    names = names[: int(rng.integers(2, min(3, len(names)) + 1))]
    question, wording = _list_question(names, rng, choice)
    return Exchange(
        kind="multi",
        question=question,
        answer=found(names, rng),
        wording=wording,
        targets=_targets(scene, names),
        asked=tuple(names),
    )


def _list_question(names: list[str], rng: Rng, choice: WordingChoice) -> tuple[str, str]:
    said = [asked_name(STRUCTURES[name], rng) if name in STRUCTURES else name for name in names]
    template, wording = drawn(SEVERAL, choice, rng)
    text = template.format(list=enumerated([f"the {name}" for name in said]), names=enumerated(said))
    return loosened(text, rng), wording


def _apart(names: list[str], rng: Rng) -> list[str]:
    """The names in a drawn order, without those that are part of an earlier one or hold it."""
    chosen: list[str] = []
    for place in rng.permutation(len(names)):
        name = names[int(place)]
        if not any(other in related(name) for other in chosen):
            chosen.append(name)
    return chosen


def _surely_absent(scene: Scene) -> tuple[str, ...]:
    return (*scene.empty, *(one.name for one in scene.elsewhere if not scene.could_mean(one.name)))


def _partly_absent(scene: Scene, there: str, absent: str, rng: Rng, choice: WordingChoice) -> Exchange:
    names = [there, absent] if rng.random() < 0.5 else [absent, there]
    question, wording = _list_question(names, rng, choice)
    marked, missing = found([there], rng), refusal(absent, rng)
    return Exchange(
        kind="multi",
        question=question,
        answer=f"{marked} {missing}" if names[0] == there else f"{missing} {marked}",
        wording=wording,
        targets=_targets(scene, [there]),
        asked=tuple(names),
    )


def _partwise(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    wholes = [
        name for name in scene.seen if STRUCTURES[name].parts and all(p in scene.seen for p in STRUCTURES[name].parts)
    ]
    if not wholes:
        return None
    whole = one_of(rng, wholes)
    template, wording = drawn(PARTWISE, choice, rng)
    said = filled(template, asked_name(STRUCTURES[whole], rng))
    return _all_of(scene, list(STRUCTURES[whole].parts), said, wording, rng)


def _all_of(scene: Scene, names: list[str], question: str, wording: str, rng: Rng) -> Exchange:
    return Exchange(
        kind="multi",
        question=loosened(question, rng),
        answer=found(names, rng),
        wording=wording,
        targets=_targets(scene, names),
        asked=tuple(names),
    )


def _targets(scene: Scene, names: list[str]) -> tuple[WrittenTarget, ...]:
    return tuple(WrittenTarget(label=name, mask=scene.seen[name]) for name in names)


def joined(*wordings: Wording) -> str:
    """The id of a question that is made of several wordings."""
    return JOINT.join(one.id for one in wordings)
