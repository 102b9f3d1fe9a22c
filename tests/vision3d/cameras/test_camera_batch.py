"""`CameraBatch`: names, sizes, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.vision3d.cameras.small_scenes import random_cameras, refused
from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError, UnknownViewError


def test_views_are_found_by_name_and_selected_in_the_order_asked() -> None:
    cameras = random_cameras(3)
    chosen = cameras.select(["2.png", "0.png"])
    assert chosen.names == ("2.png", "0.png")
    assert torch.equal(chosen.world_to_camera, cameras.world_to_camera[[2, 0]])
    assert torch.equal(chosen.intrinsics, cameras.intrinsics[[2, 0]])
    assert chosen.index_of("0.png") == 1
    assert len(cameras.select([])) == 0


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with refused(UnknownViewError, "'3.png'", "0.png, 1.png, 2.png"):
        random_cameras(3).index_of("3.png")


@given(seed=st.integers(0, 2**31))
def test_a_camera_sees_its_own_centre_at_its_origin(seed: int) -> None:
    cameras = random_cameras(4, seed=seed)
    centres = torch.cat([cameras.camera_centres, torch.ones(4, 1)], 1)
    seen = (cameras.world_to_camera @ centres[..., None])[:, :3, 0]
    assert seen.abs().max() < 1e-4  # float32 on coordinates up to about ten


def test_centre_by_hand() -> None:
    """A quarter turn about z and a shift of 1 along the camera's x: -Rᵀt = -(0, -1, 0)."""
    pose = torch.tensor([[0.0, -1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])[None]
    cameras = replace(random_cameras(1), world_to_camera=pose)
    assert cameras.camera_centres.tolist() == [[0.0, 1.0, 0.0]]


def test_resizing_multiplies_each_axis_by_its_own_factor() -> None:
    cameras = random_cameras(2)  # 32x24
    small = cameras.resized(16, 6)
    assert small.uniform_size == (16, 6)
    assert torch.equal(small.intrinsics[:, 0], cameras.intrinsics[:, 0] / 2)
    assert torch.equal(small.intrinsics[:, 1], cameras.intrinsics[:, 1] / 4)
    assert torch.equal(small.world_to_camera, cameras.world_to_camera)
    assert torch.equal(small.resized(32, 24).intrinsics, cameras.intrinsics)  # factors are powers of two


def test_resizing_to_nothing_is_refused() -> None:
    with refused(InvalidInputError, "0x10"):
        random_cameras(1).resized(0, 10)


def test_one_size_is_asked_for_where_sizes_differ_or_no_view_is_there() -> None:
    cameras = random_cameras(2)
    mixed = replace(cameras, image_sizes=torch.tensor([[32, 24], [24, 32]]))
    with refused(InvalidInputError, "(24, 32)", "(32, 24)"):
        _ = mixed.uniform_size
    with refused(InvalidInputError, "empty"):
        _ = cameras.select([]).uniform_size


def test_moving_to_a_device_keeps_every_number() -> None:
    cameras = random_cameras(2)
    moved = cameras.to("cpu")
    assert moved.device.type == "cpu"
    assert torch.equal(moved.world_to_camera, cameras.world_to_camera)


def test_names_must_be_unique() -> None:
    with refused(InvalidInputError, "'0.png'"):
        replace(random_cameras(2), names=("0.png", "0.png"))


@pytest.mark.parametrize("damage", ["nan", "infinite shift", "mirror", "scale", "zero"])
def test_a_pose_that_is_no_rigid_motion_is_refused_by_name(damage: str) -> None:
    cameras = random_cameras(3)
    poses = cameras.world_to_camera.clone()
    if damage == "nan":
        poses[1, 0, 0] = math.nan
    elif damage == "infinite shift":
        poses[1, 0, 3] = math.inf
    elif damage == "mirror":
        poses[1, 0, :3] *= -1
    else:
        poses[1, :3, :3] *= {"scale": 1.01, "zero": 0.0}[damage]
    with refused(InvalidInputError, "'1.png'", "1 views"):
        replace(cameras, world_to_camera=poses)


@pytest.mark.parametrize("value", [0.0, -40.0, math.nan])
def test_a_focal_length_must_be_positive(value: float) -> None:
    cameras = random_cameras(3)
    intrinsics = cameras.intrinsics.clone()
    intrinsics[2, 1, 1] = value
    with refused(InvalidInputError, "'2.png'"):
        replace(cameras, intrinsics=intrinsics)


def test_an_image_without_pixels_is_refused() -> None:
    with refused(InvalidInputError, "'0.png'"):
        replace(random_cameras(1), image_sizes=torch.tensor([[0, 24]]))


def test_every_field_holds_one_entry_per_name() -> None:
    cameras = random_cameras(2)
    with refused(InvalidInputError, "(3, 4, 4)", "(2, 4, 4)"):
        CameraBatch(
            world_to_camera=cameras.world_to_camera,
            intrinsics=cameras.intrinsics,
            image_sizes=cameras.image_sizes,
            names=("a", "b", "c"),
        )
