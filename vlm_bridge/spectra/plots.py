"""Plots of a study of weight spectra; the one door to matplotlib."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from vlm_bridge.errors import MissingExtraError
from vlm_bridge.spectra.compare_matrix import MatrixSpectra
from vlm_bridge.spectra.compare_models import SpectraStudy, matrix_kind

_MOST_KINDS = 8
"""More lines in a plot cannot be told apart."""


def draw_plots(study: SpectraStudy, folder: Path) -> list[str]:
    """Write the plots to `folder`; names of the files, none where nothing changed.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # without pyplot: no window, no state of the process
    except ImportError as error:
        raise MissingExtraError(
            f"Spectra: expected the package matplotlib for plots, found none ({error}). "
            "Run: pip install 'vision3d-medseg[train]'"
        ) from error
    if not study.changed:
        return []
    drawn = {"singular_values.png": _draw_values, "overlaps.png": _draw_overlaps, "layers.png": _draw_layers}
    for name, draw in drawn.items():
        figure = Figure(figsize=(10, 4), layout="constrained")
        draw(study, figure)
        figure.savefig(folder / name, dpi=110)
    return list(drawn)


def _kinds(study: SpectraStudy) -> dict[str, list[MatrixSpectra]]:
    """Those that changed, by kind, with the most changed kinds first."""
    by_kind: dict[str, list[MatrixSpectra]] = defaultdict(list)
    for one in study.changed:
        by_kind[matrix_kind(one.name)[0]].append(one)
    order = sorted(by_kind, key=lambda kind: -max(one.relative_change for one in by_kind[kind]))
    return {kind: by_kind[kind] for kind in order[:_MOST_KINDS]}


def _draw_values(study: SpectraStudy, figure: Any) -> None:
    whole, ratio = figure.subplots(1, 2)
    for kind, found in _kinds(study).items():
        one = max(found, key=lambda matrix: matrix.relative_change)
        before, after = (values.numpy() for values in study.values[one.name])
        (line,) = whole.semilogy(before.clip(min=1e-12), label=_short(kind))
        whole.semilogy(after.clip(min=1e-12), "--", color=line.get_color())
        kept = before > 1e-6 * before[0]
        ratio.plot((after[kept] / before[kept]), color=line.get_color(), linewidth=1)
    whole.set(xlabel="place", ylabel="singular value", title="before (line) and after (dashes)")
    ratio.set(xlabel="place", ylabel="after / before", title="of the layer that changed most")
    whole.legend(fontsize=7)


def _draw_overlaps(study: SpectraStudy, figure: Any) -> None:
    for axes, side in zip(figure.subplots(1, 2, sharey=True), ("left", "right"), strict=True):
        for kind, found in _kinds(study).items():
            counts = [overlap.count for overlap in found[0].overlaps]
            means = [
                sum(getattr(one.overlaps[place], side) for one in found if len(one.overlaps) == len(counts))
                / sum(len(one.overlaps) == len(counts) for one in found)
                for place in range(len(counts))
            ]
            axes.plot(counts, means, "o-", label=_short(kind), markersize=3)
        axes.set(xlabel="leading directions", title=f"{side} directions", xscale="log", ylim=(0, 1.02))
        axes.set_xscale("log", base=2)
    figure.axes[0].set_ylabel("overlap before and after")
    figure.axes[0].legend(fontsize=7)


def _draw_layers(study: SpectraStudy, figure: Any) -> None:
    change, share = figure.subplots(1, 2)
    for kind, found in _kinds(study).items():
        places = [matrix_kind(one.name)[1] for one in found]
        change.plot(places, [one.relative_change for one in found], "o-", label=_short(kind), markersize=3)
        share.plot(places, [one.value_share for one in found], "o-", markersize=3)
    change.set(xlabel="layer", ylabel="norm of the change over norm before")
    share.set(xlabel="layer", ylabel="share of the change in singular values")
    change.legend(fontsize=7)


def _short(kind: str) -> str:
    return ".".join(kind.split(".")[-2:])
