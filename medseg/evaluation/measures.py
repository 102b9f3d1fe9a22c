"""`MEASURES`: every figure of a single question, read from its `TurnScore`. A new one is a function and one line.

NaN means that the measure does not apply to the question; such questions are left out of its mean and counted nowhere.
Slots of a question are its references and its left-over predictions: each left-over one counts 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from medseg.evaluation.turn_score import TurnScore

_NAN = float("nan")
FAILURE_IOU = 0.1
"""Below this IoU a reference counts as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A figure of one question."""

    of: Callable[[TurnScore], float]
    """Reads it; NaN where it does not apply."""
    better: str
    """`high` or `low`."""
    means: str
    """What it says, for a table."""
    forced: bool = True
    """Whether it says anything about masks for a given answer."""


def _over_slots(score: TurnScore, values: list[float]) -> float:
    return float(np.mean(values)) if score.references and values else _NAN


def _dice(score: TurnScore) -> float:
    return _over_slots(score, [one.overlap.dice for one in score.targets])


def _iou(score: TurnScore) -> float:
    return _over_slots(score, [one.overlap.iou for one in score.targets])


def _whole_iou(score: TurnScore) -> float:
    return score.whole.iou if score.references or score.absent else _NAN


def _distance(name: str, in_mm: bool) -> Callable[[TurnScore], float]:
    def of(score: TurnScore) -> float:
        values = [getattr(one, name) for one in score.targets]
        measured = [value for value in values if not math.isnan(value)]
        return float(np.mean(measured)) if measured and score.in_mm == in_mm else _NAN

    return of


def _nsd(in_mm: bool) -> Callable[[TurnScore], float]:
    def of(score: TurnScore) -> float:
        return _over_slots(score, [one.nsd for one in score.targets]) if score.in_mm == in_mm else _NAN

    return of


def _unmeasured(score: TurnScore) -> float:
    return _over_slots(score, [float(math.isnan(one.hd95)) for one in score.targets])


def _failed(score: TurnScore) -> float:
    return _over_slots(score, [float(one.overlap.iou < FAILURE_IOU) for one in score.targets if one.is_reference])


def _volume_gap(relative: bool) -> Callable[[TurnScore], float]:
    def of(score: TurnScore) -> float:
        pairs = [(one.predicted_ml, one.reference_ml) for one in score.targets if not math.isnan(one.reference_ml)]
        gaps = [abs(ours - theirs) / (theirs if relative else 1.0) for ours, theirs in pairs]
        return float(np.mean(gaps)) if gaps else _NAN

    return of


def _share(part: str, whole: str) -> Callable[[TurnScore], float]:
    def of(score: TurnScore) -> float:
        count = getattr(score, whole)
        return getattr(score, part) / count if count else _NAN

    return of


def _answered(score: TurnScore) -> float:
    return min(score.shown, score.references) / score.references if score.references else _NAN


def _no_mask(score: TurnScore) -> float:
    return float(not score.shown) if score.kind == "text" and not score.references else _NAN


def _said(name: str) -> Callable[[TurnScore], float]:
    def of(score: TurnScore) -> float:
        value = getattr(score, name)
        return _NAN if value is None else float(value)

    return of


def _seconds(score: TurnScore) -> float:
    return score.seconds


MEASURES: Mapping[str, Measure] = MappingProxyType({
    "dice": Measure(of=_dice, better="high", means="Dice, mean over slots"),
    "iou": Measure(of=_iou, better="high", means="IoU, mean over slots"),
    "giou": Measure(of=_whole_iou, better="high", means="IoU of all masks of an answer as one; 1 if rightly none"),
    "hd95_mm": Measure(of=_distance("hd95", True), better="low", means="HD95, mm, of the pairs with two surfaces"),
    "hd95_px": Measure(of=_distance("hd95", False), better="low", means="the same, pixels, where spacing is unknown"),
    "assd_mm": Measure(of=_distance("assd", True), better="low", means="ASSD, mm, of the pairs with two surfaces"),
    "assd_px": Measure(of=_distance("assd", False), better="low", means="the same, pixels, where spacing is unknown"),
    "nsd_mm": Measure(of=_nsd(True), better="high", means="NSD at the tolerance in mm, mean over slots"),
    "nsd_px": Measure(of=_nsd(False), better="high", means="the same, tolerance in pixels, where spacing is unknown"),
    "no_distance": Measure(of=_unmeasured, better="low", means="share of slots without a distance (one side empty)"),
    "failure": Measure(of=_failed, better="low", means="share of references with IoU below 0.1"),
    "volume_ml": Measure(of=_volume_gap(False), better="low", means="absolute error of the volume, ml, pairs"),
    "volume_share": Measure(of=_volume_gap(True), better="low", means="absolute error over the true volume, pairs"),
    "matched_iou": Measure(of=_said("matched_iou"), better="high", means="IoU over the best matching, phrases aside"),
    "grounded": Measure(of=_share("grounded", "references"), better="high",
        means="share of references with IoU >= 0.5 and a phrase alike in half of its words"),
    "t_acc": Measure(of=_answered, better="high", means="present targets that are answered with a mask", forced=False),
    "n_acc": Measure(of=_share("absent_declared", "absent"), better="high", means="absent targets declared absent",
        forced=False),
    "no_mask": Measure(of=_no_mask, better="high", means="questions of words alone that get no mask", forced=False),
    "uncertain": Measure(of=_share("uncertain", "shown"), better="low", means="share of masks shown as uncertain",
        forced=False),
    "phrase": Measure(of=_share("names_right", "references"), better="high", means="right phrase in the answer",
        forced=False),
    "invented": Measure(of=_share("invented", "phrases"), better="low",
        means="phrases claimed that name nothing in the record", forced=False),
    "in_order": Measure(of=_said("in_order"), better="high", means="answers of several masks whose order is that of "
        "their phrases"),
    "sides": Measure(of=_said("sides_right"), better="high", means="answers that name the right sides", forced=False),
    "denial": Measure(of=_said("denial_right"), better="high", means="answers that deny where the reference does",
        forced=False),
    "exact": Measure(of=_said("exact"), better="high", means="answers in words alone that are the reference's",
        forced=False),
    "seconds": Measure(of=_seconds, better="low", means="seconds per question"),
})  # fmt: skip
"""Name -> measure, in the order of the tables."""
