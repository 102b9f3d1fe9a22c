"""`transforms.json`: axes and lenses by hand, where photos and points are looked for, and every kind of damage."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.vision3d.cameras.small_scenes import (
    IDENTITY,
    frame,
    random_points,
    refused,
    rotations,
    write_photo,
    write_transforms,
)
from vision3d.cameras.point_cloud_files import write_point_cloud
from vision3d.cameras.posed_photos import PosedPhotos
from vision3d.cameras.transforms_json import read_transforms
from vision3d.errors import CameraFileError, ImageFileError


def one_view(folder: Path, values: dict[str, Any] | None = None, **shared: Any) -> PosedPhotos:
    """The scene of one photo `images/a.png` at the origin."""
    write_photo(folder / "images" / "a.png")
    return read_transforms(write_transforms(folder, [frame("images/a.png", **(values or {}))], **shared))


def pinhole(posed: PosedPhotos, row: int = 0) -> list[float]:
    matrix = posed.cameras.intrinsics[row]
    return [float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2])]


def test_opengl_axes_by_hand(tmp_path: Path) -> None:
    """An identity pose looks down -z with y up: (1, 2, -5) is 1 to the right, 2 above (y down: -2), 5 in front."""
    pose = one_view(tmp_path).cameras.world_to_camera[0]
    assert (pose @ torch.tensor([1.0, 2, -5, 1])).tolist() == [1, -2, 5, 1]


@given(seed=st.integers(0, 2**31))
def test_poses_are_inverted_with_two_axes_turned(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A point given in OpenGL camera axes and carried to the world by the file's pose comes back as (x, -y, -z)."""
    folder = tmp_path_factory.mktemp("scene")
    write_photo(folder / "a.png")
    camera_to_world = np.eye(4)
    camera_to_world[:3, :3] = rotations(1, seed)[0].numpy()
    camera_to_world[:3, 3] = np.random.default_rng(seed).normal(size=3)
    posed = read_transforms(write_transforms(folder, [frame("a.png", camera_to_world.tolist())]))
    world = torch.tensor(camera_to_world @ [0.5, 0.25, -2.0, 1.0], dtype=torch.float32)
    seen = posed.cameras.world_to_camera[0] @ world
    assert torch.allclose(seen, torch.tensor([0.5, -0.25, 2.0, 1.0]), atol=1e-5)


