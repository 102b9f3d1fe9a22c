"""From splats and photos on disk to one file beside the splats."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.jobs.small_tabletop import snapshot
from tests.vision3d.laga.ball_files import CONFIG, HELD_OUT, VIEWS, BallFiles, know_colours, write_ball_files
from tests.vision3d.laga.ball_scene import SIZE
from vision3d.cameras.split_views import split_views
from vision3d.errors import InvalidInputError, RunFolderError, SplatFileError, Vision3DError
from vision3d.laga.laga_scene import load_laga_scene
from vision3d.laga.train_scene import KEPT_FOLDER, train_scene


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BallFiles:
    know_colours(monkeypatch)
    return write_ball_files(tmp_path)


def test_the_file_lies_beside_the_splats_with_its_record(files: BallFiles) -> None:
    report = train_scene(files.run, files.data, config=CONFIG)
    laga = load_laga_scene(files.laga)
    assert report.path == files.laga
    # five things, one of three colours each; every fourth view of eight is held out
    assert report.objects_per_level == {"m": 5}
    assert report.train_views == VIEWS - len(HELD_OUT)
    assert sorted(laga.descriptors.vectors.argmax(1).unique().tolist()) == [0, 1, 2]
    assert (laga.encoder_name, laga.background, laga.antialiased) == ("colour words", (0.0, 0.0, 0.0), False)
    assert tuple(laga.facts["held_out"]) == split_views([f"view_{row:02}.png" for row in range(VIEWS)], every=4).test
    record = json.loads((files.run / "scene.laga.json").read_text())
    assert record["objects"] == {"m": 5}
    assert record["size"] == [SIZE, SIZE]
    assert record["masks_source"] == "colours 1"
    assert record["encoder_id"] == "colour words 1"
    assert list(record["seconds"]) == ["read", "masks", "features", "objects"]
    assert record["config"]["laga"]["lift"]["grouping"] == "mask_graph"


def test_the_look_of_the_fit_is_taken_over(files: BallFiles) -> None:
    look = {"background": [0.0, 0.25, 1.0], "antialiased": True}
    (files.run / "report.json").write_text(json.dumps(look))
    train_scene(files.run, files.data, config=CONFIG)
    laga = load_laga_scene(files.laga)
    assert (laga.background, laga.antialiased) == ((0.0, 0.25, 1.0), True)


def test_masks_and_features_are_found_again_and_give_the_same(
    files: BallFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_scene(files.run, files.data, config=CONFIG)
    first = load_laga_scene(files.laga)
    kept = snapshot(files.run / KEPT_FOLDER)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr("vision3d.laga.scene_masks.encode_views", refuse)
    monkeypatch.setattr("tests.vision3d.laga.ball_files.ColourProposer.propose", refuse)
    train_scene(files.run, files.data, config=CONFIG, overwrite=True)
    second = load_laga_scene(files.laga)
    assert torch.equal(second.gaussian_object, first.gaussian_object)
    assert torch.equal(second.descriptors.vectors, first.descriptors.vectors)
    assert torch.equal(second.descriptors.weights, first.descriptors.weights)
    assert second.facts == first.facts
    assert snapshot(files.run / KEPT_FOLDER) == kept


def test_other_photos_are_encoded_anew(files: BallFiles) -> None:
    train_scene(files.run, files.data, config=CONFIG)
    everything = replace(CONFIG, test_every=0)
    report = train_scene(files.run, files.data, config=everything, overwrite=True)
    assert report.train_views == VIEWS
    assert len(list((files.run / KEPT_FOLDER / "features").iterdir())) == 2


def test_bare_splats_go_to_another_folder_with_their_copy(files: BallFiles, tmp_path: Path) -> None:
    bare = tmp_path / "elsewhere" / "thing.ply"
    bare.parent.mkdir()
    bare.write_bytes((files.run / "scene.ply").read_bytes())
    out = tmp_path / "out"
    out.mkdir()
    report = train_scene(bare, files.data, out, config=CONFIG)
    assert report.path == out / "thing.laga.safetensors"
    assert (out / "thing.ply").read_bytes() == bare.read_bytes()
    assert [path.name for path in bare.parent.iterdir()] == ["thing.ply"]
    assert torch.equal(load_laga_scene(report.path).scene.means, report.laga.scene.means)


def test_a_finished_training_is_not_replaced_unasked(files: BallFiles) -> None:
    train_scene(files.run, files.data, config=CONFIG)
    before = snapshot(files.run)
    with pytest.raises(RunFolderError, match="pass --overwrite"):
        train_scene(files.run, files.data, config=CONFIG)
    assert snapshot(files.run) == before


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"masks": "crayons"}, InvalidInputError, "a maker of masks, found 'crayons'"),
        ({"test_every": 1}, InvalidInputError, "found 1"),
    ],
)
def test_settings_that_cannot_be_leave_nothing_behind(
    change: dict[str, object], kind: type[Vision3DError], message: str, files: BallFiles
) -> None:
    before = snapshot(files.run)
    with pytest.raises(kind, match=message):
        train_scene(files.run, files.data, config=replace(CONFIG, **change))
    assert snapshot(files.run) == before


def test_inputs_that_cannot_be_leave_nothing_behind(files: BallFiles, tmp_path: Path) -> None:
    before = snapshot(files.run)
    with pytest.raises(SplatFileError, match=r"found no file scene.ply"):
        train_scene(tmp_path, files.data, config=CONFIG)
    with pytest.raises(InvalidInputError, match=r"ends in .laga.safetensors"):
        train_scene(files.run, files.data, tmp_path / "scene.bin", config=CONFIG)
    stored = json.loads((files.run / "cameras.json").read_text())
    stored["views"][3]["world_to_camera"][0][3] += 0.5
    (files.run / "cameras.json").write_text(json.dumps(stored))
    with pytest.raises(InvalidInputError, match=r"found 1 elsewhere \(view_03.png\)"):
        train_scene(files.run, files.data, config=CONFIG)
    for view in stored["views"]:
        view["name"] = f"other_{view['name']}"
    (files.run / "cameras.json").write_text(json.dumps(stored))
    with pytest.raises(InvalidInputError, match="found none of them"):
        train_scene(files.run, files.data, config=CONFIG)
    assert snapshot(files.run) | {"cameras.json": b""} == before | {"cameras.json": b""}


def test_photos_without_masks_are_said_to_have_none(files: BallFiles) -> None:
    small = replace(CONFIG, laga=replace(CONFIG.laga, crops=replace(CONFIG.laga.crops, minimum_pixels=SIZE**2)))
    with pytest.raises(InvalidInputError, match="expected masks to take the scene apart by, found none"):
        train_scene(files.run, files.data, config=small)
    assert not files.laga.exists()
