"""Whether a score means what it says: expected calibration error, and the risk left when unsure answers go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def calibration_error(scores: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error: mean score against share right per bin of equal width, weighted by counts.

    0 is perfect, 1 the worst; NaN without scores. A score of exactly 1 belongs to the last bin.

    Example:
        >>> round(calibration_error([0.95, 0.95, 0.15, 0.15], [True, True, False, True]), 3)
        0.2
    """
    if not len(scores):
        return float("nan")
    said, true = np.asarray(scores, dtype=float), np.asarray(right, dtype=float)
    place = np.clip((said * bins).astype(int), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    gap = np.abs(np.bincount(place, said, bins) - np.bincount(place, true, bins))
    return float(gap.sum() / count.sum())


def risk_coverage(scores: Sequence[float], risks: Sequence[float]) -> tuple[Float[ndarray, " step"], ...]:
    """Coverage and mean risk of what is kept, when answers are kept from the highest score on; two arrays.

    Answers of equal score are kept or put aside together. `risks` are 0-1, as 1 - IoU.
    """
    if not len(scores):
        return np.zeros(0), np.zeros(0)
    said = np.asarray(scores, dtype=float)
    order = np.argsort(-said, kind="stable")
    kept = np.arange(1, len(said) + 1)
    mean = np.cumsum(np.asarray(risks, dtype=float)[order]) / kept
    last = np.append(np.diff(said[order]) != 0, True)
    return kept[last] / len(said), mean[last]


def risk_area(scores: Sequence[float], risks: Sequence[float]) -> float:
    """Area below risk over coverage (AURC), in steps: smaller is better; NaN without scores.

    Example:
        >>> round(risk_area([0.9, 0.1], [0.0, 1.0]), 3), round(risk_area([0.1, 0.9], [0.0, 1.0]), 3)
        (0.25, 0.75)
    """
    coverage, risk = risk_coverage(scores, risks)
    if not len(coverage):
        return float("nan")
    return float(np.sum(np.diff(coverage, prepend=0.0) * risk))
