"""Ask the classes of ScanNet and label the Gaussians, which lie on the vertices of the scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.evaluation.evaluate_config import EvaluateConfig
from vision3d.evaluation.scannet import CLASS_NAMES, CLASS_SETS, VertexTruth, read_scannet
from vision3d.evaluation.vertex_report import VertexReport, vertex_report_content, vertex_report_text
from vision3d.evaluation.vertex_scores import labels_from_scores, score_vertices
from vision3d.laga.query_scene import SceneQueries, fused_scores

_NEAR_METRES = 0.05
"""Farthest a Gaussian may lie from its vertex."""


def evaluate_vertices(queries: SceneQueries, folder: Path, config: EvaluateConfig) -> tuple[dict[str, Any], str, str]:
    """Content and text of the report, and the scores in one line.

    A Gaussian takes the class with the highest weighted relevance of its object; a class that is not found labels
    nothing.

    Raises:
        InvalidInputError: the Gaussians do not lie on the vertices of the scan.
    """
    truth = read_scannet(folder)
    scene = queries.laga.scene
    _check_on_vertices(scene.means.detach().cpu(), truth)
    numbers = sorted({number for classes in CLASS_SETS.values() for number in classes})
    scores = {number: _class_scores(queries, CLASS_NAMES[number]) for number in numbers}
    kept = scene.opacities.detach().cpu().flatten() >= config.opacity_threshold
    sets = {}
    for count, classes in CLASS_SETS.items():
        found = labels_from_scores(torch.stack([scores[number] for number in classes]), classes)
        sets[count] = {truth.scene: score_vertices(found, truth.labels, classes, kept=kept)}
    found, uncertain = queries.found_relevances
    report = VertexReport(
        thresholds={"found": found, "uncertain": uncertain} | {"opacity": config.opacity_threshold}, sets=sets
    )
    means = ", ".join(f"{100 * sets[count][truth.scene].mean_iou:.1f} % of {count} classes" for count in sets)
    return vertex_report_content(report), vertex_report_text(report), f"mIoU {means}"


def _class_scores(queries: SceneQueries, name: str) -> Tensor:
    result = queries.text(name)
    if result.status == "not found":
        return torch.zeros(len(queries.laga.scene))
    return fused_scores(queries.laga, result.object_scores, queries.config)


def _check_on_vertices(means: Tensor, truth: VertexTruth) -> None:
    if len(means) != len(truth.positions):
        found = f"{len(means)} Gaussians"
    else:
        distance = float((means - truth.positions).norm(dim=1).max())
        if distance <= _NEAR_METRES:
            return
        found = f"one {distance:.2f} m away from its vertex"
    raise InvalidInputError(
        f"{truth.scene}: expected one Gaussian on each of the {len(truth.positions)} vertices, found {found}. "
        "Fit the scene from the vertices of the scan with positions held fixed and without densification."
    )
