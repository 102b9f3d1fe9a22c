"""`Figure`: a mean over patients with the interval that other patients of the same kind would give (bootstrap).

Questions are averaged within a patient first, so a patient with many questions weighs as much as one with few.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medseg.evaluation.pooled_measures import PooledMeasure, Rows, as_table
from medseg.evaluation.turn_score import TurnScore

_QUANTILES = (2.5, 97.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """How intervals are drawn."""

    rounds: int = 1000
    """Samples of patients."""
    seed: int = 0
    """Of the random numbers; equal seeds give equal intervals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A mean and its 95 % interval."""

    value: float
    """NaN where nothing applies."""
    low: float
    """NaN with fewer than two patients."""
    high: float
    """Likewise."""
    patients: int
    """Over how many."""
    turns: int
    """Questions that they hold."""


def patient_means(scores: Sequence[TurnScore], of: Callable[[TurnScore], float]) -> dict[tuple[str, str], float]:
    """Set and patient -> mean over the questions that the measure applies to; other patients are left out."""
    values: dict[tuple[str, str], list[float]] = {}
    for score in scores:
        value = of(score)
        if not np.isnan(value):
            values.setdefault((score.set, score.patient), []).append(value)
    return {patient: float(np.mean(found)) for patient, found in values.items()}


def mean_figure(scores: Sequence[TurnScore], of: Callable[[TurnScore], float], bootstrap: Bootstrap) -> Figure:
    """Mean over patients of a measure, with its interval."""
    means = np.array(list(patient_means(scores, of).values()))
    turns = sum(not np.isnan(of(score)) for score in scores)
    value = float(means.mean()) if len(means) else float("nan")
    return _figure(value, resampled_means(means, bootstrap), len(means), turns)


def mean_of_sets(scores: Sequence[TurnScore], of: Callable[[TurnScore], float], bootstrap: Bootstrap) -> Figure:
    """Mean over data sets of their means over patients: each set weighs the same. Patients are drawn within sets."""
    values: dict[str, list[float]] = {}
    for (name, _), value in patient_means(scores, of).items():
        values.setdefault(name, []).append(value)
    sets = [np.array(found) for _, found in sorted(values.items())]
    if not sets:
        return Figure(value=float("nan"), low=float("nan"), high=float("nan"), patients=0, turns=0)
    drawn = [
        resampled_means(found, Bootstrap(rounds=bootstrap.rounds, seed=bootstrap.seed + place))
        if len(found) > 1
        else np.full(bootstrap.rounds, found[0])
        for place, found in enumerate(sets)
    ]
    patients = sum(len(found) for found in sets)
    turns = sum(not np.isnan(of(score)) for score in scores)
    rows = np.mean(drawn, axis=0) if patients > len(sets) else np.zeros(0)
    return _figure(float(np.mean([found.mean() for found in sets])), rows, patients, turns)


def pooled_figure(scores: Sequence[TurnScore], measure: PooledMeasure, bootstrap: Bootstrap) -> Figure:
    """A figure of a whole set of questions (cIoU, ECE, ...), with its interval over patients."""
    rows: dict[tuple[str, str], Rows] = {}
    for score in scores:
        rows.setdefault((score.set, score.patient), []).extend(measure.rows(score))
    patients = [as_table(found) for found in rows.values()]
    drawn = np.zeros(0)
    value = measure.of(scores)
    if len(patients) > 1 and not np.isnan(value):
        picks = np.random.default_rng(bootstrap.seed).integers(len(patients), size=(bootstrap.rounds, len(patients)))
        drawn = np.array([measure.read(np.concatenate([patients[place] for place in row])) for row in picks])
    return _figure(value, drawn, len(patients), len(scores))


def resampled_means(values: Float[ndarray, " patient"], bootstrap: Bootstrap) -> Float[ndarray, " round"]:
    """Means of samples drawn with replacement; empty with fewer than two values."""
    if len(values) < 2:
        return np.zeros(0)
    picks = np.random.default_rng(bootstrap.seed).integers(len(values), size=(bootstrap.rounds, len(values)))
    return values[picks].mean(axis=1)


def figure_to_json(figure: Figure) -> Mapping[str, float | int | None]:
    """Plain values, NaN as None."""
    ends = {name: getattr(figure, name) for name in ("value", "low", "high")}
    numbers = {name: None if np.isnan(value) else value for name, value in ends.items()}
    return {**numbers, "patients": figure.patients, "turns": figure.turns}


def _figure(value: float, drawn: Float[ndarray, " round"], patients: int, turns: int) -> Figure:
    known = drawn[~np.isnan(drawn)]
    low, high = np.percentile(known, _QUANTILES) if len(known) else (float("nan"), float("nan"))
    return Figure(value=value, low=float(low), high=float(high), patients=patients, turns=turns)
