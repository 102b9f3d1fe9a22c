"""The page of a fit: well-formed, self-contained, with every figure, and safe whatever the views are called."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.vision3d.reconstruction.known_scenes import ring_cameras
from vision3d.reconstruction.evaluate_views import ViewScore
from vision3d.reconstruction.fit_scene import FitReport
from vision3d.reconstruction.previews import ViewPictures
from vision3d.reconstruction.report_page import write_report_page

EVIL = "<b>\"view\" & 'co'</b>.png"
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Outline(HTMLParser):
    """Checks that tags nest, and gathers what a browser would fetch and show."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(page: str) -> Outline:
    """The page read as a browser reads it; every tag must be closed."""
    found = Outline()
    found.feed(page)
    found.close()
    assert not found.open
    return found


def _report(names: list[str], *, device: str = "cpu", name: str = "kitchen") -> FitReport:
    scores = tuple(ViewScore(name=name, psnr=21.5 + row, ssim=0.8) for row, name in enumerate(names))
    mean = sum(score.psnr for score in scores) / len(scores) if scores else float("nan")
    return FitReport(
        name=name,
        scene_path=Path("scene.ply"),
        gaussians=12_345,
        train_views=40,
        scores=scores,
        mean_psnr=mean,
        mean_ssim=0.8 if scores else float("nan"),
        seconds=61.4,
        peak_memory_gb=1.25,
        device=device,
        background=(0.0, 0.0, 0.0),
        antialiased=False,
    )


def _pictures(names: list[str]) -> list[ViewPictures]:
    return [ViewPictures(name=name, strip=Path(f"previews/view_{row:03d}.png")) for row, name in enumerate(names)]


def test_figures_and_pictures_are_there(tmp_path: Path) -> None:
    names = ["a.png", "b.png"]
    path = write_report_page(tmp_path, _report(names), _pictures(names), ring_cameras(side=64))
    assert path == tmp_path / "index.html"
    page = outline(path.read_text(encoding="utf-8"))
    assert page.seen[:2] == ["html", "head"]
    for figure in (
        "kitchen",
        "22.00 dB",
        "0.800",
        "12,345",
        "40 / 2",
        "64 x 64 px",
        "61 s on cpu",
        "1.2 GB",
        "21.50 dB",
        "22.50",
    ):
        assert figure in page.text, figure
    assert [image["src"] for image in page.images] == [
        "previews/orbit.webp", "previews/view_000.png", "previews/view_001.png",
    ]  # fmt: skip
    assert all(image["alt"] for image in page.images)


def test_names_are_shown_and_never_run(tmp_path: Path) -> None:
    report = _report([EVIL], device="<i>gpu</i>", name="<u>room</u>")
    path = write_report_page(tmp_path, report, _pictures([EVIL]), ring_cameras())
    page = outline(path.read_text(encoding="utf-8"))
    assert "b" not in page.seen
    assert "i" not in page.seen
    assert "u" not in page.seen
    assert "<u>room</u>" in page.text
    assert EVIL in page.text
    assert "<i>gpu</i>" in page.text
    assert page.images[1]["alt"] == f"photo, render, error and depth of {EVIL}"
    assert set(page.images[1]) == {"src", "alt"}


def test_nothing_is_fetched_from_elsewhere(tmp_path: Path) -> None:
    text = write_report_page(tmp_path, _report(["a.png"]), _pictures(["a.png"]), ring_cameras()).read_text()
    assert "://" not in text
    assert "<script" not in text


@pytest.mark.parametrize("shown", [[], ["a.png"]])
def test_without_held_out_views_it_says_so(tmp_path: Path, shown: list[str]) -> None:
    page = outline(write_report_page(tmp_path, _report([]), _pictures(shown), ring_cameras()).read_text())
    assert page.text.count("none held out") == 2
    assert "nan" not in page.text.lower()
    assert len(page.images) == 1 + len(shown)
