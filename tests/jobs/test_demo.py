"""The demo: the embedded tabletop fitted and orbited, at a few steps."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from tests.vision3d.reconstruction.test_report_page import outline
from vision3d.demo import run_demo


def test_the_demo_writes_its_page_and_pictures(tmp_path: Path) -> None:
    report = run_demo(tmp_path / "demo", steps=30)
    assert report.gaussians == 20_000
    assert report.train_views + len(report.scores) == 48
    page = outline((tmp_path / "demo" / "index.html").read_text(encoding="utf-8"))
    for image in page.images:
        assert image["src"] is not None
        assert (tmp_path / "demo" / image["src"]).is_file()
    with Image.open(tmp_path / "demo" / "previews" / "view_000.png") as strip:
        assert strip.size == (4 * 256, 256)
    assert json.loads((tmp_path / "demo" / "config.json").read_text())["config"]["fit"]["steps"] == 30
