"""Questions that build upon what was marked: again, half of it, a piece, a part, its neighbour, the other one."""

from __future__ import annotations

from collections.abc import Callable

from medseg.training.question_writer.answers import found
from medseg.training.question_writer.asking import Rng, drawn, loosened
from medseg.training.question_writer.geometry import extreme_piece, half
from medseg.training.question_writer.picture_facts import Conversation, Exchange, Mask, WrittenTarget
from medseg.training.question_writer.scene import Scene
from medseg.training.question_writer.spatial_writer import RANKS, SIDES, half_label
from medseg.training.question_writer.structures import STRUCTURES
from medseg.training.question_writer.templates import (
    AGAIN,
    HALF_OF_IT,
    IMAGE_HALF_OF_IT,
    NTH_ONE,
    OTHER_ONE,
    PART_OF_IT,
    PIECE_OF_IT,
)
from medseg.training.question_writer.wordings import Wording, WordingChoice, worded

_PART_WORDS = {
    "left lung": ("patient's left one", "one on the patient's left"),
    "right lung": ("patient's right one", "one on the patient's right"),
    "anterior hippocampus": ("anterior part", "front part"),
    "posterior hippocampus": ("posterior part", "back part"),
    "nucleus": ("nucleus", "nucleus of the cell"),
    "cytoplasm": ("cytoplasm", "part around the nucleus"),
}
"""A part -> what it is called beside its whole."""
_OTHERS = {"left lung": "right lung", "right lung": "left lung", "anterior hippocampus": "posterior hippocampus",
           "posterior hippocampus": "anterior hippocampus"}  # fmt: skip
_NEIGHBOURS: dict[tuple[str, str], tuple[Wording, ...]] = {
    ("left ventricle", "heart muscle"): worded("around_it", (
        "Mark the muscle around the chamber you just marked.", "And the wall around it?", "Now the muscle around it.",
        "What surrounds the chamber you just marked?", "Show me the wall of that chamber.",
        "What squeezes the chamber you just marked?", "Which wall encloses it?",
        "Outline the thick wall of that chamber.", "Now what contracts around it.", "What is wrapped around it?",
        "Please mark the layer that surrounds it.", "And what pumps it empty?",
        "Show me the tissue that encloses that cavity.")),
    ("left ventricle", "left atrium"): worded("before_it", (
        "Mark the chamber that fills it.", "Which chamber empties into what you just marked?",
        "Now the chamber from which its blood comes.", "And the chamber before it?",
        "Show me the chamber behind its valve.",
        "Where does its blood come from? Mark that chamber.", "Outline the chamber that feeds it.",
        "Which chamber lies before it in the flow of blood?", "Show me the chamber upstream of it.",
        "Mark the neighbour that pours its blood into it.", "And the smaller chamber that fills it?",
        "Please mark the chamber it receives blood from.", "What opens into the chamber you just marked?")),
    ("left atrium", "left ventricle"): worded("after_it", (
        "Into which chamber does it empty?", "Mark the chamber that it fills.", "Now the chamber after it.",
        "And the chamber that its blood flows into?",
        "Where does its blood go next? Mark that chamber.", "Outline the chamber downstream of it.",
        "Which chamber lies after it in the flow of blood?", "Show me the chamber that receives its blood.",
        "Mark the neighbour that it pours its blood into.", "And the pumping chamber it empties into?",
        "Please mark the chamber it delivers blood to.", "What lies beyond its valve?")),
    ("heart muscle", "left ventricle"): worded("inside_it", (
        "Which chamber does it enclose?", "Mark the cavity inside it.", "Now the chamber that it squeezes.",
        "And the cavity within the wall you just marked?", "Show me what it surrounds.",
        "What does it squeeze empty?", "Outline the hollow inside it.", "Which cavity does that wall surround?",
        "Please mark the chamber within it.", "And the blood-filled space inside it?", "Now what it wraps around.",
        "Show me the hollow that this wall encloses.", "What is enclosed by what you just marked?")),
    ("nucleus", "cytoplasm"): worded("outside_it", (
        "What surrounds it?", "Mark the rest of the cell.", "Now what lies around it in the cell.",
        "And the part of the cell outside of it?", "Show me what is around what you just marked.",
        "Now the paler part around it.", "Which part of the cell encloses it?",
        "Outline the rest of this cell without it.", "And the lighter rim around it?",
        "Please mark everything in the cell except it.", "What fills the cell between it and the border?",
        "Mark what lies between it and the edge of the cell.", "In what is it embedded?")),
    ("cytoplasm", "nucleus"): worded("within_it", (
        "What lies inside it?", "Mark the core of the cell you just marked.", "Now the dark core inside it.",
        "And the part of the cell that it surrounds?", "Show me what it encloses.",
        "What does it surround?", "Outline the dark part in the middle of it.", "Which core does it wrap around?",
        "And the dark centre of that cell?", "Please mark what holds the DNA inside it.",
        "Now the part of the cell that it leaves out.", "What is embedded in it?",
        "Show me the darker body within it.")),
    ("nucleus", "white blood cell"): worded("whole_cell", (
        "Mark the whole cell it belongs to.", "And the cell around it as a whole?",
        "Show me the complete cell of what you just marked.",
        "Which cell does it belong to? Mark all of it.", "Outline the cell as a whole.",
        "Please mark the complete cell, not only this part.", "Now everything that belongs to that cell.",
        "The whole cell, please.", "And now the full cell with all its parts?", "Extend the mask to the entire cell.",
        "Show me the cell that contains it.", "From this part to the whole cell, please.")),
    ("left lung", "lungs"): worded("both_left", (
        "Now both of them.", "And both together?", "Mark the pair it belongs to.", "Add the one on the other side.",
        "Both, please.", "Now the two of them.", "Mark the whole pair.", "Not only this one, mark the two.",
        "Extend the mask to both sides.", "And the two as one mask?", "Show me both sides together.",
        "Outline the pair of them.", "Keep this one and add its partner.")),
    ("right lung", "lungs"): worded("both_right", (
        "Now both of the pair.", "And the two together?", "Mark both, not only this one.", "Add its counterpart.",
        "Both sides, please.", "Now the pair as a whole.", "Mark the two of them together.",
        "Extend it to the one on the other side too.", "Include both in one mask.", "And the complete pair?",
        "Show me the two as a pair.", "Outline both sides at once.", "Widen the mask to both.")),
}  # fmt: skip
"""What was marked and what is asked for next -> the wordings."""
NEIGHBOUR_GROUPS = tuple(_NEIGHBOURS.values())
_NTH = ("first", "second", "third", "fourth", "fifth", "sixth")
_Found = tuple[str, str, Mask, tuple[int, ...]]
"""Question and wording id joined by a tab, label, mask, numbers of the earlier targets it builds upon."""


