"""`write_report`: the study of weight spectra as JSON, singular values, plots and a page to read."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save_file

from vlm_bridge.backbone.whole_folder import folder_written_whole
from vlm_bridge.spectra.compare_matrix import INTRUDER_COSINE, MatrixSpectra
from vlm_bridge.spectra.compare_models import SpectraStudy, matrix_kind
from vlm_bridge.spectra.plots import draw_plots

JSON_NAME, VALUES_NAME, REPORT_NAME = "spectra.json", "singular_values.safetensors", "report.md"


def write_report(study: SpectraStudy, folder: Path) -> Path:
    """Write the study to a new folder, whole or not at all; gives the page to read.

    `spectra.json` holds every number by matrix (null where it is none), `singular_values.safetensors` the values before
    and after, `report.md` tables and plots.

    Raises:
        InvalidInputError: the folder holds files.
        MissingExtraError: matplotlib is not installed.
    """
    with folder_written_whole(folder) as partial:
        plots = draw_plots(study, partial)
        document = {
            "base": study.base,
            "tuned": study.tuned,
            "top": study.top,
            "matrices": [asdict(one) for one in study.matrices],
            "control": [asdict(one) for one in study.control],
        }
        text = json.dumps(_finite(document), indent=1, allow_nan=False)
        (partial / JSON_NAME).write_text(text + "\n", encoding="utf-8")
        sides = {
            f"{name}.{side}": values[place].contiguous()
            for name, values in study.values.items()
            for place, side in enumerate(("before", "after"))
        }
        if sides:
            save_file(sides, partial / VALUES_NAME)
        (partial / REPORT_NAME).write_text(report_text(study, plots), encoding="utf-8")
    return folder / REPORT_NAME


def report_text(study: SpectraStudy, plots: Sequence[str] = ()) -> str:
    """The page in Markdown."""
    changed = study.changed
    lines = [
        "# Weight spectra before and after tuning",
        "",
        f"Base `{study.base}`, tuned `{study.tuned}`: {len(study.matrices)} matrices, {len(changed)} changed; leading "
        f"directions: {study.top}.",
        "",
        *_summary(study),
        *(f"![{Path(name).stem.replace('_', ' ')}]({name})\n" for name in plots),
    ]
    if changed:
        lines += ["## By kind of matrix", "", kinds_table(changed), "", "## Matrices that changed most", ""]
        lines += [_matrices_table(sorted(changed, key=lambda one: -one.relative_change)[:20]), ""]
    if study.control:
        lines += ["## Control: noise as large as the change", "", kinds_table(study.control), ""]
    return "\n".join([*lines, _EXPLAINED])


def kinds_table(matrices: Sequence[MatrixSpectra]) -> str:
    """Medians over the layers, by kind of matrix."""
    by_kind: dict[str, list[MatrixSpectra]] = defaultdict(list)
    for one in matrices:
        by_kind[matrix_kind(one.name)[0]].append(one)
    rows = []
    for kind, found in by_kind.items():
        last = [one.overlaps[-1] for one in found if one.overlaps]
        cells = [
            f"{_median([one.relative_change for one in found]):.2%}",
            f"{_median([one.value_share for one in found]):.1%}",
            f"{_median([one.leading_ratio for one in found]):.4f}",
            f"{_median([one.left for one in last]):.3f}",
            f"{_median([one.right for one in last]):.3f}",
            f"{_median([one.leading_energy / one.expected_energy for one in found]):.1f}",
            f"{_median([one.effective_rank for one in found]):.1f}",
            f"{sum(one.intruders for one in found)}",
        ]
        rows.append(f"| `{kind}` | {len(found)} | {' | '.join(cells)} |")
    head = (
        "| kind | matrices | change | of it values | leading values, ratio | left overlap | right overlap | energy in "
        "the leading block, times chance | effective rank of the change | intruders |"
    )
    return "\n".join([head, "|---" * 10 + "|", *rows])


def _matrices_table(matrices: Sequence[MatrixSpectra]) -> str:
    head = "| matrix | shape | change | of it values | largest left angle | effective rank | rank of 90 % |"
    rows = [
        f"| `{one.name}` | {one.shape[0]} x {one.shape[1]} | {one.relative_change:.2%} | {one.value_share:.1%} | "
        f"{one.overlaps[-1].left_angle:.0f}° | {one.effective_rank:.1f} | {one.rank_90} |"
        for one in matrices
    ]
    return "\n".join([head, "|---" * 7 + "|", *rows])


def _summary(study: SpectraStudy) -> list[str]:
    changed = study.changed
    if not changed:
        return ["Nothing changed.", ""]
    share, overlap = _median([one.value_share for one in changed]), _median([one.overlaps[-1].left for one in changed])
    ratio = _median([one.leading_ratio for one in changed])
    rank = _median([one.effective_rank / min(one.shape) for one in changed])
    moved = _median([one.relative_change for one in changed])
    return [
        f"In the median matrix tuning moved the weights by {moved:.2%} of their norm; changes of singular values alone "
        f"account for {share:.1%} of the squared change, turned directions for the rest. The leading singular values "
        f"became {ratio:.4f} times what they were, the leading left directions still span {overlap:.1%} of what they "
        f"did, and the effective rank of the change is {rank:.0%} of the largest possible.",
        "",
    ]


_EXPLAINED = f"""## What the columns mean

- *change*: norm of the difference over the norm before (Frobenius).
- *of it values*: the sum of squared differences of the sorted singular values over the squared norm of the difference.
  It is 100 % where directions stayed the same, and never more.
- *overlap*: mean squared cosine of the principal angles between the spaces of the leading directions before and after.
- *energy in the leading block*: share of the squared difference between leading left and leading right directions,
  over the share that a difference without preferred directions would have there.
- *effective rank*: exponential of the entropy of the singular values of the difference.
- *intruders*: leading left directions after tuning with no cosine above {INTRUDER_COSINE} to any before.
"""


def _median(values: Sequence[float]) -> float:
    kept = [value for value in values if not math.isnan(value)]
    return statistics.median(kept) if kept else math.nan


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
