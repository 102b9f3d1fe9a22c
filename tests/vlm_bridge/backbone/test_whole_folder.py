"""Folders appear whole or not at all, and an old one stays until the new one stands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vlm_bridge.backbone.whole_folder import folder_written_whole
from vlm_bridge.errors import InvalidInputError


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_seen_before_the_end(tmp_path: Path) -> None:
    with folder_written_whole(tmp_path / "deep" / "model") as partial:
        (partial / "a").write_text("1")
        assert not (tmp_path / "deep" / "model").exists()
    assert _names(tmp_path / "deep") == ["model"]
    assert _names(tmp_path / "deep" / "model") == ["a"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def write() -> None:
        with folder_written_whole(tmp_path / "model") as partial:
            (partial / "a").write_text("1")
            raise error

    with pytest.raises(error):
        write()
    assert _names(tmp_path) == []


def test_a_failure_leaves_the_old_folder(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").write_text("1")
    with pytest.raises(ValueError, match="full"), folder_written_whole(tmp_path / "model", overwrite=True):
        raise ValueError("full")
    assert _names(tmp_path / "model") == ["old"]
    assert _names(tmp_path) == ["model"]


def test_a_failed_swap_brings_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").write_text("1")
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial") and Path(target).name == "model":
            raise OSError("the disk is gone")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="gone"), folder_written_whole(tmp_path / "model", overwrite=True) as partial:
        (partial / "new").write_text("2")
    assert _names(tmp_path / "model") == ["old"]
    assert _names(tmp_path) == ["model"]


def test_old_files_do_not_stay(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").write_text("1")
    with folder_written_whole(tmp_path / "model", overwrite=True) as partial:
        (partial / "new").write_text("2")
    assert _names(tmp_path / "model") == ["new"]
    assert _names(tmp_path) == ["model"]


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_who_may_read_the_folder_may_read_its_files(tmp_path: Path) -> None:
    with folder_written_whole(tmp_path / "model") as partial:
        (partial / "weights").write_text("1")
        (partial / "weights").chmod(0o600)
    readers = (tmp_path / "model").stat().st_mode & 0o444
    assert (tmp_path / "model" / "weights").stat().st_mode & 0o444 == readers
    assert not (tmp_path / "model" / "weights").stat().st_mode & 0o111, "no file is a program"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "model").write_text("mine")
    with (
        pytest.raises(InvalidInputError, match="a file"),
        folder_written_whole(tmp_path / "model", overwrite=overwrite),
    ):
        pass
    assert (tmp_path / "model").read_text() == "mine"
