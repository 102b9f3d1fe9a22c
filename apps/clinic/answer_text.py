"""The dialogue, the cards of findings and the tables as HTML; whatever a person or a file says is escaped in it."""

from __future__ import annotations

from apps.clinic.dialogue import Dialogue
from medseg.report.report_page import provenance_rows
from medseg.report.report_parts import answer_html, colours, escaped, facts_html, list_html, number_tile, table_html
from medseg.report.result_words import STATUS_WORDS, axes_text, grid_text, result_warnings, size_text
from medseg.study.finding import Finding
from medseg.study.result import SegmentationResult

_SIGNS = {"found": "✓", "uncertain": "?", "not_found": "✕"}
_BEGIN = (
    "Nothing asked yet. Name what you look for, as “Where are the lungs?”, then go on with “the largest part of it”."
)


def study_html(dialogue: Dialogue) -> str:
    """What is open: its title, its grid, and what the reader noticed."""
    if dialogue.opened is None:
        return '<p class="study">No study is open.</p>'
    title = f"<strong>{escaped(dialogue.opened.title)}</strong>"
    if dialogue.study is None:
        words = f"{len(dialogue.opened.series)} series were found: choose one."
        return f'<p class="study">{title} {escaped(words)}</p>'
    about = [grid_text(dialogue.volume), dialogue.volume.body_part.lower()]
    words = " · ".join(word for word in about if word)
    notices = list_html(notice.text for notice in dialogue.study.notices)
    return f'<p class="study">{title} <span>{escaped(words)}</span></p>{notices}'


def dialogue_html(dialogue: Dialogue) -> str:
    """Questions and answers in their order, phrases in the colours of their masks."""
    if not dialogue.turns:
        return f'<p class="hint">{escaped(_BEGIN)}</p>'
    turns = [_turn(result, number, number == dialogue.shown) for number, result in enumerate(dialogue.turns)]
    return f'<ol class="turns">{"".join(turns)}</ol>'


def cards_html(dialogue: Dialogue) -> str:
    """One card for each finding of the shown answer."""
    result = dialogue.result
    if result is None:
        return ""
    if not result.findings:
        return '<p class="hint">This answer names no structure, so there is no mask.</p>'
    cards = [_card(found, number, result) for number, found in enumerate(result.findings, 1)]
    return f'<div class="cards">{"".join(cards)}</div>'


def quantities_html(dialogue: Dialogue) -> str:
    """What was measured in the masks of the shown answer."""
    result = dialogue.result
    if result is None or not result.findings:
        return '<p class="hint">Measurements appear with the first answer that has a mask.</p>'
    hint = "Computed from the masks. Diameters lie within one slice; slices are counted as in the files, from 0."
    return f'<div class="wide" tabindex="0" role="region" aria-label="Measurements">{table_html(result)}</div>' + (
        f'<p class="hint">{hint}</p>'
    )


def provenance_html(dialogue: Dialogue) -> str:
    """How the shown answer came about."""
    result = dialogue.result
    if result is None:
        return '<p class="hint">Model, thresholds, versions and hashes appear with the first answer.</p>'
    return facts_html([("Question", result.question), ("Series", dialogue.key), *provenance_rows(result)])


def told_html(texts: tuple[str, ...]) -> str:
    """Notices about files that were written; empty where there is none."""
    return list_html(texts)


def _turn(result: SegmentationResult, number: int, shown: bool) -> str:
    warnings = list(dict.fromkeys(result_warnings(result)))
    notes = ""
    if warnings:
        words = f"{len(warnings)} note{'s' if len(warnings) > 1 else ''} on this answer"
        notes = f"<details{' open' if shown else ''}><summary>{words}</summary>{list_html(warnings)}</details>"
    mark = '<span class="mark">shown</span>' if shown else ""
    return (
        f'<li class="turn{" shown" if shown else ""}">'
        f'<p class="asked"><span class="who">Question {number + 1}</span>{mark}'
        f'<span class="words" dir="auto">{escaped(result.question)}</span></p>'
        f'<p class="said" dir="auto">{answer_html(result, linked=shown)}</p>{notes}</li>'
    )


def _card(found: Finding, number: int, result: SegmentationResult) -> str:
    sizes = [size_text(found), axes_text(found.quantities) if found.mask.any() else ""]
    size = " · ".join(text for text in sizes if text)
    scales = _scale("presence", found.presence)
    if found.mask.any():
        scales += _scale("estimated overlap", found.quality)
    return (
        f'<article class="card {found.status}" id="finding-{number}" style="{colours(number)}">'
        f"<h3>{number_tile(number)} <bdi>{escaped(found.label)}</bdi>"
        f'<span class="status {found.status}">{_SIGNS[found.status]} {STATUS_WORDS[found.status]}</span></h3>'
        f"{f'<p class=size>{escaped(size)}</p>' if size else ''}{scales}"
        f'<p class="means">{escaped(_meaning(found, result))}</p></article>'
    )


def _meaning(found: Finding, result: SegmentationResult) -> str:
    gates = result.provenance.thresholds
    if found.status == "not_found":
        return f"Looked for and not found; kept from a presence of {100 * gates['presence_uncertain']:.0f} % on."
    if found.status == "uncertain":
        return "Something may be there, but not clearly. Look at the dashed mask before you trust it."
    return "The model is confident that it is there. Check the mask."


def _scale(name: str, value: float) -> str:
    """A share as words and a bar."""
    words = f"{100 * value:.0f} %"
    return (
        f'<div class="scale"><span>{name} {words}</span>'
        f'<span class="bar" aria-hidden="true"><i style="width:{100 * value:.0f}%"></i></span></div>'
    )
