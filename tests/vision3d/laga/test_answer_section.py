"""Answers in the page of a fit: once, before the views, and only in such a page."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vision3d.errors import RunFolderError
from vision3d.laga.answer_section import add_answers
from vision3d.laga.query_run import Answer
from vision3d.laga.query_scene import QueryResult
from vision3d.reconstruction.report_page import LATER_MARK


def _answer(question: str, folder: Path, *, found: bool) -> Answer:
    result = QueryResult(
        question=question,
        status="found" if found else "not found",
        relevance=0.87 if found else 0.1,
        objects=torch.tensor([0] if found else [], dtype=torch.long).int(),
        object_scores=torch.tensor([0.8]),
        gaussian_scores=torch.ones(3),
        chosen=torch.tensor([found, found, False]),
    )
    return Answer(kind="text", result=result, pixels={}, picture=folder / "answers" / "01.png")


def test_later_answers_replace_earlier_ones_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    page.write_text(f"<h1>top</h1>{LATER_MARK}<h2>views</h2>", encoding="utf-8")
    add_answers(page, [_answer("red <mug>", tmp_path, found=True)], "First.")
    first = page.read_text(encoding="utf-8")
    assert "red &lt;mug&gt;" in first
    assert "found, relevance 0.87, 2 Gaussians" in first
    assert 'src="answers/01.png"' in first
    add_answers(page, [_answer("hat", tmp_path, found=False)], "Second.")
    second = page.read_text(encoding="utf-8")
    assert "mug" not in second
    assert "First." not in second
    assert "hat</strong><span>not in this scene</span>" in second
    assert second.startswith("<h1>top</h1>")
    assert second.endswith("<h2>views</h2>")


@pytest.mark.parametrize("content", [None, "<h1>another page</h1>"])
def test_another_page_is_refused(tmp_path: Path, content: str | None) -> None:
    page = tmp_path / "index.html"
    if content is not None:
        page.write_text(content, encoding="utf-8")
    with pytest.raises(RunFolderError, match="expected the page of a finished fit"):
        add_answers(page, [], "")
