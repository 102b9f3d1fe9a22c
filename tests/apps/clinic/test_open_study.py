"""Uploads: moved, listed, read, and refused without a trace."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from apps.clinic.dialogue import Dialogue
from apps.clinic.open_study import choose_series, open_upload, series_choices
from medseg.errors import InvalidInputError, MedSegError, SeriesChoiceError
from tests.medseg.made_series import PLANTED_WORDS


def _upload(brought: Path, folder: Path, *names: str) -> list[Path]:
    """Copies of what was brought, each in a folder of its own, as a browser's upload leaves them."""
    copies = []
    for number, name in enumerate(names):
        place = folder / f"upload_{number}"
        place.mkdir(parents=True, exist_ok=True)
        copies.append(Path(shutil.copy(brought / name, place)))
    return copies


@pytest.mark.parametrize(
    ("name", "shape", "unit"),
    [("ct.zip", (68, 48, 28), "HU"), ("ct.nii.gz", (68, 48, 28), "unknown"), ("dot.png", (80, 60, 1), "8 bit")],
)
def test_one_file_is_moved_and_read(brought: Path, tmp_path: Path, name: str, shape: tuple, unit: str) -> None:
    files = _upload(brought, tmp_path / "gradio", name)
    dialogue = open_upload(files, tmp_path)
    assert dialogue.volume.shape == shape
    assert dialogue.volume.unit == unit
    assert not files[0].exists()
    assert dialogue.opened is not None
    assert dialogue.opened.path.is_relative_to(tmp_path)
    assert dialogue.plan.shape[0] // 2 == dialogue.seen.number


def test_an_earlier_upload_is_removed_once_the_next_is_open(brought: Path, tmp_path: Path) -> None:
    first = open_upload(_upload(brought, tmp_path / "gradio", "ct.zip"), tmp_path)
    second = open_upload(_upload(brought, tmp_path / "gradio", "dot.png"), tmp_path)
    assert first.opened is not None
    assert second.opened is not None
    assert not first.opened.path.exists()
    assert second.opened.path.exists()


def test_the_files_of_a_folder_are_one_study_even_under_one_name(brought: Path, tmp_path: Path) -> None:
    files = []
    for number, path in enumerate(sorted((brought / "one").iterdir())):
        place = tmp_path / "gradio" / str(number) / "IM0001"
        place.parent.mkdir(parents=True)
        files.append(Path(shutil.copy(path, place)))
    assert open_upload(files, tmp_path).volume.shape == (68, 48, 28)


def test_of_several_series_one_is_chosen(brought: Path, tmp_path: Path) -> None:
    waiting = open_upload(_upload(brought, tmp_path / "gradio", "two.zip"), tmp_path)
    assert waiting.opened is not None
    assert waiting.study is None
    with pytest.raises(InvalidInputError, match="2 series and none chosen"):
        _ = waiting.volume
    choices = series_choices(waiting.opened)
    assert [words.split(", ")[1] for words, _ in choices] == ["68 x 48 x 28", "68 x 48 x 4"]
    assert not [word for word in PLANTED_WORDS if word in repr(choices)]
    assert choose_series(waiting, choices[1][1]).volume.shape == (68, 48, 4)
    with pytest.raises(SeriesChoiceError):
        choose_series(waiting, "another")
    with pytest.raises(InvalidInputError, match="found none"):
        choose_series(Dialogue(), choices[1][1])


@pytest.mark.parametrize("names", [("broken.nii.gz",), ("ct.zip", "dot.png"), ()])
def test_what_is_refused_leaves_no_file_and_removes_no_study(
    brought: Path, tmp_path: Path, names: tuple[str, ...]
) -> None:
    open_upload(_upload(brought, tmp_path / "gradio", "dot.png"), tmp_path)
    before = sorted(tmp_path.glob("study_*/*"))
    files = _upload(brought, tmp_path / "gradio", *names)
    with pytest.raises(MedSegError):
        open_upload(files, tmp_path)
    assert sorted(tmp_path.glob("study_*/*")) == before
    assert not [file for file in files if file.exists()]
