"""`write_report_html`: a result on one page that holds all it needs: no script, no other file, no foreign address.

It prints on one A4 page for ordinary results (up to six findings and three slices).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from medseg.errors import InvalidInputError
from medseg.report.overlay import OverlayOptions, png_bytes
from medseg.report.panel import PanelStyle, draw_panel, paint_masks
from medseg.report.report_parts import answer_html, cards_html, escaped, facts_html, list_html, picture_tag, table_html
from medseg.report.result_words import grid_text, result_warnings, window_text, without_file_names
from medseg.report.slice_choice import SliceChoice, informative_slices
from medseg.report.slice_view import counting_text, display_mask, display_size, shown_slice
from medseg.study.result import RESEARCH_USE, SegmentationResult
from medseg.study.slice_plan import SlicePlan, plan_slices
from medseg.study.windows import IntensityWindow, choose_window
from vlm_bridge.atomic_write import write_text_whole

REPORT_SLICES = 6
"""Most slices in a report."""
_HASH_SHOWN = 16
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""The page may show the pictures it holds and nothing else: no script, no fetch, no form."""
_CROP_SIDE = 148
_CROP_ROOM = 1.5
"""Side of a finding's picture over the longer side of its box."""
_CROP_LEAST = 0.12
"""Least side of a finding's picture over that of the slice."""


def write_report_html(
    path: Path, result: SegmentationResult, options: OverlayOptions = OverlayOptions(slices=REPORT_SLICES)
) -> None:
    """Writes `report_html`, UTF-8. Equal results give equal bytes.

    Raises:
        InvalidInputError: the name does not end in .html, the window does not fit, or the voxels have other channels
            than grey or RGB.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise InvalidInputError(f"Report: expected a name in .html, found {path.suffix!r}. Rename it.")
    write_text_whole(path, report_html(result, options))


def report_html(result: SegmentationResult, options: OverlayOptions = OverlayOptions(slices=REPORT_SLICES)) -> str:
    """Question, answer, slices, findings with their quantities, how the result came about, and the research notice.

    Raises:
        InvalidInputError: the window does not fit, or the voxels have other channels than grey or RGB.
    """
    return _page([*_turn(result, options, "finding"), *_end(result)], _about(result))


def dialogue_html(
    results: Sequence[SegmentationResult], options: OverlayOptions = OverlayOptions(slices=REPORT_SLICES)
) -> str:
    """The turns of one dialogue on one page, oldest first; provenance is that of the last one.

    Raises:
        InvalidInputError: there is no turn, or one cannot be drawn, see `report_html`.
    """
    if not results:
        raise InvalidInputError("Report: expected at least one answer, found none. Ask first.")
    parts: list[str] = []
    for number, result in enumerate(results, 1):
        parts += [f"<h2>Question {number}</h2>", *_turn(result, options, f"turn-{number}-finding")]
    return _page([*parts, *_end(results[-1])], _about(results[-1]))


def _turn(result: SegmentationResult, options: OverlayOptions, anchor: str) -> list[str]:
    """What one question gave; `anchor` begins the names of its findings' cards."""
    volume = result.volume
    plan = plan_slices(volume, options.plane)
    window = choose_window(volume, result.question, options.window)
    choice = informative_slices(result, plan, most=options.slices)
    told = list(result_warnings(result))
    if choice.unseen:
        told.append(f"No slice shown here reaches finding {', '.join(str(number) for number in choice.unseen)}.")
    dashed = "dashed: uncertain" if any(finding.status == "uncertain" for finding in result.findings) else ""
    legend = (window_text(window, volume.unit), counting_text(volume, plan), dashed)
    under = " · ".join(words for words in legend if words)
    alone = " one" if len(choice.slices) == 1 else ""
    body = [
        '<section class="asked">',
        f'<p class="question" dir="auto">{escaped(result.question)}</p>',
        f'<p class="answer" dir="auto">{answer_html(result)}</p>',
        "</section>",
        list_html(told),
        f'<div class="seen{alone}"><section><h2>{"Slices" if plan.shape[0] > 1 else "Picture"}</h2>',
        _panels(result, plan, window, choice),
        f'<p class="window">{escaped(under)}</p></section>',
        '<section><h2>Findings</h2><div class="cards">',
        cards_html(result, _crops(result, plan, window, choice)),
        "</div></section></div>",
        "<h2>Measured in the masks</h2>",
        f'<div class="wide">{table_html(result)}</div>',
    ]
    return [
        part.replace('id="finding-', f'id="{anchor}-').replace('href="#finding-', f'href="#{anchor}-') for part in body
    ]


