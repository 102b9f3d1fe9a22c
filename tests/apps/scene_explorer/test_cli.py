"""The command: what it opens, what it says, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="needs the extra `apps`")

import httpx

from apps.scene_explorer import cli, prepare_scene
from apps.scene_explorer.page import launch_page


def test_a_scene_is_served_at_the_address_that_is_printed(bare_file: Path, capsys, monkeypatch) -> None:
    seen = []

    def serve(page, **place):
        address = launch_page(page, **place)
        seen.append(httpx.get(address).text)
        monkeypatch.setattr(page, "block_thread", page.close)
        return address

    cli.explore(cli.Explore(scene=bare_file), serve=serve)
    said = capsys.readouterr().out
    assert "open http://127.0.0.1:" in said
    assert "Scene explorer" in seen[0]
    for elsewhere in ("fonts.googleapis", "cdnjs", "cdn.jsdelivr"):
        assert elsewhere not in seen[0]


def test_a_scene_that_is_not_there_is_told_in_a_line(tmp_path: Path, capsys) -> None:
    assert cli.main([str(tmp_path / "nowhere.ply")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "nowhere.ply" in error


def test_without_a_scene_the_embedded_one_is_prepared(tmp_path: Path, capsys, monkeypatch) -> None:
    prepared = []
    monkeypatch.setattr(prepare_scene, "find_prepared", lambda: None)
    monkeypatch.setattr(prepare_scene, "prepare_scene", lambda: prepared.append(1) or tmp_path / "made")
    assert cli.main([]) == 1  # nothing was really made
    assert prepared == [1]
    assert "a few minutes, once" in capsys.readouterr().out
