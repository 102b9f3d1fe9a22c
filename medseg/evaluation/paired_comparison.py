"""`compare_runs`: two runs over the same questions, patient by patient: Wilcoxon's signed ranks, Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import wilcoxon

from medseg.errors import InvalidInputError
from medseg.evaluation.figures import Bootstrap, patient_means, resampled_means
from medseg.evaluation.measures import MEASURES
from medseg.evaluation.turn_score import Mode, TurnScore

COMPARED = ("dice", "giou", "hd95_mm", "hd95_px", "nsd_mm", "nsd_px", "t_acc", "n_acc", "phrase", "in_order")
"""Measures that are compared by default, as far as they apply to both runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One measure of two runs, over the patients that both have."""

    measure: str
    """Its name."""
    first: float
    """Mean over patients of the first run."""
    second: float
    """Of the second run."""
    difference: float
    """First minus second."""
    low: float
    """Lower end of its 95 % interval (bootstrap over patients); NaN with fewer than two."""
    high: float
    """Upper end."""
    p: float
    """Two-sided, of Wilcoxon's test; 1 where no patient differs."""
    p_holm: float
    """Corrected for all measures that were compared."""
    patients: int
    """How many were paired."""


def compare_runs(
    first: Sequence[TurnScore],
    second: Sequence[TurnScore],
    *,
    mode: Mode = "generated",
    measures: Sequence[str] = COMPARED,
    bootstrap: Bootstrap = Bootstrap(),
) -> tuple[Comparison, ...]:
    """The measures that apply to both runs, each with its test. Only questions that both runs were asked count.

    Raises:
        InvalidInputError: the runs share no question, or a measure is unknown.
    """
    unknown = [name for name in measures if name not in MEASURES]
    if unknown:
        raise InvalidInputError(f"Comparison: expected measures of {', '.join(MEASURES)}, found {unknown[0]!r}.")
    ours, theirs = _of_mode(first, mode), _of_mode(second, mode)
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        raise InvalidInputError(
            f"Comparison: expected two runs over the same records, found no shared question among {len(ours)} and "
            f"{len(theirs)} ({mode}). Evaluate both on one file."
        )
    rows = []
    for name in measures:
        row = _compared(name, [ours[key] for key in shared], [theirs[key] for key in shared], bootstrap)
        if row is not None:
            rows.append(row)
    corrected = holm([row[-1] for row in rows])
    return tuple(
        Comparison(
            measure=name, first=mine, second=other, difference=mine - other, low=low, high=high, p=p, p_holm=fixed,
            patients=count,
        )
        for (name, mine, other, low, high, count, p), fixed in zip(rows, corrected, strict=True)
    )  # fmt: skip


def holm(values: Sequence[float]) -> list[float]:
    """p values corrected after Holm, in the order given.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected, largest = [0.0] * len(values), 0.0
    for rank, place in enumerate(np.argsort(values, kind="stable")):
        largest = max(largest, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = float(largest)
    return corrected


def _of_mode(scores: Sequence[TurnScore], mode: Mode) -> dict[tuple[str, int], TurnScore]:
    return {(score.case, score.turn): score for score in scores if score.mode == mode}


def _compared(
    name: str, ours: Sequence[TurnScore], theirs: Sequence[TurnScore], bootstrap: Bootstrap
) -> tuple[str, float, float, float, float, int, float] | None:
    """Name, both means, interval of the difference, patients, p; None where the measure applies to neither."""
    mine, other = patient_means(ours, MEASURES[name].of), patient_means(theirs, MEASURES[name].of)
    patients = sorted(mine.keys() & other.keys())
    if not patients:
        return None
    one = np.array([mine[patient] for patient in patients])
    two = np.array([other[patient] for patient in patients])
    gaps = one - two
    drawn = resampled_means(gaps, bootstrap)
    low, high = np.percentile(drawn, (2.5, 97.5)) if len(drawn) else (float("nan"), float("nan"))
    tested: Any = wilcoxon(one, two) if np.any(gaps != 0) else (0.0, 1.0)  # statistic and p
    p = float(tested[1])
    return name, float(one.mean()), float(two.mean()), float(low), float(high), len(patients), p
