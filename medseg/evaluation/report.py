"""`EvaluationReport`: the figures of an evaluation, over all questions and per set, kind, turn and wording."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from medseg.evaluation.figures import Bootstrap, Figure, mean_figure, mean_of_sets, pooled_figure
from medseg.evaluation.measures import MEASURES
from medseg.evaluation.pooled_measures import POOLED
from medseg.evaluation.turn_score import MODES, Mode, TurnScore
from medseg.inference.segmenter import SegmenterFacts

Figures = Mapping[str, Figure]
"""Name of the measure -> figure; measures that apply to no question are left out."""
ModeFigures = Mapping[Mode, Figures]

AXES: Mapping[str, Callable[[TurnScore], str]] = MappingProxyType({
    "set": lambda score: score.set,
    "kind": lambda score: score.kind,
    "turn": lambda score: str(score.turn),
    "wording": lambda score: score.wording,
})  # fmt: skip
"""By what questions are grouped -> the group of a question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """Time of questions in generated mode, from the question to masks on the input's grid."""

    mean: float
    """Seconds; NaN without questions."""
    median: float
    p95: float
    """95th percentile."""
    most: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluationReport:
    """What an evaluation found; every figure is a mean over patients of the means over their questions."""

    segmenter: SegmenterFacts
    """What was evaluated."""
    scores: tuple[TurnScore, ...] = field(repr=False)
    """Every question in every mode."""
    overall: ModeFigures
    """Over all questions, pooled measures (cIoU, AP50, ECE, ...) too."""
    mean_of_sets: ModeFigures
    """Mean over data sets, each of the same weight."""
    groups: Mapping[str, Mapping[str, ModeFigures]]
    """Axis -> group -> figures; those per set hold the pooled measures too."""
    seconds: Seconds
    """Of the questions."""
    worst: tuple[TurnScore, ...] = ()
    """Generated answers of lowest Dice over slots, and claims about what is not there, worst first."""
    slowest: tuple[TurnScore, ...] = ()
    """Questions that took longest, slowest first."""
    errors: tuple[TurnScore, ...] = ()
    """Questions that the segmenter failed to answer."""
    bootstrap: Bootstrap = Bootstrap()
    """How the intervals were drawn."""


def summarise(
    scores: Sequence[TurnScore],
    facts: SegmenterFacts,
    *,
    bootstrap: Bootstrap = Bootstrap(),
    listed: int = 10,
) -> EvaluationReport:
    """The report of scores; `listed` bounds the lists of the worst and the slowest questions."""
    generated = [score for score in scores if score.mode == "generated"]
    return EvaluationReport(
        segmenter=facts,
        scores=tuple(scores),
        overall=_by_mode(scores, bootstrap, pooled=True),
        mean_of_sets={
            mode: _means([score for score in scores if score.mode == mode], bootstrap, mean_of_sets) for mode in MODES
        },
        groups={
            axis: {
                name: _by_mode([score for score in scores if group_of(score) == name], bootstrap, pooled=axis == "set")
                for name in sorted({group_of(score) for score in scores}, key=_by_number)
            }
            for axis, group_of in AXES.items()
        },
        seconds=_seconds([score.seconds for score in generated]),
        worst=tuple(sorted((score for score in generated if _badness(score) > 0), key=_badness, reverse=True)[:listed]),
        slowest=tuple(sorted(generated, key=lambda score: -score.seconds)[:listed]),
        errors=tuple(score for score in scores if score.error),
        bootstrap=bootstrap,
    )


def _by_mode(scores: Sequence[TurnScore], bootstrap: Bootstrap, *, pooled: bool) -> dict[Mode, Figures]:
    figures: dict[Mode, Figures] = {}
    for mode in MODES:
        chosen = [score for score in scores if score.mode == mode]
        found = _means(chosen, bootstrap, mean_figure)
        if pooled and chosen:
            drawn = {name: pooled_figure(chosen, measure, bootstrap) for name, measure in POOLED.items()}
            found |= {name: figure for name, figure in drawn.items() if not np.isnan(figure.value)}
        figures[mode] = found
    return figures


def _means(
    scores: Sequence[TurnScore],
    bootstrap: Bootstrap,
    read: Callable[[Sequence[TurnScore], Callable[[TurnScore], float], Bootstrap], Figure],
) -> dict[str, Figure]:
    figures = {
        name: read(scores, measure.of, bootstrap)
        for name, measure in MEASURES.items()
        if measure.forced or not scores or scores[0].mode == "generated"
    }
    return {name: figure for name, figure in figures.items() if figure.patients}


def _badness(score: TurnScore) -> float:
    """1 minus Dice over slots; 1 for a mask of what is not there."""
    if score.references:
        return 1.0 - MEASURES["dice"].of(score)
    return float(bool(score.shown))


def _seconds(values: Sequence[float]) -> Seconds:
    if not values:
        nothing = float("nan")
        return Seconds(mean=nothing, median=nothing, p95=nothing, most=nothing)
    p50, p95 = np.percentile(values, (50, 95))
    return Seconds(mean=float(np.mean(values)), median=float(p50), p95=float(p95), most=max(values))


def _by_number(name: str) -> tuple[int, str]:
    """Turns in the order of numbers, all else by letters."""
    return (int(name), "") if name.isdigit() else (-1, name)
