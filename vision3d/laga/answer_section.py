"""The part of a fit's page that shows what the scene answered: one picture per question."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from pathlib import Path

from vision3d.errors import RunFolderError
from vision3d.laga.query_run import Answer
from vision3d.reconstruction.report_page import LATER_MARK
from vlm_bridge.atomic_write import write_text_whole

_HEADING = "<h2>Asked in words</h2>"


def add_answers(page: Path, answers: Sequence[Answer], lead: str) -> None:
    """Put the answers into the page of a fit, before its views; answers that are there already are replaced.

    Raises:
        RunFolderError: the page is none that `fit_scene` wrote.
    """
    content = page.read_text(encoding="utf-8") if page.is_file() else ""
    if content.count(LATER_MARK) not in (1, 2):
        raise RunFolderError(f"{page}: expected the page of a finished fit, found another. Fit the scene again.")
    before, after = content.split(LATER_MARK)[0], content.split(LATER_MARK)[-1]
    figures = "".join(_figure(answer, page.parent) for answer in answers)
    section = f"{LATER_MARK}\n{_HEADING}\n<p>{html.escape(lead)}</p>\n{figures}\n{LATER_MARK}"
    write_text_whole(page, before + section + after)


def _figure(answer: Answer, folder: Path) -> str:
    result = answer.result
    told = "not in this scene" if result.status == "not found" else f"{result.status}, relevance {result.relevance:.2f}"
    if result.chosen.any():
        told += f", {int(result.chosen.sum()):,} Gaussians"
    question = html.escape(result.question)
    source = html.escape(Path(os.path.relpath(answer.picture, folder)).as_posix())
    return (
        f"<figure><figcaption><strong>{question}</strong><span>{html.escape(told)}</span></figcaption>"
        f'<img src="{source}" alt="what was selected for {question}"></figure>'
    )
