"""`POOLED`: figures that only a whole set of questions has: cIoU, AP50, calibration, agreement of volumes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medseg.evaluation.calibration import calibration_error, risk_area
from medseg.evaluation.matching import average_precision
from medseg.evaluation.turn_score import TurnScore
from medseg.evaluation.volume_agreement import VolumeAgreement, volume_agreement

_RIGHT_IOU = 0.5
_NAN = float("nan")
Rows = list[tuple[float, float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledMeasure:
    """A figure of many questions together: rows are collected from each, and read at once."""

    rows: Callable[[TurnScore], Rows]
    """What a question adds."""
    read: Callable[[Float[ndarray, "row 3"]], float]
    """The figure of all rows; NaN where there are too few."""
    better: str
    """`high` or `low`; empty where neither end is good."""
    means: str
    """What it says."""

    def of(self, scores: Sequence[TurnScore]) -> float:
        """The figure of the questions."""
        return self.read(as_table([row for score in scores for row in self.rows(score)]))


def as_table(rows: Rows) -> Float[ndarray, "row 3"]:
    """Rows as an array; there may be none."""
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _voxels(score: TurnScore) -> Rows:
    return [(float(score.whole.shared), float(score.whole.union), 0.0)]


def _shared_over_union(table: Float[ndarray, "row 3"]) -> float:
    shared, union, _ = table.sum(axis=0)
    return float(shared / union) if union else _NAN


def _detections(score: TurnScore) -> Rows:
    """Score and hit of each mask, then a row that counts the references."""
    return [*((one.score, float(one.hit), 0.0) for one in score.detections), (_NAN, 0.0, float(score.references))]


def _precision(table: Float[ndarray, "row 3"]) -> float:
    found = table[~np.isnan(table[:, 0])]
    return average_precision((found[:, 1] > 0).tolist(), found[:, 0].tolist(), int(table[:, 2].sum()))


def _claims(score: TurnScore) -> Rows:
    """Score and IoU of every mask that is shown; left-over ones overlap nothing."""
    return [(one.score, one.overlap.iou, 0.0) for one in score.targets if not math.isnan(one.score)]


def _calibration(table: Float[ndarray, "row 3"]) -> float:
    return calibration_error(table[:, 0].tolist(), (table[:, 1] >= _RIGHT_IOU).tolist())


def _risk(table: Float[ndarray, "row 3"]) -> float:
    return risk_area(table[:, 0].tolist(), (1 - table[:, 1]).tolist())


def _volumes(score: TurnScore) -> Rows:
    return [(one.predicted_ml, one.reference_ml, 0.0) for one in score.targets if not math.isnan(one.reference_ml)]


def _agreement(table: Float[ndarray, "row 3"]) -> VolumeAgreement:
    return volume_agreement(table[:, 0].tolist(), table[:, 1].tolist())


def _bias(table: Float[ndarray, "row 3"]) -> float:
    return _agreement(table).bias_ml


def _low(table: Float[ndarray, "row 3"]) -> float:
    return _agreement(table).low_ml


def _high(table: Float[ndarray, "row 3"]) -> float:
    return _agreement(table).high_ml


POOLED: Mapping[str, PooledMeasure] = MappingProxyType({
    "ciou": PooledMeasure(rows=_voxels, read=_shared_over_union, better="high",
        means="shared voxels over the union, summed; large targets rule it"),
    "ap50": PooledMeasure(rows=_detections, read=_precision, better="high",
        means="average precision at IoU 0.5, phrases aside"),
    "ece": PooledMeasure(rows=_claims, read=_calibration, better="low",
        means="expected calibration error of the score against IoU >= 0.5"),
    "aurc": PooledMeasure(rows=_claims, read=_risk, better="low", means="area below risk (1 - IoU) over coverage"),
    "bias_ml": PooledMeasure(rows=_volumes, read=_bias, better="", means="mean of predicted minus true volume, ml"),
    "low_ml": PooledMeasure(rows=_volumes, read=_low, better="", means="lower limit of agreement (Bland-Altman), ml"),
    "high_ml": PooledMeasure(rows=_volumes, read=_high, better="", means="upper limit of agreement, ml"),
})  # fmt: skip
"""Name -> measure."""
