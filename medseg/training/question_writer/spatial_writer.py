"""Questions about place: halves, one of two, above and below, the largest piece. Every claim is read off the masks.

Left and right are the image's here, and questions say so. A half is taken at the middle of a structure's extent.
"""

from __future__ import annotations

from collections.abc import Callable

from medseg.training.question_writer.answers import found
from medseg.training.question_writer.asking import Rng, asked_name, drawn, filled, loosened
from medseg.training.question_writer.geometry import Side, extreme_piece, half, level_with, pair, relation
from medseg.training.question_writer.picture_facts import Exchange, Mask, WrittenTarget
from medseg.training.question_writer.scene import Scene
from medseg.training.question_writer.structures import STRUCTURES, related
from medseg.training.question_writer.templates import HALF, IMAGE_HALF, LARGEST, RELATION, SIDE_PIECE
from medseg.training.question_writer.wordings import WordingChoice

SIDES: tuple[Side, ...] = ("upper", "lower", "left", "right")
RANKS = ("largest", "smallest")
_SINGLE = {"lungs": "lung", "polyp": "polyp", "wound": "wound", "breast tumour": "tumour", "kidney tumour": "tumour"}
"""What one of two pieces is called."""


def half_label(name: str, side: Side) -> str:
    """What a half is called in answers.

    Example:
        >>> half_label("liver", "left"), half_label("liver", "upper")
        ('image-left half of the liver', 'upper half of the liver')
    """
    return f"{'image-' if side in ('left', 'right') else ''}{side} half of the {name}"


def write_spatial(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    """One question about place; None where nothing can be said for sure, or for a volume."""
    if not scene.flat:
        return None
    for number in rng.permutation(len(_WAYS)):
        exchange = _WAYS[int(number)](scene, rng, choice)
        if exchange is not None:
            return exchange
    return None


def _half(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    for name in _shuffled(tuple(scene.seen), rng):
        side = SIDES[int(rng.integers(4))]
        part = half(scene.seen[name], side)
        if part is not None:
            template, wording = drawn(HALF if side in ("upper", "lower") else IMAGE_HALF, choice, rng)
            question = filled(template, asked_name(STRUCTURES[name], rng), side=side)
            return _spatial(question, half_label(name, side), part, wording, rng, asked=name)
    return None


def _one_of_two(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    for name in _shuffled(tuple(scene.seen), rng):
        two = _two(scene, name)
        if two is not None:
            place = int(rng.integers(2))
            label, part = two[place]
            template, wording = drawn(SIDE_PIECE, choice, rng)
            question = template.format(single=_SINGLE[name], side=("left", "right")[place])
            return _spatial(question, label, part, wording, rng, asked=label)
    return None


def _two(scene: Scene, name: str) -> tuple[tuple[str, Mask], tuple[str, Mask]] | None:
    """Label and mask of the left and the right one of two, as the image shows them."""
    if name == "lungs":
        if "left lung" in scene.seen and "right lung" in scene.seen and scene.facts.modality == "X-ray":
            return ("right lung", scene.seen["right lung"]), ("left lung", scene.seen["left lung"])
        return None
    two = pair(scene.seen[name]) if name in _SINGLE else None
    return None if two is None else ((name, two[0]), (name, two[1]))


def _beyond(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    if not scene.facts.complete:
        return None
    found_pairs = [
        (name, other, where)
        for name in scene.labelled
        for other in scene.labelled
        for where in (_only_one(scene, name, other),)
        if where
    ]
    if not found_pairs:
        return None
    name, other, where = found_pairs[int(rng.integers(len(found_pairs)))]
    template, wording = drawn(RELATION, choice, rng)
    question = filled(template, asked_name(STRUCTURES[other], rng), relation=where)
    return _spatial(question, name, scene.seen[name], wording, rng, asked=name)


def _only_one(scene: Scene, name: str, other: str) -> str:
    """`above` or `below` where `name`, and it alone, lies so to `other`."""
    if other in related(name):
        return ""
    where = relation(scene.seen[name], scene.seen[other])
    for third in scene.labelled:
        if where and third not in related(name) and third not in related(other):
            between = relation(scene.seen[third], scene.seen[other])
            where = "" if between == where or not _plainly_not(scene, third, other, where) else where
    return where


def _plainly_not(scene: Scene, third: str, other: str, where: str) -> bool:
    """Whether the third lies level with the other one or on its far side."""
    opposite = {"above": "below", "below": "above"}[where]
    mask, base = scene.seen[third], scene.seen[other]
    overlaps = mask.any(1) & base.any(1)
    return level_with(mask, base) or relation(mask, base) == opposite or bool(overlaps.sum() >= 0.5 * base.any(1).sum())


def _largest(scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    for name in _shuffled(tuple(scene.seen), rng):
        rank = RANKS[int(rng.integers(2))]
        part = None if STRUCTURES[name].spread_out else extreme_piece(scene.seen[name], rank)
        if part is not None:
            template, wording = drawn(LARGEST, choice, rng)
            question = filled(template, asked_name(STRUCTURES[name], rng), rank=rank)
            return _spatial(question, f"{rank} piece of the {name}", part, wording, rng, asked=name)
    return None


def _spatial(question: str, label: str, mask: Mask, wording: str, rng: Rng, *, asked: str) -> Exchange:
    return Exchange(
        kind="spatial",
        question=loosened(question, rng),
        answer=found([label], rng),
        wording=wording,
        targets=(WrittenTarget(label=label, mask=mask),),
        asked=(asked,),
    )


def _shuffled(names: tuple[str, ...], rng: Rng) -> list[str]:
    return [names[int(place)] for place in rng.permutation(len(names))]


_Way = Callable[[Scene, Rng, WordingChoice], Exchange | None]
_WAYS: tuple[_Way, ...] = (_half, _one_of_two, _beyond, _largest)
