"""Reports hold every query, both means and all thresholds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vision3d.errors import InvalidInputError
from vision3d.evaluation.report import EvaluationReport, report_text, write_report
from vision3d.evaluation.scores import PairScore

SCENES = {
    "ramen": [
        PairScore(view_name="a", phrase="egg", intersection=9, union=10, localised=True),
        PairScore(view_name="b", phrase="egg", intersection=3, union=10, localised=False),
        PairScore(view_name="a", phrase="nori | dry", intersection=0, union=4, localised=True),
    ],
    "teatime": [PairScore(view_name="c", phrase="egg", intersection=1, union=2, localised=None)],
}
REPORT = EvaluationReport(
    benchmark="LERF-OVS", protocol="3D: chosen Gaussians, rendered", thresholds={"gaussian": 0.6, "cosine": 0.23},
    scenes=SCENES,
)  # fmt: skip


def test_json_holds_means_phrases_and_pairs(tmp_path: Path):
    write_report(REPORT, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert content["thresholds"] == {"gaussian": 0.6, "cosine": 0.23}
    assert (content["benchmark"], content["protocol"], content["pairs"]) == ("LERF-OVS", REPORT.protocol, 4)
    # ramen: 0.9, 0.3, 0; teatime: 0.5.
    assert content["macro"]["mIoU"] == pytest.approx((0.4 + 0.5) / 2)
    assert content["micro"]["mIoU"] == pytest.approx(1.7 / 4)
    assert content["macro"]["Acc@0.25"] == pytest.approx((2 / 3 + 1) / 2)
    assert content["micro"]["Acc@0.5"] == pytest.approx(1 / 4)
    assert content["macro"]["localisation"] == pytest.approx(2 / 3)
    # Total over the views: egg 12 of 20 and nori 0 of 4 in ramen, egg 1 of 2 in teatime.
    assert content["macro"]["class mIoU"] == pytest.approx((0.3 + 0.5) / 2)
    assert content["micro"]["class mIoU"] is None
    ramen = content["scenes"]["ramen"]
    assert ramen["phrases"]["egg"] == pytest.approx({"views": 2, "mean IoU": 0.6, "class IoU": 0.6})
    assert ramen["queries"][1] == {
        "view": "b", "phrase": "egg", "iou": 0.3, "intersection": 3, "union": 10, "localised": False,
    }  # fmt: skip
    assert content["scenes"]["teatime"]["scores"]["localisation"] is None


def test_markdown_shows_the_same_in_per_cent(tmp_path: Path):
    write_report(REPORT, tmp_path)
    text = (tmp_path / "evaluation.md").read_text(encoding="utf-8")
    assert text == report_text(REPORT)
    for line in (
        "Protocol: 3D: chosen Gaussians, rendered. Thresholds: gaussian 0.6, cosine 0.23.",
        "| scene | pairs | mIoU | Acc@0.25 | Acc@0.5 | localisation | class mIoU |",
        "| ramen | 3 | 40.0 | 66.7 | 33.3 | 66.7 | 30.0 |",
        "| teatime | 1 | 50.0 | 100.0 | 0.0 | - | 50.0 |",
        "| macro (mean of scenes) |  | 45.0 | 83.3 | 16.7 | 66.7 | 40.0 |",
        "| micro (mean of pairs) | 4 | 42.5 | 75.0 | 25.0 | 66.7 | - |",
        "| egg | 2 | 60.0 | 60.0 |",
        "| nori \\| dry | 1 | 0.0 | 0.0 |",
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize("scenes", [{}, {"ramen": SCENES["ramen"], "empty": []}])
def test_scenes_without_pairs_are_refused(scenes: dict):
    with pytest.raises(InvalidInputError, match="expected scenes with scored pairs"):
        EvaluationReport(benchmark="x", protocol="y", thresholds={}, scenes=scenes)
