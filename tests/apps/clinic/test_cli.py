"""The command: where it listens, what it says, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="needs the extra `apps`")

import httpx

from apps.clinic import cli
from apps.clinic.page import BANNER, launch_page


def test_the_page_is_served_to_this_machine_alone(capsys, monkeypatch) -> None:
    seen, folders = [], []
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")

    def serve(page, **place):
        address = launch_page(page, **place)
        seen.append(httpx.get(address).text)
        folders.append(page.GRADIO_CACHE)
        monkeypatch.setattr(page, "block_thread", page.close)
        return address

    cli.serve_clinic(cli.Clinic(segmenter="classical"), serve=serve)
    said = capsys.readouterr().out
    assert f"{BANNER} Loading classical." in said
    assert "open http://127.0.0.1:" in said
    assert "Ask a study" in seen[0]
    assert Path(folders[0]).name.startswith("clinic_")
    assert not Path(folders[0]).exists()
    for elsewhere in ("fonts.googleapis", "cdnjs", "cdn.jsdelivr"):
        assert elsewhere not in seen[0]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [(["--segmenter", "oracle"], "'oracle'"), (["--segmenter", "classical", "--device", "cuda:0"], "cuda:0")],
)
def test_what_cannot_be_loaded_is_told_in_a_line(arguments: list[str], found: str, capsys) -> None:
    assert cli.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: Segmenter")
    assert found in error