def write_history(scene: Scene, earlier: Conversation, rng: Rng, choice: WordingChoice) -> Exchange | None:
    """A question about what the last answer with masks marked; None where there is none, or nothing fits it."""
    place = next((number for number in range(len(earlier) - 1, -1, -1) if earlier[number].targets), None)
    if place is None:
        return None
    last = earlier[place].targets
    ways = _SEVERAL_WAYS if len(last) > 1 else _WAYS
    for number in rng.permutation(len(ways)):
        built = ways[int(number)](scene, last, rng, choice)
        if built is not None:
            question, label, mask, builds_upon = built
            text, wording = question.split("\t")
            return Exchange(
                kind="history",
                question=loosened(text, rng),
                answer=found([label], rng),
                wording=wording,
                targets=(WrittenTarget(label=label, mask=mask),),
                asked=(label,),
                refers_to=tuple((place, target) for target in builds_upon),
            )
    return None


_Last = tuple[WrittenTarget, ...]


def _again(scene: Scene, last: _Last, rng: Rng, choice: WordingChoice) -> _Found | None:
    text, wording = drawn(AGAIN, choice, rng)
    return f"{text}\t{wording}", last[0].label, last[0].mask, (0,)


def _half_of_it(scene: Scene, last: _Last, rng: Rng, choice: WordingChoice) -> _Found | None:
    if last[0].label not in STRUCTURES or not scene.flat:
        return None
    side = SIDES[int(rng.integers(4))]
    part = half(last[0].mask, side)
    if part is None:
        return None
    text, wording = drawn(HALF_OF_IT if side in ("upper", "lower") else IMAGE_HALF_OF_IT, choice, rng)
    return f"{text.format(side=side)}\t{wording}", half_label(last[0].label, side), part, (0,)


def _piece_of_it(scene: Scene, last: _Last, rng: Rng, choice: WordingChoice) -> _Found | None:
    label = last[0].label
    if label not in STRUCTURES or STRUCTURES[label].spread_out or not scene.flat:
        return None
    rank = RANKS[int(rng.integers(2))]
    part = extreme_piece(last[0].mask, rank)
    if part is None:
        return None
    text, wording = drawn(PIECE_OF_IT, choice, rng)
    return f"{text.format(rank=rank)}\t{wording}", f"{rank} piece of the {label}", part, (0,)


def _part_of_it(scene: Scene, last: _Last, rng: Rng, choice: WordingChoice) -> _Found | None:
    parts = STRUCTURES[last[0].label].parts if last[0].label in STRUCTURES else ()
    there = [part for part in parts if part in scene.seen]
    if not there:
        return None
    part = there[int(rng.integers(len(there)))]
    words = _PART_WORDS[part]
    text, wording = drawn(PART_OF_IT, choice, rng)
    said = text.format(part=words[int(rng.integers(len(words)))])
    return f"{said}\t{wording}", part, scene.seen[part], (0,)


def _other_one(scene: Scene, last: _Last, rng: Rng, choice: WordingChoice) -> _Found | None:
    other = _OTHERS.get(last[0].label, "")
    if other not in scene.seen:
        return None
    text, wording = drawn(OTHER_ONE, choice, rng)
    return f"{text}\t{wording}", other, scene.seen[other], (0,)


def _neighbour(scene: Scene, last: _Last, rng: Rng, choice: WordingChoice) -> _Found | None:
    nexts = [pair for pair in _NEIGHBOURS if pair[0] == last[0].label and pair[1] in scene.seen]
    if not nexts:
        return None
    asked = nexts[int(rng.integers(len(nexts)))]
    text, wording = drawn(_NEIGHBOURS[asked], choice, rng)
    return f"{text}\t{wording}", asked[1], scene.seen[asked[1]], (0,)


def _nth_one(scene: Scene, last: _Last, rng: Rng, choice: WordingChoice) -> _Found | None:
    place = int(rng.integers(len(last)))
    text, wording = drawn(NTH_ONE, choice, rng)
    return f"{text.format(nth=_NTH[place])}\t{wording}", last[place].label, last[place].mask, (place,)


_Way = Callable[[Scene, _Last, Rng, WordingChoice], _Found | None]
_WAYS: tuple[_Way, ...] = (_again, _half_of_it, _piece_of_it, _part_of_it, _other_one, _neighbour)
_SEVERAL_WAYS: tuple[_Way, ...] = (_nth_one,)