def _end(result: SegmentationResult) -> list[str]:
    return ["<h2>How it came about</h2>", facts_html(provenance_rows(result))]


def _page(parts: Sequence[str], about: str) -> str:
    style = resources.files("medseg.report").joinpath("report.css").read_text(encoding="utf-8")
    body = [
        f'<p class="banner">{escaped(RESEARCH_USE)}</p>',
        '<div class="page">',
        f'<header><h1>Segmentation report</h1><p class="about">{escaped(about)}</p></header>',
        *parts,
        f"<footer>{escaped(RESEARCH_USE)} Quantities are computed from the masks, diameters within one slice.</footer>",
        "</div>",
    ]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            "<title>Segmentation report</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            "<main>",
            *(part for part in body if part),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _about(result: SegmentationResult) -> str:
    return " · ".join(words for words in (grid_text(result.volume), _body_part(result)) if words)


def _panels(result: SegmentationResult, plan: SlicePlan, window: IntensityWindow, choice: SliceChoice) -> str:
    many = len(choice.slices)
    style = PanelStyle(side=720, text=24) if many == 1 else PanelStyle(side=480, text=22)
    figures = []
    for number in choice.slices:
        panel = draw_panel(result, plan, number, window, style)
        words = f"{panel.caption or 'the picture'} with the masks of the findings"
        caption = f"<figcaption>{escaped(panel.caption)}</figcaption>" if panel.caption else ""
        figures.append(f"<figure>{picture_tag(png_bytes(panel.image), words)}{caption}</figure>")
    kind = {1: "panels one", 2: "panels two", 4: "panels two"}.get(many, "panels")
    return f'<div class="{kind}">{"".join(figures)}</div>'


def _crops(
    result: SegmentationResult, plan: SlicePlan, window: IntensityWindow, choice: SliceChoice
) -> dict[int, bytes]:
    """For each finding with a mask: a square around it, of the slice where it is largest, with its mask alone."""
    size = display_size(plan, 640)
    crops = {}
    for finding, number in choice.largest.items():
        picture = Image.fromarray(shown_slice(result.volume, plan, number, window)).resize(size)
        held = result.findings[finding - 1]
        mask = display_mask(plan.pictures(held.mask)[number], size)
        rows, columns = np.nonzero(mask)
        middle = (int(columns.min() + columns.max() + 1) // 2, int(rows.min() + rows.max() + 1) // 2)
        longest = max(np.ptp(rows), np.ptp(columns)) + 1
        half = int(max(_CROP_ROOM * longest, _CROP_LEAST * max(size))) // 2 + 1
        painted = paint_masks(np.array(picture), {finding: (held, mask)}, PanelStyle())
        box = (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
        square = Image.fromarray(painted).crop(box).resize((_CROP_SIDE, _CROP_SIDE), Image.Resampling.BICUBIC)
        crops[finding] = png_bytes(square)
    return crops


def _body_part(result: SegmentationResult) -> str:
    part = result.volume.body_part
    return f"body part {part}" if part else ""


def provenance_rows(result: SegmentationResult) -> list[tuple[str, str]]:
    """How a result came about, names and values: model, preprocessing, thresholds, versions and hashes."""
    provenance, source = result.provenance, result.volume.source
    rows = [("Model", provenance.segmenter)]
    rows += [(name, without_file_names(text, source)) for name, text in sorted(provenance.preprocessing.items())]
    thresholds = ", ".join(f"{name} {value:g}" for name, value in sorted(provenance.thresholds.items()))
    versions = ", ".join(f"{name} {version}" for name, version in sorted(provenance.versions.items()))
    rows += [("Thresholds", thresholds or "none"), ("Versions", versions or "none")]
    rows += [("Weights sha256", _short(provenance.weights_sha256)), ("Input sha256", _short(provenance.input_sha256))]
    return rows


def _short(sha256: str) -> str:
    """The beginning of a hash; the JSON has all of it."""
    return f"{sha256[:_HASH_SHOWN]}..." if len(sha256) > _HASH_SHOWN else sha256 or "none"
