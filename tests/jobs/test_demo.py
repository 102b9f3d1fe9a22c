"""The demo: the embedded tabletop fitted, taken apart and asked, at a few steps."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from tests.vision3d.reconstruction.test_report_page import outline
from vision3d.demo import run_demo


def test_the_demo_writes_its_page_and_pictures(tmp_path: Path) -> None:
    report = run_demo(tmp_path / "demo", steps=30, phrases=("banana", "flux capacitor"))
    assert report.fit.gaussians == 20_000
    assert report.fit.train_views == report.objects.train_views
    assert report.fit.train_views + len(report.fit.scores) == 48
    content = (tmp_path / "demo" / "index.html").read_text(encoding="utf-8")
    page = outline(content)
    for image in page.images:
        assert image["src"] is not None
        assert (tmp_path / "demo" / image["src"]).is_file()
    shown = [image["src"] for image in page.images]
    assert [answer.picture.relative_to(tmp_path / "demo").as_posix() in shown for answer in report.answers] == [
        True
    ] * 2
    assert content.index("Asked in words") < content.index("Held-out views")
    _, unknown = report.answers
    assert unknown.result.unknown_words == ("flux", "capacitor")
    assert not unknown.result.chosen.any()
    assert "flux capacitor</strong><span>not in this scene" in content
    with Image.open(tmp_path / "demo" / "previews" / "view_000.png") as strip:
        assert strip.size == (4 * 256, 256)
    assert json.loads((tmp_path / "demo" / "config.json").read_text())["config"]["fit"]["steps"] == 30
