"""The embedded scene is made once and found again; here a shrunken one with a short fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.scene_explorer import prepare_scene as module
from apps.scene_explorer.prepare_scene import find_prepared, prepare_scene
from tests.jobs.small_tabletop import small_tabletop, snapshot, tiny_config
from vision3d.errors import RunFolderError
from vision3d.laga.train_config import TrainSceneConfig


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_tabletop(tmp_path_factory.mktemp("photos") / "tabletop", views=5)


def test_it_is_made_once_and_goes_on_where_it_was_cut(photos: Path, tmp_path: Path, monkeypatch) -> None:
    folder, settings = tmp_path / "kept", {"photos": photos, "fit": tiny_config(test_every=0)}
    monkeypatch.setattr(module, "train_scene", _cut)
    with pytest.raises(KeyboardInterrupt):
        prepare_scene(folder, **settings)
    assert (folder / "scene.ply").is_file()
    assert find_prepared([folder]) is None
    fitted = (folder / "scene.ply").read_bytes()
    monkeypatch.undo()
    train = TrainSceneConfig(device="cpu")
    assert prepare_scene(folder, **settings, train=train) == folder
    assert (folder / "scene.ply").read_bytes() == fitted
    assert find_prepared([tmp_path / "none", folder]) == folder
    before = snapshot(folder)
    prepare_scene(folder, **settings, train=train)
    assert snapshot(folder) == before


def test_a_folder_with_something_else_is_left_alone(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "scene.ply").write_text("mine")
    with pytest.raises(RunFolderError, match="expected an empty folder"):
        prepare_scene(tmp_path, photos=photos, fit=tiny_config())
    assert (tmp_path / "scene.ply").read_text() == "mine"


def _cut(*values, **settings) -> None:
    raise KeyboardInterrupt