def test_a_matrix_of_three_rows_says_the_same(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png")
    pose = [[0.0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
    whole = read_transforms(write_transforms(tmp_path, [frame("a.png", pose)])).cameras.world_to_camera
    short = read_transforms(write_transforms(tmp_path, [frame("a.png", pose[:3])])).cameras.world_to_camera
    assert torch.equal(whole, short)


def test_views_are_sorted_by_name_each_with_its_own_pose(tmp_path: Path) -> None:
    frames = []
    for name, shift in (("b", 2.0), ("a", 1.0)):
        write_photo(tmp_path / "images" / f"{name}.png")
        frames.append(frame(f"images/{name}.png", [[1, 0, 0, shift], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    posed = read_transforms(write_transforms(tmp_path, frames))
    assert [path.name for path in posed.image_paths] == ["a.png", "b.png"]
    assert posed.cameras.camera_centres[:, 0].tolist() == [1, 2]
    assert posed.source == "transforms"


def test_shared_lens_by_hand(tmp_path: Path) -> None:
    shared = {"fl_x": 40, "fl_y": 41, "cx": 15, "cy": 11, "k1": 0.5, "k2": -0.25, "p1": 0.125, "p2": -1}
    posed = one_view(tmp_path, w=32.0, h=24.0, camera_model="OPENCV", **shared)
    assert pinhole(posed) == [40, 41, 15, 11]
    assert posed.distortion[0].tolist() == [0.5, -0.25, 0.125, -1]
    assert posed.cameras.uniform_size == (32, 24)


def test_a_frame_s_own_lens_wins(tmp_path: Path) -> None:
    posed = one_view(tmp_path, {"fl_x": 50, "fl_y": 51, "cx": 14, "k1": 0.5}, fl_x=40, w=32, h=24, cy=11)
    assert pinhole(posed) == [50, 51, 14, 11]
    assert posed.distortion[0].tolist() == [0.5, 0, 0, 0]


def test_one_focal_length_and_nothing_else_means_square_pixels_and_the_middle(tmp_path: Path) -> None:
    assert pinhole(one_view(tmp_path, fl_x=40, w=32, h=24)) == [40, 40, 16, 12]


def test_angle_of_view_by_hand(tmp_path: Path) -> None:
    """A right angle across 32 pixels: 16 / tan 45° = 16."""
    posed = one_view(tmp_path, camera_angle_x=math.pi / 2, w=32, h=24)
    assert pinhole(posed) == pytest.approx([16, 16, 16, 12])


def test_both_angles_of_view_by_hand(tmp_path: Path) -> None:
    """Across 24 pixels, 2 atan(12 / 20): a focal length of 20."""
    angle_y = 2 * math.atan(12 / 20)
    posed = one_view(tmp_path, camera_angle_x=math.pi / 2, camera_angle_y=angle_y, w=32, h=24)
    assert pinhole(posed) == pytest.approx([16, 20, 16, 12])


def test_a_stated_focal_length_beats_an_angle(tmp_path: Path) -> None:
    assert pinhole(one_view(tmp_path, fl_x=40, camera_angle_x=0.1, camera_angle_y=0.1, w=32, h=24))[:2] == [40, 40]


def test_the_size_is_read_from_the_photo_where_the_file_says_none(tmp_path: Path) -> None:
    posed = one_view(tmp_path, camera_angle_x=math.pi / 2)
    assert posed.cameras.uniform_size == (32, 24)
    assert pinhole(posed) == pytest.approx([16, 16, 16, 12])


@pytest.mark.parametrize(
    ("stated", "stored"),
    [
        ("./images/a", "images/a.png"),
        ("images/a", "images/a.jpg"),
        ("images/v1.5", "images/v1.5.png"),
        ("images\\a.png", "images/a.png"),
    ],
    ids=["no suffix", "jpg", "a point in the name", "backslash"],
)
def test_photos_are_found_as_people_write_them(stated: str, stored: str, tmp_path: Path) -> None:
    photo = write_photo(tmp_path / stored)
    found = read_transforms(write_transforms(tmp_path, [frame(stated)])).image_paths
    assert [path.resolve() for path in found] == [photo.resolve()]


def test_points_named_by_the_file_win_over_those_beside_it(tmp_path: Path) -> None:
    named, beside = random_points(5, seed=1), random_points(6, seed=2)
    write_point_cloud(named, tmp_path / "cloud.ply")
    write_photo(tmp_path / "a.png")
    assert read_transforms(write_transforms(tmp_path, [frame("a.png")])).points is None
    write_point_cloud(beside, tmp_path / "points3D.ply")
    for points, shared in ((beside, {}), (named, {"ply_file_path": "cloud.ply"})):
        file = write_transforms(tmp_path, [frame("a.png")], fl_x=40, w=32, h=24, **shared)
        found = read_transforms(file).points
        assert found is not None
        assert torch.equal(found.positions, points.positions)


def split_scene(folder: Path, **lists: list[str]) -> tuple[str, ...]:
    """Stems of the held-out views among a, b, c."""
    for name in "abc":
        write_photo(folder / "images" / f"{name}.png")
    frames = [frame(f"images/{name}.png") for name in "abc"]
    posed = read_transforms(write_transforms(folder, frames, fl_x=40, w=32, h=24, **lists))
    assert set(posed.held_out) <= set(posed.cameras.names)
    return tuple(Path(name).stem for name in posed.held_out)


def test_the_file_s_own_split_is_kept(tmp_path: Path) -> None:
    assert split_scene(tmp_path) == ()
    assert split_scene(tmp_path, test_filenames=["./images/b.png"]) == ("b",)
    assert split_scene(tmp_path, test_filenames=["images/b.png"], val_filenames=["images/c.png"]) == ("b", "c")
    assert split_scene(tmp_path, train_filenames=["images/a.png"], val_filenames=["images/c.png"]) == ("b", "c")


def test_a_split_that_is_no_list_is_refused(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png")
    file = write_transforms(tmp_path, [frame("a.png")], fl_x=40, w=32, h=24, test_filenames="a.png")
    with refused(CameraFileError, str(file), "test_filenames"):
        read_transforms(file)


def test_views_are_called_the_same_in_every_resolution(tmp_path: Path) -> None:
    named = {"images/a.png": "a.png", "./images_2/a.png": "a.png", "images_2/left/a.png": "left/a.png"}
    for stated, name in named.items():
        write_photo(tmp_path / stated)
        assert read_transforms(write_transforms(tmp_path, [frame(stated)])).cameras.names == (name,)


def test_a_folder_with_one_file_of_another_name_is_read(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png")
    write_transforms(tmp_path, [frame("a.png")], "transforms_2.json")
    assert len(read_transforms(tmp_path).cameras) == 1
    write_transforms(tmp_path, [frame("a.png")], "transforms_4.json")
    with refused(CameraFileError, "transforms_2.json", "transforms_4.json"):
        read_transforms(tmp_path)
    write_transforms(tmp_path, [frame("a.png")])
    assert len(read_transforms(tmp_path).cameras) == 1


def test_missing_photos_are_said_in_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_photo(tmp_path / "images" / "a.png")
    frames = [frame(f"images/{name}.png") for name in ("gone", "a", "lost")]
    with caplog.at_level(logging.WARNING):
        posed = read_transforms(write_transforms(tmp_path, frames))
    assert len(posed.cameras) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    for part in ("2 of 3", "gone.png", "lost.png"):
        assert part in caplog.text


def pose_with(row: int, column: int, value: float) -> list[list[float]]:
    pose = [list(line) for line in IDENTITY]
    pose[row][column] = value
    return pose


@pytest.mark.parametrize(
    "pose",
    [
        None,
        "north",
        [[1, 0], [0, 1]],
        [[1, 0, 0, 0], [0, 1, 0], [0, 0, 1, 0]],
        pose_with(0, 0, math.nan),
        pose_with(1, 3, math.inf),
        np.zeros((4, 4)).tolist(),
        np.zeros((3, 4)).tolist(),
        pose_with(0, 0, -1.0),
        pose_with(0, 0, 2.0),
        pose_with(3, 0, 5.0),
    ],
    ids=["none", "word", "2x2", "ragged", "nan", "infinite", "zero", "zero 3x4", "mirror", "scaled", "last row"],
)
def test_a_pose_that_is_no_rigid_motion_is_refused_by_name(pose: Any, tmp_path: Path) -> None:
    write_photo(tmp_path / "good.png")
    write_photo(tmp_path / "bad.png")
    file = write_transforms(tmp_path, [frame("good.png"), frame("bad.png", pose)])
    with refused(CameraFileError, str(file), "bad.png"):
        read_transforms(file)


@pytest.mark.parametrize(
    "shared",
    [
        {"w": 32, "h": 24},
        {"fl_x": 0, "w": 32, "h": 24},
        {"fl_x": -40, "w": 32, "h": 24},
        {"fl_x": "wide", "w": 32, "h": 24},
        {"camera_angle_x": 0, "w": 32, "h": 24},
        {"camera_angle_x": 50, "w": 32, "h": 24},
        {"fl_x": 40, "w": -32, "h": 24},
        {"fl_x": 40, "w": 32, "h": 24, "k1": "strong"},
        {"fl_x": 40, "w": 32, "h": 24, "camera_model": "OPENCV_FISHEYE"},
        {"fl_x": 40, "w": 32, "h": 24, "is_fisheye": True},
        {"fl_x": 40, "w": 32, "h": 24, "k3": 0.1},
    ],
    ids=[
        "no focal length", "zero focal length", "negative focal length", "no number", "zero angle", "angle in degrees",
        "negative width", "distortion is a word", "fisheye", "fisheye flag", "k3",
    ],
)  # fmt: skip
def test_an_impossible_lens_is_refused(shared: dict[str, Any], tmp_path: Path) -> None:
    with refused(CameraFileError, "transforms.json", "a.png"):
        one_view(tmp_path, **shared)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{\n "fl_x": 40,\n "frames": [}\n', "line 3"),
        ('{"frames": [{"file_path": "a.p', "line 1"),
        ("", "line 1"),
        ("[]", "list"),
        ('{"fl_x": 40}', "frames"),
        ('{"frames": []}', "frames"),
        ('{"frames": {"a": 1}}', "frames"),
        ('{"fl_x": 40, "w": 32, "h": 24, "frames": [{"transform_matrix": 1}]}', "frame 0"),
        ('{"fl_x": 40, "w": 32, "h": 24, "frames": ["a.png"]}', "frame 0"),
    ],
    ids=[
        "syntax", "cut", "empty file", "no object", "no frames", "empty frames", "frames no list", "no file_path",
        "frame no object",
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused(text: str, named: str, tmp_path: Path) -> None:
    file = tmp_path / "transforms.json"
    file.write_text(text, encoding="utf-8")
    with refused(CameraFileError, str(file), named):
        read_transforms(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "transforms.json").write_bytes(b"\xff\xfe\x00\x81{}")
    with refused(CameraFileError, "transforms.json"):
        read_transforms(tmp_path)


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png")
    file = write_transforms(tmp_path, [frame("a.png")])
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert len(read_transforms(file).cameras) == 1


def test_no_photo_at_all_is_refused(tmp_path: Path) -> None:
    with refused(CameraFileError, "transforms.json", "a.png", "2 views"):
        read_transforms(write_transforms(tmp_path, [frame("a.png"), frame("b.png")]))


def test_the_same_frame_twice_is_refused(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png")
    with refused(CameraFileError, "transforms.json", "a.png"):
        read_transforms(write_transforms(tmp_path, [frame("a.png"), frame("./a.png")]))


def test_an_unreadable_photo_of_unknown_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no photo")
    file = write_transforms(tmp_path, [frame("a.png")], camera_angle_x=1.0)
    with refused(ImageFileError, "a.png"):
        read_transforms(file)


def test_a_missing_point_cloud_is_said_and_a_damaged_one_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_photo(tmp_path / "a.png")
    file = write_transforms(tmp_path, [frame("a.png")], fl_x=40, w=32, h=24, ply_file_path="cloud.ply")
    with caplog.at_level(logging.WARNING):
        assert read_transforms(file).points is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cloud.ply" in caplog.text
    (tmp_path / "cloud.ply").write_bytes(b"ply")
    with refused(CameraFileError, "cloud.ply"):
        read_transforms(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with refused(CameraFileError, "other.json"):
        read_transforms(tmp_path / "other.json")
