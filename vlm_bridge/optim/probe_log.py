"""Probes of Muon along a run: lines of a log, a table over steps, and what they come to."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from torch import nn

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim.muon_probe import MatrixProbe
from vlm_bridge.optim.parameter_roles import ParameterHints, sort_parameters
from vlm_bridge.runs.metrics_log import Metrics, append_metrics

PROBE_LOG_NAME = "muon_probe.jsonl"
_DEFAULT_COUNT = 4


def matrices_to_probe(
    model: nn.Module, patterns: Sequence[str], hints: ParameterHints = ParameterHints()
) -> tuple[str, ...]:
    """Names of matrices that learn and fit one of the patterns; without patterns four of them, first to last.

    Example:
        >>> matrices_to_probe(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), ["1.*"])
        ('1.weight',)

    Raises:
        InvalidInputError: none fits.
    """
    known = [one.name for one in sort_parameters(model, hints=hints) if one.role == "matrix"]
    chosen = [name for name in known if any(fnmatch(name, pattern) for pattern in patterns)]
    if not patterns:
        places = {round(number * (len(known) - 1) / max(_DEFAULT_COUNT - 1, 1)) for number in range(_DEFAULT_COUNT)}
        chosen = [known[place] for place in sorted(places)] if known else []
    if not chosen:
        raise InvalidInputError(
            f"Muon probe: expected patterns of names of matrices that learn, found {list(patterns)}, which fit none of "
            f"{len(known)} ({', '.join(known[:4])}, ...). Choose among them."
        )
    return tuple(chosen)


def log_probes(path: Path, step: int, probes: Sequence[MatrixProbe]) -> None:
    """Add one line for each matrix."""
    for one in probes:
        values = {
            "step": step,
            "matrix": one.name,
            "curvature_along_step": one.curvature_along_step,
            "largest_curvature": one.largest_curvature,
            "curvature_ratio": one.curvature_ratio,
            "norm_ratio": one.norm_ratio,
            "advantage": one.advantage,
            "rank": one.gradient.rank,
            "stable_rank": one.stable_rank,
            "muon_is_better": int(one.muon_is_better),
        }
        append_metrics(path, values)


def probe_steps_table(lines: Sequence[Metrics]) -> str:
    """J, L, their ratio, K and K / (J / L) of each matrix at each step."""
    head = "| step | matrix | J | L | J/L | K | K / (J/L) | stable rank |\n|---|---|---|---|---|---|---|---|"
    names = (
        "curvature_along_step", "largest_curvature", "curvature_ratio", "norm_ratio", "advantage", "stable_rank",
    )  # fmt: skip
    rows = [
        f"| {line['step']} | {line['matrix']} | {' | '.join(f'{float(line[name]):.3g}' for name in names)} |"
        for line in lines
    ]
    return "\n".join([head, *rows])


def probe_verdict(lines: Sequence[Metrics]) -> str:
    """One or two sentences: how often, and how far, Muon's step promised more than gradient descent's.

    Example:
        >>> line = {"step": 0, "matrix": "w", "curvature_along_step": 1.0, "advantage": 4.0, "muon_is_better": 1}
        >>> probe_verdict([line, line | {"step": 1, "advantage": 1.0}])
        'J/L <= K in 2 of 2 measurements; geometric mean of K / (J/L) 2.00: a step of Muon promises more than one of \
gradient descent.'
    """
    if not lines:
        return "Nothing was measured."
    convex = [line for line in lines if float(line["curvature_along_step"]) > 0]
    ratios = [float(line["advantage"]) for line in convex]
    ratios = [value for value in ratios if math.isfinite(value) and value > 0]
    concave = len(lines) - len(convex)
    aside = f" ({concave} left out, where the loss is concave along Muon's step)" if concave else ""
    if not ratios:
        return "The loss is concave along Muon's step wherever it was measured: the criterion says nothing here."
    better = sum(int(line["muon_is_better"]) for line in convex)
    mean = math.exp(statistics.fmean(math.log(value) for value in ratios))
    verdict = "more" if mean > 1 else "less"
    return (
        f"J/L <= K in {better} of {len(convex)} measurements{aside}; geometric mean of K / (J/L) {mean:.2f}: a step of "
        f"Muon promises {verdict} than one of gradient descent."
    )
