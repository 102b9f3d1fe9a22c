"""Reports of an evaluation: JSON for machines and Markdown for people, down to every query, thresholds included."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision3d.errors import InvalidInputError
from vision3d.evaluation.scores import (
    PairScore,
    class_ious,
    localisation_accuracy,
    macro_mean,
    mean_class_iou,
    mean_iou,
    micro_mean,
    phrase_ious,
    share_above,
)
from vlm_bridge.atomic_write import write_text_whole

MEASURES: dict[str, Callable[[Sequence[PairScore]], float | None]] = {
    "mIoU": mean_iou,
    "Acc@0.25": lambda scores: share_above(scores, 0.25),
    "Acc@0.5": lambda scores: share_above(scores, 0.5),
    "localisation": localisation_accuracy,
    "class mIoU": mean_class_iou,
}
"""Name -> what it says of the pairs of a scene. `class mIoU` adds up intersections and unions over the views."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport:
    """The scores of all scenes of a benchmark, and what they were made with."""

    benchmark: str
    """e.g. LERF-OVS."""
    protocol: str
    """How phrases were answered, e.g. `3D: chosen Gaussians, rendered` or `2D: relevance per pixel`."""
    thresholds: Mapping[str, float]
    """Every threshold of the answers, the same for all scenes."""
    scenes: Mapping[str, Sequence[PairScore]]
    """Scene -> scores of its pairs."""

    def __post_init__(self) -> None:
        empty = [name for name, scores in self.scenes.items() if not scores]
        if empty or not self.scenes:
            raise InvalidInputError(
                f"EvaluationReport: expected scenes with scored pairs, found {len(self.scenes)} scenes, without pairs: "
                f"{empty}. Evaluate them first, or leave them out."
            )


def report_content(report: EvaluationReport) -> dict[str, Any]:
    """The report as plain dictionaries: means, then each scene with its phrases and pairs."""
    return {
        "benchmark": report.benchmark,
        "protocol": report.protocol,
        "thresholds": dict(report.thresholds),
        "pairs": sum(len(scores) for scores in report.scenes.values()),
        "macro": {name: macro_mean(report.scenes, measure) for name, measure in MEASURES.items()},
        "micro": {
            # The classes of two scenes are not the same things, so theirs has no meaning across scenes.
            name: None if measure is mean_class_iou else micro_mean(report.scenes, measure)
            for name, measure in MEASURES.items()
        },
        "scenes": {name: _scene_content(scores) for name, scores in report.scenes.items()},
    }


def report_text(report: EvaluationReport) -> str:
    """The report as Markdown, in per cent: scenes and both means, then every phrase."""
    content = report_content(report)
    given = ", ".join(f"{name} {value:g}" for name, value in report.thresholds.items()) or "none"
    rows = [[name, str(scene["pairs"]), *map(_percent, scene["scores"].values())] for name, scene in _scenes(content)]
    rows.append(["macro (mean of scenes)", "", *map(_percent, content["macro"].values())])
    rows.append(["micro (mean of pairs)", str(content["pairs"]), *map(_percent, content["micro"].values())])
    lines = [f"# {report.benchmark}", "", f"Protocol: {report.protocol}. Thresholds: {given}.", ""]
    lines += _table(["scene", "pairs", *MEASURES], rows)
    for name, scene in _scenes(content):
        phrases = [
            [phrase, str(values["views"]), _percent(values["mean IoU"]), _percent(values["class IoU"])]
            for phrase, values in scene["phrases"].items()
        ]
        lines += ["", f"## {name}", "", *_table(["phrase", "views", "mean IoU", "class IoU"], phrases)]
    return "\n".join(lines) + "\n"


def write_report(report: EvaluationReport, folder: str | Path) -> None:
    """Write `evaluation.json` and `evaluation.md` into `folder`."""
    text = json.dumps(report_content(report), indent=1, ensure_ascii=False)
    write_text_whole(Path(folder) / "evaluation.json", text + "\n")
    write_text_whole(Path(folder) / "evaluation.md", report_text(report))


def _scene_content(scores: Sequence[PairScore]) -> dict[str, Any]:
    means, totals = phrase_ious(scores), class_ious(scores)
    views = {phrase: sum(score.phrase == phrase for score in scores) for phrase in means}
    return {
        "pairs": len(scores),
        "scores": {name: measure(scores) for name, measure in MEASURES.items()},
        "phrases": {
            phrase: {"views": views[phrase], "mean IoU": means[phrase], "class IoU": totals[phrase]} for phrase in means
        },
        "queries": [
            {"view": score.view_name, "phrase": score.phrase, "iou": score.iou}
            | {"intersection": score.intersection, "union": score.union, "localised": score.localised}
            for score in scores
        ],
    }


def _scenes(content: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return list(content["scenes"].items())


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
