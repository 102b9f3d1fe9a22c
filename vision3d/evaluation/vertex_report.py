"""Reports of labels on scans: JSON for machines and Markdown for people, per set of classes, scene and class."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision3d.errors import InvalidInputError
from vision3d.evaluation.scannet import CLASS_NAMES
from vision3d.evaluation.vertex_scores import VertexScores
from vlm_bridge.atomic_write import write_text_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class VertexReport:
    """The scores of scans, and what they were made with."""

    thresholds: Mapping[str, float]
    """Every threshold of the answers, the same for all scenes."""
    sets: Mapping[int, Mapping[str, VertexScores]]
    """Number of classes -> scene -> scores."""

    def __post_init__(self) -> None:
        empty = [count for count, scenes in self.sets.items() if not scenes]
        if empty or not self.sets:
            raise InvalidInputError(
                f"VertexReport: expected scored scenes in each set of classes, found {len(self.sets)} sets, without "
                f"scenes: {empty}. Score them first, or leave them out."
            )


def vertex_report_content(report: VertexReport) -> dict[str, Any]:
    """The report as plain dictionaries; means are over the scenes of a set, every scene alike."""
    return {
        "benchmark": "ScanNet",
        "thresholds": dict(report.thresholds),
        "sets": {
            str(count): {
                "mIoU": sum(scores.mean_iou for scores in scenes.values()) / len(scenes),
                "mAcc": sum(scores.mean_accuracy for scores in scenes.values()) / len(scenes),
                "scenes": {name: _scene_content(scores) for name, scores in scenes.items()},
            }
            for count, scenes in report.sets.items()
        },
    }


def vertex_report_text(report: VertexReport) -> str:
    """The report as Markdown, in per cent: a table per set of classes."""
    given = ", ".join(f"{name} {value:g}" for name, value in report.thresholds.items()) or "none"
    lines = ["# ScanNet", "", f"Thresholds: {given}."]
    for count, content in vertex_report_content(report)["sets"].items():
        lines += [
            "",
            f"## {count} classes",
            "",
            "| scene | classes present | mIoU | mAcc |",
            "| --- | --- | --- | --- |",
        ]
        for name, scene in content["scenes"].items():
            lines.append(
                f"| {name} | {len(scene['classes'])} | {100 * scene['mIoU']:.1f} | {100 * scene['mAcc']:.1f} |"
            )
        lines.append(f"| mean of scenes | | {100 * content['mIoU']:.1f} | {100 * content['mAcc']:.1f} |")
    return "\n".join(lines) + "\n"


def write_vertex_report(report: VertexReport, folder: str | Path) -> None:
    """Write `evaluation.json` and `evaluation.md` into `folder`."""
    text = json.dumps(vertex_report_content(report), indent=1, ensure_ascii=False)
    write_text_whole(Path(folder) / "evaluation.json", text + "\n")
    write_text_whole(Path(folder) / "evaluation.md", vertex_report_text(report))


def _scene_content(scores: VertexScores) -> dict[str, Any]:
    return {
        "mIoU": scores.mean_iou,
        "mAcc": scores.mean_accuracy,
        "vertices": scores.vertices,
        "unlabelled": scores.unlabelled,
        "classes": {
            CLASS_NAMES.get(number, str(number)): {"IoU": scores.iou[number], "accuracy": scores.accuracy[number]}
            for number in scores.iou
        },
    }
