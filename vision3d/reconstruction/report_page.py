"""The HTML page of a fit: figures, the orbit, and a strip per held-out view. One file, no scripts, nothing fetched."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.reconstruction.previews import ORBIT_NAME, ViewPictures
from vlm_bridge.atomic_write import write_text_whole

if TYPE_CHECKING:
    from vision3d.reconstruction.fit_scene import FitReport

PAGE_NAME = "index.html"
LATER_MARK = "<!-- what is made of the scene later -->"
"""Where sections of later steps are put in, before the views."""
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 0 auto; padding: 2rem 1rem; }
h1 { margin: 0 0 .25rem; } .lead { opacity: .75; margin: 0 0 1.5rem; }
.top { display: flex; gap: 1.5rem; flex-wrap: wrap; align-items: flex-start; }
.top img { border-radius: 12px; height: 340px; image-rendering: auto; }
dl { display: grid; grid-template-columns: auto auto; gap: .35rem 1.25rem; margin: 0; padding: 1rem 1.25rem;
  background: var(--soft); border-radius: 12px; }
dt { opacity: .75; } dd { margin: 0; font-variant-numeric: tabular-nums; text-align: right; font-weight: 600; }
figure { margin: 1.25rem 0 0; padding-top: 1rem; border-top: 1px solid var(--line); }
figure img { width: 100%; border-radius: 8px; display: block; }
figcaption { display: flex; justify-content: space-between; flex-wrap: wrap; gap: .25rem 1rem; margin-bottom: .5rem;
  font-variant-numeric: tabular-nums; }
code { background: var(--soft); padding: .1rem .35rem; border-radius: 5px; }
"""


def write_report_page(folder: Path, report: FitReport, pictures: Sequence[ViewPictures], cameras: CameraBatch) -> Path:
    """Write index.html beside the other results and return its path."""
    width, height = cameras.uniform_size
    scores = {score.name: score for score in report.scores}
    held_out = bool(report.scores)
    rows = [
        ("Held-out PSNR", _number(report.mean_psnr, "dB")),
        ("Held-out SSIM", _number(report.mean_ssim, "", 3)),
        ("Gaussians", f"{report.gaussians:,}"),
        ("Views fitted / held out", f"{report.train_views} / {len(report.scores)}"),
        ("Image size", f"{width} x {height} px"),
        ("Time", f"{report.seconds:.0f} s on {html.escape(report.device)}"),
        ("Peak memory", f"{report.peak_memory_gb:.1f} GB"),
    ]
    figures = []
    for picture in pictures:
        score = scores.get(picture.name)
        text = "" if score is None else f"{score.psnr:.2f} dB &nbsp; SSIM {score.ssim:.3f}"
        figures.append(
            f"<figure><figcaption><strong>{html.escape(picture.name)}</strong><span>{text}</span></figcaption>"
            f'<img src="{html.escape(picture.strip.as_posix())}" alt="photo, render, error and depth of '
            f'{html.escape(picture.name)}"></figure>'
        )
    name = html.escape(report.name)
    title = "Held-out views" if held_out else "Views"
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{name}: Gaussian scene</title><style>{_STYLE}</style></head><body>
<h1>{name}</h1>
<p class="lead">Gaussian scene fitted to {report.train_views} posed photos. The splats are in
<code>scene.ply</code>, the cameras in <code>cameras.json</code>, every figure in <code>report.json</code>.</p>
<div class="top"><img src="previews/{ORBIT_NAME}" alt="orbit around the scene">
<dl>{"".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in rows)}</dl></div>
{LATER_MARK}
<h2>{title}: photo, render, error (4x), depth</h2>
{"".join(figures)}
</body></html>
"""
    path = folder / PAGE_NAME
    write_text_whole(path, page)
    return path


def _number(value: float, unit: str, digits: int = 2) -> str:
    return "none held out" if math.isnan(value) else f"{value:.{digits}f} {unit}".strip()
