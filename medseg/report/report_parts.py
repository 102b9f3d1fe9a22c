"""Parts of the report as HTML. Every text that came from outside goes through `escaped`, the one way into the page."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable

from medseg.report.result_words import STATUS_WORDS, axes_text, number_text, size_text, visible_text
from medseg.study.finding import Finding
from medseg.study.finding_colours import finding_colour
from medseg.study.result import SegmentationResult

_NONE = "–"
_COLUMNS = ("Volume", "Largest area", "Diameters", "In slice", "Parts", "At the border", "Mean ± SD", "Range")


def escaped(text: str) -> str:
    """Text as HTML, harmless in elements and in quoted attributes; what acts unseen is spelled out."""
    return html.escape(visible_text(text), quote=True)


def picture_tag(png: bytes, words: str) -> str:
    """A PNG inside the page, with `words` for those who do not see it."""
    return f'<img alt="{escaped(words)}" src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}">'


def answer_html(result: SegmentationResult, *, linked: bool = True) -> str:
    """The answer, its phrases in their findings' colours and, where `linked`, with links to their cards.

    Spans that lie outside the text or across an earlier one are left as plain text.
    """
    spans = [(finding.span, number, finding) for number, finding in enumerate(result.findings, 1) if finding.span]
    parts, done = [], 0
    for (start, stop), number, finding in sorted(spans, key=lambda row: (row[0], row[1])):
        if not done <= start < stop <= len(result.text):
            continue
        parts.append(escaped(result.text[done:start]))
        tag, link = ("a", f' href="#finding-{number}"') if linked else ("span", "")
        parts.append(
            f'<{tag} class="phrase {finding.status}" style="{colours(number)}"{link}>'
            f"{number_tile(number)}<bdi>{escaped(result.text[start:stop])}</bdi></{tag}>"
        )
        done = stop
    return "".join(parts) + escaped(result.text[done:])


def cards_html(result: SegmentationResult, crops: dict[int, bytes]) -> str:
    """One card per finding with its picture (PNG by number), whether it is there, how large and how sure."""
    cards = []
    for number, finding in enumerate(result.findings, 1):
        picture = picture_tag(crops[number], f"finding {number}, enlarged") if number in crops else ""
        size = size_text(finding)
        axes = axes_text(finding.quantities) if size else ""
        lines = [f'<p class="size">{escaped(size)}</p>' if size else "", _sure(finding)]
        if axes:
            lines.insert(1, f'<p class="sure">{escaped(axes)}</p>')
        cards.append(
            f'<article class="card {finding.status}" id="finding-{number}" style="{colours(number)}">{picture}<div>'
            f"<strong>{number_tile(number)} <bdi>{escaped(finding.label)}</bdi></strong>"
            f'<span class="status {finding.status}">{STATUS_WORDS[finding.status]}</span>{"".join(lines)}'
            "</div></article>"
        )
    return "\n".join(cards)


def table_html(result: SegmentationResult) -> str:
    """What was measured, one row per finding; columns that no finding fills are left out, other gaps are a dash."""
    measured = [_measured(finding) for finding in result.findings]
    names = [name for name in _COLUMNS if any(name in cells for cells in measured)]
    rows = []
    for number, (finding, cells) in enumerate(zip(result.findings, measured, strict=True), 1):
        columns = [f"{number_tile(number)} <bdi>{escaped(finding.label)}</bdi>", STATUS_WORDS[finding.status]]
        columns += [escaped(cells.get(name, _NONE)) for name in names]
        told = "".join(f"<td>{column}</td>" for column in columns)
        rows.append(f'<tr class="{finding.status}" style="{colours(number)}">{told}</tr>')
    head = "".join(f'<th scope="col">{escaped(word)}</th>' for word in ("Structure", "Status", *names))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def facts_html(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values, as a list of definitions."""
    items = [f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>" for name, value in rows]
    return f'<dl class="facts">{"".join(items)}</dl>'


def list_html(texts: Iterable[str]) -> str:
    """Sentences as a list of warnings; empty where there is none."""
    items = "".join(f"<li>{escaped(text)}</li>" for text in texts)
    return f'<ul class="warnings">{items}</ul>' if items else ""


def _measured(finding: Finding) -> dict[str, str]:
    """Columns of the table that have a value for this finding."""
    found = finding.quantities
    if found is None or not finding.mask.any():
        return {}
    unit = "" if found.unit in ("unknown", "8 bit", "16 bit") else f" {found.unit}"
    mean, spread = found.intensity_mean, found.intensity_std
    low, high = found.intensity_min, found.intensity_max
    cells = {
        "Volume": "" if found.volume_ml is None else f"{number_text(found.volume_ml)} ml",
        "Largest area": f"{found.area_pixels} px" if found.area_mm2 is None else f"{number_text(found.area_mm2)} mm²",
        "Diameters": axes_text(found),
        "In slice": f"{found.slice_axis} = {found.axis_slice}" if finding.mask.size > finding.mask[..., 0].size else "",
        "Parts": str(found.components),
        "At the border": "yes" if found.touches_border else "no",
        "Mean ± SD": "" if mean is None or spread is None else f"{number_text(mean)} ± {number_text(spread)}{unit}",
        "Range": "" if low is None or high is None else f"{number_text(low)} to {number_text(high)}{unit}",
    }
    return {name: cell for name, cell in cells.items() if cell}


def _sure(finding: Finding) -> str:
    words = f"presence {100 * finding.presence:.0f} %"
    if finding.mask.any():
        words += f", estimated IoU {finding.quality:.2f}"
    return f'<p class="sure">{words}</p>'


def number_tile(number: int) -> str:
    """A finding's number, on its colour."""
    return f'<span class="number">{number}</span>'


def colours(number: int) -> str:
    """A finding's colour and that of text upon it, as CSS variables."""
    colour = finding_colour(number)
    return f"--colour:{colour.hex};--on-colour:{'#000' if colour.dark_text else '#fff'}"
