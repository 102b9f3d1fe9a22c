"""`write_report`: `report.md` for people and `report.json` for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medseg.evaluation.figures import Figure, figure_to_json
from medseg.evaluation.measures import MEASURES
from medseg.evaluation.paired_comparison import Comparison
from medseg.evaluation.pooled_measures import POOLED
from medseg.evaluation.report import EvaluationReport, Figures, ModeFigures
from medseg.evaluation.turn_score import TurnScore
from medseg.study.result import RESEARCH_USE
from vlm_bridge.atomic_write import write_text_whole

_COLUMNS = ("dice", "giou", "failure", "t_acc", "n_acc", "phrase", "in_order", "seconds")
"""Of the tables per group, after the two Dice columns."""
_TITLES = {"set": "Per data set", "kind": "Per kind of question", "turn": "Per turn", "wording": "Per wording"}
_TEXT_MAX = 90
_INTRODUCTION = (
    "Figures are means over patients of the means over their questions, with 95 % intervals (bootstrap over patients). "
    "*Generated*: the segmenter's own words and masks, through the gates, its own answers as history. *Forced*: masks "
    "for the reference answer, given in words, with reference words and its own masks for them as history; published "
    "figures of comparable models are mostly of this kind, and it is the easier one."
)


def write_report(report: EvaluationReport, folder: Path) -> None:
    """Write `report.md` and `report.json` into the folder.

    Raises:
        OSError: the folder cannot be written.
    """
    write_text_whole(folder / "report.json", json.dumps(report_to_json(report), indent=1, ensure_ascii=False) + "\n")
    write_text_whole(folder / "report.md", report_markdown(report))


def report_to_json(report: EvaluationReport) -> dict[str, Any]:
    """The figures as plain values, NaN as None; the single questions are in the cases' file."""
    return {
        "notice": RESEARCH_USE,
        "segmenter": {
            "name": report.segmenter.name,
            "weights_sha256": report.segmenter.weights_sha256,
            "versions": dict(report.segmenter.versions),
        },
        "bootstrap": asdict(report.bootstrap),
        "questions": sum(score.mode == "generated" for score in report.scores),
        "overall": _modes_to_json(report.overall),
        "mean_of_sets": _modes_to_json(report.mean_of_sets),
        "groups": {
            axis: {name: _modes_to_json(figures) for name, figures in groups.items()}
            for axis, groups in report.groups.items()
        },
        "seconds": {name: None if math.isnan(value) else value for name, value in asdict(report.seconds).items()},
        "worst": [_line_to_json(score) for score in report.worst],
        "slowest": [_line_to_json(score) for score in report.slowest],
        "errors": [_line_to_json(score) for score in report.errors],
    }


def report_markdown(report: EvaluationReport) -> str:
    """The report as Markdown."""
    facts = report.segmenter
    questions = sum(score.mode == "generated" for score in report.scores)
    patients = len({(score.set, score.patient) for score in report.scores})
    weights = f", weights {facts.weights_sha256[:12]}" if facts.weights_sha256 else ""
    parts = [
        f"# Evaluation of {facts.name}",
        f"**{RESEARCH_USE}** {questions} questions about {patients} patients{weights}.",
        _INTRODUCTION,
        "## All questions",
        _overall_table(report),
        f"Seconds per question: mean {report.seconds.mean:.2f}, median {report.seconds.median:.2f}, 95th percentile "
        f"{report.seconds.p95:.2f}, most {report.seconds.most:.2f}.",
    ]
    for axis, groups in report.groups.items():
        parts += [f"## {_TITLES[axis]}", _group_table(axis, groups)]
    for title, scores in (("Worst answers", report.worst), ("Slowest questions", report.slowest)):
        parts += [f"## {title}", _question_table(scores)]
    if report.errors:
        parts += ["## Questions that were not answered", *(f"- `{one.case}`, turn {one.turn}: {one.error}" for one in
                                                          report.errors)]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def comparison_markdown(rows: Sequence[Comparison], first: str, second: str) -> str:
    """A comparison of two runs as Markdown."""
    lines = [
        f"# {first} against {second}",
        "",
        f"**{RESEARCH_USE}** Over the questions and patients that both have; Wilcoxon's signed ranks, two-sided, p "
        "corrected after Holm; difference with its 95 % interval (bootstrap over patients).",
        "",
        f"| measure | {first} | {second} | difference | p | p (Holm) | patients |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        gap = f"{_number(row.difference)} ({_number(row.low)} to {_number(row.high)})"
        lines.append(
            f"| {row.measure} | {_number(row.first)} | {_number(row.second)} | {gap} | {row.p:.2g} | "
            f"{row.p_holm:.2g} | {row.patients} |"
        )
    return "\n".join(lines) + "\n"


def _overall_table(report: EvaluationReport) -> str:
    lines = ["| measure | generated | forced | mean over sets, generated | what it says |", "|---|---|---|---|---|"]
    means = {**{name: one.means for name, one in MEASURES.items()}, **{name: one.means for name, one in POOLED.items()}}
    for name, words in means.items():
        generated, forced = report.overall["generated"].get(name), report.overall["forced"].get(name)
        if generated is None and forced is None:
            continue
        over_sets = report.mean_of_sets["generated"].get(name)
        lines.append(f"| {name} | {_figure(generated)} | {_figure(forced)} | {_figure(over_sets)} | {words} |")
    return "\n".join(lines)


def _group_table(axis: str, groups: Any) -> str:
    heads = [axis, "patients", "questions", "dice generated", "dice forced", *_COLUMNS[1:]]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name, figures in groups.items():
        generated: Figures = figures["generated"]
        size = generated.get("seconds")
        cells = [
            name,
            str(size.patients if size else 0),
            str(size.turns if size else 0),
            _figure(generated.get("dice")),
            _figure(figures["forced"].get("dice")),
            *(_short(generated.get(column)) for column in _COLUMNS[1:]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _question_table(scores: Sequence[TurnScore]) -> str:
    if not scores:
        return "None."
    lines = ["| case | turn | kind | dice | seconds | question | answer |", "|---|---|---|---|---|---|---|"]
    for score in scores:
        dice = _number(MEASURES["dice"].of(score))
        lines.append(
            f"| `{score.case}` | {score.turn} | {score.kind} | {dice} | {score.seconds:.2f} | "
            f"{_cell(score.question)} | {_cell(score.said)} |"
        )
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Text that stays within its cell."""
    plain = " ".join(text.split())
    cut = plain if len(plain) <= _TEXT_MAX else plain[: _TEXT_MAX - 1] + "…"
    return cut.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _figure(figure: Figure | None) -> str:
    if figure is None or math.isnan(figure.value):
        return "–"
    if math.isnan(figure.low):
        return _number(figure.value)
    return f"{_number(figure.value)} ({_number(figure.low)}–{_number(figure.high)})"


def _short(figure: Figure | None) -> str:
    return "–" if figure is None else _number(figure.value)


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _modes_to_json(figures: ModeFigures) -> dict[str, Any]:
    return {mode: {name: figure_to_json(one) for name, one in found.items()} for mode, found in figures.items()}


def _line_to_json(score: TurnScore) -> dict[str, Any]:
    dice = MEASURES["dice"].of(score)
    kept = ("case", "turn", "kind", "mode", "question", "expected", "said", "seconds", "error")
    return {**{name: getattr(score, name) for name in kept}, "dice": None if math.isnan(dice) else dice}
