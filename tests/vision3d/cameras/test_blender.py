"""NeRF-synthetic scenes: train and test views, alpha, focal length from the angle of view."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vision3d.cameras.small_scenes import frame, gradient, refused, write_photo, write_transforms
from vision3d.cameras.blender import read_blender
from vision3d.cameras.load_photos import load_photos
from vision3d.errors import CameraFileError


def blender_scene(folder: Path, *, test: bool = True) -> Path:
    """Two training views and one test view of the same number, transparent on the left."""
    pixels = np.dstack([gradient(), np.full((24, 32), 255, np.uint8)])
    pixels[:, :16, 3] = 0
    for name in ("train/r_0", "train/r_1", "test/r_0"):
        write_photo(folder / f"{name}.png", pixels)
    angle = 2 * math.atan(16 / 40)  # 32 pixels wide: a focal length of 40
    frames = [frame("./train/r_0"), frame("./train/r_1")]
    write_transforms(folder, frames, "transforms_train.json", camera_angle_x=angle)
    if test:
        write_transforms(folder, [frame("./test/r_0")], "transforms_test.json", camera_angle_x=angle)
    return folder


def test_the_test_file_is_held_out(tmp_path: Path) -> None:
    posed = read_blender(blender_scene(tmp_path))
    assert posed.cameras.names == ("test/r_0", "train/r_0", "train/r_1")
    assert posed.held_out == ("test/r_0",)
    assert posed.source == "blender"
    assert posed.points is None


def test_size_and_focal_length_by_hand(tmp_path: Path) -> None:
    posed = read_blender(blender_scene(tmp_path))
    expected = torch.tensor([[40.0, 0, 16], [0, 40, 12], [0, 0, 1]])
    assert torch.allclose(posed.cameras.intrinsics, expected.expand(3, 3, 3), atol=1e-5)
    assert posed.cameras.uniform_size == (32, 24)
    # an identity pose looks down -z
    assert (posed.cameras.world_to_camera[0] @ torch.tensor([0.0, 0, -3, 1])).tolist() == [0, 0, 3, 1]


def test_alpha_reaches_the_photos(tmp_path: Path) -> None:
    photos = load_photos(read_blender(blender_scene(tmp_path)))
    assert photos.alpha is not None
    assert (photos.alpha[:, :, :16] == 0).all()
    assert (photos.alpha[:, :, 16:] == 255).all()
    assert (photos.images[:, :, :16] == 255).all()  # white behind


def test_training_views_alone_are_enough_and_the_file_may_be_named(tmp_path: Path) -> None:
    scene = blender_scene(tmp_path, test=False)
    for path in (scene, scene / "transforms_train.json"):
        posed = read_blender(path)
        assert posed.cameras.names == ("train/r_0", "train/r_1")
        assert posed.held_out == ()


def test_a_scene_without_training_views_is_refused(tmp_path: Path) -> None:
    with refused(CameraFileError, "transforms_train.json"):
        read_blender(tmp_path)


@pytest.mark.parametrize("name", ["transforms_train.json", "transforms_test.json"])
@pytest.mark.parametrize("content", ['{"camera_angle_x": 1, "frames": []}', '{"camera_angle_x": 1', "[1]"])
def test_a_damaged_file_is_refused_by_name(name: str, content: str, tmp_path: Path) -> None:
    (blender_scene(tmp_path) / name).write_text(content, encoding="utf-8")
    with refused(CameraFileError, name):
        read_blender(tmp_path)
