"""Reports of scans: a table per set of classes, every class in the JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vision3d.errors import InvalidInputError
from vision3d.evaluation.vertex_report import VertexReport, write_vertex_report
from vision3d.evaluation.vertex_scores import VertexScores


def scores(wall: float, bed: float) -> VertexScores:
    return VertexScores(iou={1: wall, 4: bed}, accuracy={1: 1.0, 4: bed}, vertices=10, unlabelled=0.1)


def test_means_over_scenes_and_every_class(tmp_path: Path):
    report = VertexReport(
        thresholds={"opacity": 0.1}, sets={10: {"scene0000_00": scores(0.5, 0.1), "scene0062_00": scores(0.8, 0.6)}}
    )
    write_vertex_report(report, tmp_path)
    content = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    ten = content["sets"]["10"]
    # Scene means 0.3 and 0.7; accuracies 0.55 and 0.8.
    assert (ten["mIoU"], ten["mAcc"]) == pytest.approx((0.5, 0.675))
    assert ten["scenes"]["scene0000_00"]["classes"] == {
        "wall": {"IoU": 0.5, "accuracy": 1.0},
        "bed": {"IoU": 0.1, "accuracy": 0.1},
    }
    assert content["thresholds"] == {"opacity": 0.1}
    lines = (tmp_path / "evaluation.md").read_text(encoding="utf-8").splitlines()
    assert "| scene0062_00 | 2 | 70.0 | 80.0 |" in lines
    assert "| mean of scenes | | 50.0 | 67.5 |" in lines
    assert "Thresholds: opacity 0.1." in lines


@pytest.mark.parametrize("sets", [{}, {19: {}}])
def test_sets_without_scenes_are_refused(sets: dict):
    with pytest.raises(InvalidInputError, match="expected scored scenes"):
        VertexReport(thresholds={}, sets=sets)
