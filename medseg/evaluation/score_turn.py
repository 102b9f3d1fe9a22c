"""`score_turn`: one answer held against its reference, as counts and distances.

Pairs are made by name first: a mask counts for the reference that its phrase names, so swapped masks score as wrong.
Where several have one name, and among those whose phrase names no reference, the best overlaps are paired first. As
many pairs are made as there can be; nothing is cut off: what is left over is a false positive or a false negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from medseg.evaluation.answer_rules import denies, same_answer, sides_said, words_of
from medseg.evaluation.matching import detection_hits, greedy_pairs
from medseg.evaluation.overlap import Overlap, overlap, united
from medseg.evaluation.phrases import known_structure, name_similarity, names_found, same_structure
from medseg.evaluation.surface_distance import surface_distances
from medseg.evaluation.turn_score import Detection, Mode, TargetScore, TurnScore

_HIT_IOU = 0.5
_PHRASE_SIMILARITY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """One mask that an answer shows."""

    label: str
    """Its phrase."""
    mask: Bool[ndarray, "i j k"]
    """On the voxels of the volume."""
    score: float
    """Presence times estimated overlap, 0-1."""
    uncertain: bool = False
    """Whether it is marked as uncertain."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SaidAnswer:
    """What came back for one question."""

    text: str
    """In words; marks do not matter."""
    shown: tuple[Shown, ...] = ()
    """In the order of mention."""
    withheld: tuple[str, ...] = ()
    """Phrases for which no mask is shown, since they were not found."""
    seconds: float = 0.0
    """How long it took."""
    error: str = ""
    """Message of the segmenter's error."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expected:
    """What should have come back."""

    text: str
    """The reference answer; marks do not matter."""
    targets: tuple[tuple[str, Bool[ndarray, "i j k"]], ...] = ()
    """Name and mask of what is there and was asked for, in the order of mention; no mask is empty."""
    asked: tuple[str, ...] = ()
    """Names of what was asked for, also of what is not there; empty where nobody knows."""
    known: tuple[str, ...] = ()
    """Names of everything the record knows to be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Where a question belongs."""

    case: str
    patient: str
    set: str
    turn: int
    kind: str
    wording: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """Where the voxels lie."""

    shape: tuple[int, int, int]
    """Voxels along i, j and k."""
    voxel_to_ras: Float[ndarray, "4 4"]
    """In millimetres, or in pixels."""
    in_mm: bool
    """Which of the two."""
    voxel_ml: float = field(default=float("nan"))
    """Volume of a voxel, millilitres; NaN for pictures and where the spacing is unknown."""
    tolerance: float = 2.0
    """Of NSD, in the unit of the affine."""


def score_turn(question: Question, mode: Mode, said: SaidAnswer, expected: Expected, grid: Grid) -> TurnScore:
    """The answer's counts and distances.

    Raises:
        InvalidInputError: a mask is on another grid.
    """
    names = [name for name, _ in expected.targets]
    shared = np.zeros((len(said.shown), len(names)))
    for row, one in enumerate(said.shown):
        for column, (_, mask) in enumerate(expected.targets):
            shared[row, column] = overlap(one.mask, mask).iou
    pairs = name_pairs([one.label for one in said.shown], names, shared)
    return TurnScore(
        case=question.case,
        patient=question.patient,
        set=question.set,
        turn=question.turn,
        kind=question.kind,
        wording=question.wording,
        mode=mode,
        question=question.text,
        expected=words_of(expected.text),
        said=words_of(said.text),
        seconds=said.seconds,
        in_mm=grid.in_mm,
        targets=_target_scores(pairs, said.shown, expected, grid),
        whole=overlap(
            united([one.mask for one in said.shown], grid.shape),
            united([mask for _, mask in expected.targets], grid.shape),
        ),
        uncertain=sum(one.uncertain for one in said.shown),
        in_order=_in_order(said.shown, names, shared),
        error=said.error,
        **_as_detector(said.shown, names, shared),
        **_words(said, expected, question.kind, mode),
        **_absence(said.shown, names, expected.asked, question.kind),
    )


def name_pairs(
    said: Sequence[str], names: Sequence[str], shared: Float[ndarray, "prediction reference"]
) -> list[tuple[int, int]]:
    """Pairs of prediction and reference: those of one name first, then the rest, each by the best overlap.

    Example:
        >>> swapped = np.array([[0.0, 0.9], [0.8, 0.0]])
        >>> name_pairs(["left lung", "right lung"], ["left lung", "right lung"], swapped)
        [(0, 0), (1, 1)]
    """
    alike = np.array([[same_structure(one, other) for other in names] for one in said], dtype=bool)
    alike = alike.reshape(len(said), len(names))
    return sorted(greedy_pairs(shared + 2.0 * alike), key=lambda pair: pair[1])


def _target_scores(
    pairs: Sequence[tuple[int, int]], shown: Sequence[Shown], expected: Expected, grid: Grid
) -> tuple[TargetScore, ...]:
    prediction_of = {column: row for row, column in pairs}
    scores = []
    for column, (name, mask) in enumerate(expected.targets):
        row = prediction_of.get(column)
        if row is None:
            voxels = int(np.count_nonzero(mask))
            nothing = Overlap(shared=0, predicted=0, reference=voxels)
            scores.append(TargetScore(reference=name, predicted="", overlap=nothing))
            continue
        scores.append(_pair_score(name, mask, shown[row], grid))
    taken = set(prediction_of.values())
    for row, one in enumerate(shown):
        if row not in taken:
            voxels = int(np.count_nonzero(one.mask))
            nothing = Overlap(shared=0, predicted=voxels, reference=0)
            scores.append(TargetScore(reference="", predicted=one.label or "?", overlap=nothing, score=one.score))
    return tuple(scores)


def _pair_score(name: str, mask: Bool[ndarray, "i j k"], one: Shown, grid: Grid) -> TargetScore:
    counts = overlap(one.mask, mask)
    found = surface_distances(one.mask, mask, grid.voxel_to_ras, tolerance=grid.tolerance)
    return TargetScore(
        reference=name,
        predicted=one.label or "?",
        overlap=counts,
        score=one.score,
        hd95=found.hd95,
        assd=found.assd,
        nsd=found.nsd,
        predicted_ml=counts.predicted * grid.voxel_ml,
        reference_ml=counts.reference * grid.voxel_ml,
    )


def _in_order(
    shown: Sequence[Shown], names: Sequence[str], shared: Float[ndarray, "prediction reference"]
) -> bool | None:
    """Whether each mask that overlaps a reference overlaps most the one that its phrase, else its place, names.

    Where several references have the phrase's name, any of them will do.
    """
    if len(shown) < 2 or len(names) < 2:
        return None
    for row, one in enumerate(shown):
        meant = [column for column, name in enumerate(names) if same_structure(one.label, name)]
        meant = meant or [row]
        if shared[row].max() > 0 and int(shared[row].argmax()) not in meant:
            return False
    return True


def _as_detector(
    shown: Sequence[Shown], names: Sequence[str], shared: Float[ndarray, "prediction reference"]
) -> dict[str, Any]:
    scores = [one.score for one in shown]
    hits = detection_hits(shared, scores, _HIT_IOU)
    matched = greedy_pairs(shared)
    slots = len(shown) + len(names) - len(matched)
    grounded = [
        shared[row, column] >= _HIT_IOU and name_similarity(shown[row].label, names[column]) >= _PHRASE_SIMILARITY
        for row, column in matched
    ]
    return {
        "detections": tuple(Detection(score=score, hit=hit) for score, hit in zip(scores, hits, strict=True)),
        "matched_iou": float(sum(shared[pair] for pair in matched)) / slots if slots else float("nan"),
        "grounded": int(sum(grounded)),
    }


def _words(said: SaidAnswer, expected: Expected, kind: str, mode: Mode) -> dict[str, Any]:
    claimed = [one.label for one in said.shown]
    names = [name for name, _ in expected.targets]
    known = [*expected.known, *names]
    counts = {
        "names_right": names_found([*claimed, *said.withheld], names),
        "phrases": len(claimed),
        "invented": sum(not known_structure(one, known) for one in claimed),
    }
    if mode == "forced":
        return counts
    sides = sides_said(expected.text), sides_said(said.text)
    return {
        **counts,
        "sides_right": sides[0] == sides[1] if sides[0] or sides[1] else None,
        "denial_right": denies(expected.text) == denies(said.text),
        "exact": same_answer(expected.text, said.text) if kind == "text" else None,
    }


def _absence(shown: Sequence[Shown], names: Sequence[str], asked: Sequence[str], kind: str) -> dict[str, Any]:
    """How many asked names are not there, and how many of them get no mask.

    Where nothing of what was asked is there, any mask at all is a claim. Else a claim is a mask of that name.
    """
    absent = [one for one in asked if not any(same_structure(one, name) for name in names)] if asked else []
    if not names:
        count = max(len(absent), 1) if kind == "absent" else 0
        return {"absent": count, "absent_declared": 0 if shown else count}
    if kind not in ("absent", "multi"):
        return {"absent": 0, "absent_declared": 0}
    claimed = [any(same_structure(one.label, name) for one in shown) for name in absent]
    return {"absent": len(absent), "absent_declared": claimed.count(False)}
