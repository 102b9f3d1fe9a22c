"""`TurnScore`: what is kept of one answered question: counts and distances that every figure is read from, no mask.

One line of the cases' file per turn and mode holds it as JSON; NaN is written as null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from medseg.evaluation.overlap import Overlap

Mode = Literal["generated", "forced"]
"""`generated`: the segmenter's own words and masks, with its own answers as history. `forced`: masks for the reference
answer in words, with reference words and its own masks for them as history."""
MODES: tuple[Mode, ...] = ("generated", "forced")
_NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetScore:
    """A reference with the prediction it was paired with, or one of the two that is left over."""

    reference: str
    """Name of the reference; empty for a prediction that is left over (false positive)."""
    predicted: str
    """Phrase of the prediction; empty for a reference that is left over (false negative)."""
    overlap: Overlap
    """Voxels of the two."""
    score: float = _NAN
    """Presence times estimated overlap, as the segmenter says; NaN for a false negative."""
    hd95: float = _NAN
    """Millimetres, or pixels; NaN for what is left over, and where the predicted mask is empty."""
    assd: float = _NAN
    """Likewise."""
    nsd: float = 0.0
    """At the tolerance; 0 for what is left over."""
    predicted_ml: float = _NAN
    """NaN where the spacing is unknown, and for pictures."""
    reference_ml: float = _NAN
    """Likewise."""

    @property
    def is_reference(self) -> bool:
        """Whether this is a reference, found or not."""
        return bool(self.reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """One predicted mask as a detector's, its phrase left aside."""

    score: float
    """Presence times estimated overlap."""
    hit: bool
    """Whether it finds a reference of IoU 0.5 and more that none of higher score has found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnScore:
    """One question, in one mode."""

    case: str
    """Record and dialogue, as `case-7#0`."""
    patient: str
    """Opaque name, as in the records."""
    set: str
    """Name of the data set."""
    turn: int
    """Number of the question in its dialogue, from 1."""
    kind: str
    """As in the records: explicit, multi, ...; `unknown` where they do not say."""
    wording: str
    """`train`, `held_out`, or `free` for a question that no template wrote."""
    mode: Mode
    """How it was answered."""
    question: str
    """As it was asked."""
    expected: str
    """The reference answer, without marks."""
    said: str
    """The answer, without marks."""
    seconds: float
    """From question to masks on the input's grid."""
    in_mm: bool
    """Whether distances are millimetres; else pixels."""
    targets: tuple[TargetScore, ...]
    """References in the order of the reference answer, then predictions that are left over."""
    whole: Overlap
    """All predicted masks as one, against all references as one."""
    detections: tuple[Detection, ...] = ()
    """One per predicted mask."""
    matched_iou: float = _NAN
    """IoU summed over the best one-to-one matching, phrases aside, over pairs and left over ones; NaN without any."""
    grounded: int = 0
    """References matched with IoU >= 0.5 and a phrase of word similarity >= 0.5."""
    names_right: int = 0
    """References whose name is among the answer's phrases."""
    phrases: int = 0
    """Phrases that the answer claims to be there (found or uncertain)."""
    invented: int = 0
    """Of those, the ones that name none of the record's targets."""
    absent: int = 0
    """Asked names that are not there."""
    absent_declared: int = 0
    """Of those, the ones for which no mask is shown."""
    uncertain: int = 0
    """Masks that are shown as uncertain."""
    in_order: bool | None = None
    """Whether each mask belongs to its phrase; None where the answer or the reference has fewer than two masks."""
    sides_right: bool | None = None
    """Whether the answer names the reference's sides; None where neither names any."""
    denial_right: bool | None = None
    """Whether the answer denies where the reference does, and only there; None in forced mode."""
    exact: bool | None = None
    """Whether the words are the reference's; None but for `text` questions."""
    error: str = ""
    """Message of the segmenter's error; the answer then counts as empty."""

    @property
    def references(self) -> int:
        """Targets that are there and were to be marked."""
        return sum(one.is_reference for one in self.targets)

    @property
    def shown(self) -> int:
        """Masks that the answer shows."""
        return len(self.detections)


def turn_to_json(score: TurnScore) -> dict[str, Any]:
    """The score as plain values, NaN as None."""
    return _plain(score)


def turn_from_json(value: Mapping[str, Any]) -> TurnScore:
    """The score that was written.

    Raises:
        KeyError, TypeError: it was not written by `turn_to_json`.
    """
    targets = tuple(
        TargetScore(**{**_floats(one, TargetScore), "overlap": Overlap(**one["overlap"])}) for one in value["targets"]
    )
    detections = tuple(Detection(**one) for one in value["detections"])
    rest = {**_floats(value, TurnScore), "whole": Overlap(**value["whole"])}
    return TurnScore(**{**rest, "targets": targets, "detections": detections})


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, TurnScore | TargetScore | Detection | Overlap):
        return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
    return value


def _floats(value: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """The fields with NaN where a number is None."""
    numbers = {part.name for part in fields(kind) if part.type == "float"}
    return {name: _NAN if one is None and name in numbers else one for name, one in value.items()}
