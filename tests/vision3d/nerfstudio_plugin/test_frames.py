"""Cameras and splats between nerfstudio's frame and ours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("nerfstudio", reason="needs nerfstudio: pip install 'vision3d-medseg[nerfstudio]'")

from nerfstudio.cameras.cameras import CameraType
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs

from tests.vision3d.laga.ball_files import HELD_OUT, BallFiles, write_ball_files
from tests.vision3d.laga.ball_scene import BallScene, make_ball_scene
from tests.vision3d.laga.moved_world import moved_cameras, some_similarity, without_ties
from vision3d.cameras.catalogue import read_posed_photos
from vision3d.errors import CameraFileError, InvalidInputError
from vision3d.nerfstudio_plugin.data_parser import Vision3dDataParserConfig
from vision3d.nerfstudio_plugin.frames import (
    applied_transform_of,
    camera_batch_of,
    in_training_frame,
    nerfstudio_cameras,
    nerfstudio_run_of,
    posed_photos_of,
    view_names_of,
)
from vision3d.rendering.render_views import render_views


@pytest.fixture(scope="module")
def balls() -> BallScene:
    return make_ball_scene(view_count=4)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> BallFiles:
    return write_ball_files(tmp_path_factory.mktemp("balls"))


def _outputs(balls: BallScene, **changes) -> DataparserOutputs:
    paths = [Path(f"photos/{name}.png") for name in balls.cameras.names]
    lens = torch.zeros(len(paths), 4)
    lens[:, 1] = 0.01
    return DataparserOutputs(image_filenames=paths, cameras=nerfstudio_cameras(balls.cameras, lens), **changes)


def test_cameras_come_back(balls: BallScene) -> None:
    there_and_back = camera_batch_of(nerfstudio_cameras(balls.cameras), balls.cameras.names)
    torch.testing.assert_close(there_and_back.world_to_camera, balls.cameras.world_to_camera, atol=1e-6, rtol=0)
    assert torch.equal(there_and_back.intrinsics, balls.cameras.intrinsics)
    assert there_and_back.uniform_size == balls.cameras.uniform_size


def test_nerfstudio_sees_a_ray_through_the_middle_where_we_do(balls: BallScene) -> None:
    width, height = balls.cameras.uniform_size
    middle = torch.tensor([[height / 2, width / 2]])
    rays = nerfstudio_cameras(balls.cameras).generate_rays(camera_indices=1, coords=middle)
    torch.testing.assert_close(rays.origins[0], balls.cameras.camera_centres[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(rays.directions[0], balls.cameras.world_to_camera[1, 2, :3], atol=1e-5, rtol=0)


def test_views_of_another_parser_keep_their_lens_and_are_named_by_their_photos(balls: BallScene) -> None:
    posed = posed_photos_of(_outputs(balls))
    assert posed.cameras.names == tuple(f"{name}.png" for name in balls.cameras.names)
    assert posed.distortion[0].tolist() == pytest.approx([0, 0.01, 0, 0])


def test_photos_of_one_name_are_told_apart_by_their_folders(balls: BallScene) -> None:
    outputs = replace(_outputs(balls), image_filenames=[Path(f"{row}/a.png") for row in range(4)])
    assert view_names_of(outputs) == ("0/a.png", "1/a.png", "2/a.png", "3/a.png")


def test_a_lens_without_a_model_is_refused(balls: BallScene) -> None:
    outputs = _outputs(balls)
    outputs.cameras.camera_type[:] = CameraType.FISHEYE.value
    with pytest.raises(InvalidInputError, match="Undistort the photos first"):
        posed_photos_of(outputs)


def test_moved_splats_look_the_same_to_moved_cameras(balls: BallScene) -> None:
    transform, scene = some_similarity(), without_ties(balls.scene)
    outputs = _outputs(balls, dataparser_transform=transform.float(), dataparser_scale=0.5)
    moved = in_training_frame(scene, outputs)
    before = render_views(scene, balls.cameras).alpha
    after = render_views(moved, moved_cameras(balls.cameras, transform, 0.5)).alpha
    assert float((before - after).abs().max()) < 2e-3
    assert in_training_frame(scene, _outputs(balls)) is scene


def test_our_parser_gives_what_our_reader_gives(files: BallFiles) -> None:
    parser = Vision3dDataParserConfig(data=files.data, test_every=4).setup()
    train, test = parser.get_dataparser_outputs("train"), parser.get_dataparser_outputs("val")
    names = [f"images/{name}" for name in HELD_OUT]
    found = posed_photos_of(test)
    assert [Path(name).name for name in found.cameras.names] == [Path(name).name for name in names]
    read = read_posed_photos(files.data)
    assert set(view_names_of(train)) | set(view_names_of(test)) == set(read.cameras.names)
    expected = read.cameras.select(found.cameras.names)
    torch.testing.assert_close(found.cameras.world_to_camera, expected.world_to_camera, atol=1e-6, rtol=0)
    assert train.dataparser_scale == 1.0
    assert torch.equal(train.dataparser_transform, torch.eye(4)[:3])


def test_a_run_folder_is_known_by_what_lies_in_it(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run/nerfstudio_models/step-000000001.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert nerfstudio_run_of(checkpoint) is None
    (tmp_path / "run/config.yml").touch()
    named = (tmp_path / "run", checkpoint.parent, checkpoint)
    assert [nerfstudio_run_of(path) for path in named] == [tmp_path / "run"] * 3


def test_splats_that_lie_in_a_run_folder_are_not_taken_for_its_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "nerfstudio_models").mkdir()
    (tmp_path / "config.yml").touch()
    assert nerfstudio_run_of(tmp_path / "scene.ply") is None
    assert nerfstudio_run_of(tmp_path / "export/splat.ply") is None


@pytest.mark.parametrize("found", [[[1, 0, 0], [0, 1, 0], [0, 0, 1]], "turned", [[1, "a"]]])
def test_a_damaged_applied_transform_is_refused(tmp_path: Path, found: object) -> None:
    (tmp_path / "transforms.json").write_text(json.dumps({"applied_transform": found}))
    with pytest.raises(CameraFileError, match="applied_transform"):
        applied_transform_of(tmp_path)


def test_old_data_sets_are_known_by_their_colmap_folder(tmp_path: Path) -> None:
    (tmp_path / "transforms.json").write_text("{}")
    assert torch.equal(applied_transform_of(tmp_path), torch.eye(4).double()[:3])
    (tmp_path / "colmap/sparse/0").mkdir(parents=True)
    # as nerfstudio has it: x and y change places, z is turned round
    assert applied_transform_of(tmp_path)[:, :3].tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, -1]]
