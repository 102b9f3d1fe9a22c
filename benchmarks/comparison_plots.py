"""Plots of the comparisons of adapters and optimisers, from the values of their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def draw_scores(scores: Mapping[str, Sequence[float]], label: str, before: float, path: Path) -> None:
    """One row per way, best mean first: each start, their mean and standard deviation; the model before as a line."""
    names = sorted(scores, key=lambda name: np.mean(scores[name]))
    figure = Figure(figsize=(7, 0.8 + 0.32 * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(before, color="0.6", linestyle=":", label="before")
    for row, name in enumerate(names):
        values = np.asarray(scores[name])
        axes.plot(values, np.full(len(values), row), "o", color="0.7", markersize=4)
        axes.errorbar(values.mean(), row, xerr=values.std(ddof=1), fmt="o", color="C0", capsize=3)
    axes.set(xlabel=label, yticks=range(len(names)), yticklabels=names)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def draw_curves(
    curves: Mapping[str, np.ndarray], every: int, target: float, step_ms: Mapping[str, float], path: Path
) -> None:
    """Loss over steps and over processor time: each start, their mean, the target; `curves` are [start validation]."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    by_step, by_time = figure.subplots(1, 2, sharey=True)
    for number, (name, losses) in enumerate(curves.items()):
        steps = every * np.arange(1, losses.shape[1] + 1)
        for axes, along in ((by_step, steps), (by_time, steps * step_ms[name] / 1e3)):
            axes.plot(along, losses.T, color=f"C{number}", alpha=0.3, linewidth=0.8)
            axes.plot(along, losses.mean(0), color=f"C{number}", label=name)
    for axes, label in ((by_step, "steps"), (by_time, "seconds of one core, validation left out")):
        axes.axhline(target, color="0.6", linestyle=":")
        axes.set(xlabel=label)
        axes.grid(alpha=0.3)
    by_step.set(ylabel="validation loss of the words")
    by_step.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
