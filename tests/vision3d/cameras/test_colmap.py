"""COLMAP models: text and binary say the same, lenses and poses by hand, and every kind of damage."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vision3d.cameras.small_scenes import (
    binary_camera,
    gradient,
    posed_scene,
    random_cameras,
    random_points,
    refused,
    write_colmap_text,
    write_photo,
)
from vision3d.cameras.colmap import read_colmap, write_colmap_model
from vision3d.cameras.posed_photos import PosedPhotos
from vision3d.errors import CameraFileError, InvalidInputError

PINHOLE = "1 PINHOLE 32 24 40 41 15 11"
IMAGE = "1 1 0 0 0 0 0 0 1 a.png"


def text_scene(
    scene: Path, cameras: tuple[str, ...] = (PINHOLE,), images: tuple[str, ...] = (IMAGE, ""), points: tuple = ()
) -> Path:
    """A scene of one photo `a.png` with a text model in sparse/0."""
    write_photo(scene / "images" / "a.png")
    write_colmap_text(scene / "sparse" / "0", cameras, images, points)
    return scene


def written(scene: Path, *, binary: bool, seed: int = 0, points: int = 20, count: int = 3) -> PosedPhotos:
    """Random views, written as a model into `scene`."""
    distortion = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed)) * 0.1
    cloud = random_points(points, seed) if points else None
    posed = posed_scene(scene, random_cameras(count, seed=seed), distortion=distortion, points=cloud)
    write_colmap_model(scene / "sparse" / "0", posed, binary=binary)
    return posed


@given(seed=st.integers(0, 2**31), binary=st.booleans())
@settings(max_examples=20)
def test_reading_what_was_written(seed: int, binary: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    scene = tmp_path_factory.mktemp("scene")
    posed = written(scene, binary=binary, seed=seed)
    found = read_colmap(scene)
    assert found.source == "colmap"
    assert found.cameras.names == posed.cameras.names
    assert found.image_paths == posed.image_paths
    assert torch.equal(found.cameras.intrinsics, posed.cameras.intrinsics)
    assert torch.equal(found.cameras.image_sizes, posed.cameras.image_sizes)
    assert torch.equal(found.distortion, posed.distortion)
    # a rotation passes through a quaternion, so float32 rounding remains
    assert torch.allclose(found.cameras.world_to_camera, posed.cameras.world_to_camera, atol=1e-6)
    assert found.points is not None
    assert posed.points is not None
    assert torch.equal(found.points.positions, posed.points.positions)
    assert torch.equal(found.points.colours, posed.points.colours)


def test_text_and_binary_read_alike(tmp_path: Path) -> None:
    for kind in ("text", "binary"):
        written(tmp_path / kind, binary=kind == "binary", seed=7)
    text, binary = read_colmap(tmp_path / "text"), read_colmap(tmp_path / "binary")
    assert torch.equal(text.cameras.world_to_camera, binary.cameras.world_to_camera)
    assert torch.equal(text.cameras.intrinsics, binary.cameras.intrinsics)
    assert torch.equal(text.distortion, binary.distortion)
    assert text.points is not None
    assert binary.points is not None
    assert torch.equal(text.points.positions, binary.points.positions)
    assert torch.equal(text.points.colours, binary.points.colours)


LENSES = [
    ("SIMPLE_PINHOLE", 0, [40, 15, 11], [40, 40, 15, 11], [0, 0, 0, 0]),
    ("PINHOLE", 1, [40, 41, 15, 11], [40, 41, 15, 11], [0, 0, 0, 0]),
    ("SIMPLE_RADIAL", 2, [40, 15, 11, 0.5], [40, 40, 15, 11], [0.5, 0, 0, 0]),
    ("RADIAL", 3, [40, 15, 11, 0.5, -0.25], [40, 40, 15, 11], [0.5, -0.25, 0, 0]),
    ("OPENCV", 4, [40, 41, 15, 11, 0.5, -0.25, 0.125, -1], [40, 41, 15, 11], [0.5, -0.25, 0.125, -1]),
]
"""Name, number, parameters in COLMAP's order; then fx, fy, cx, cy and k1, k2, p1, p2."""


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(("model", "number", "parameters", "pinhole", "distortion"), LENSES)
def test_each_lens_by_hand(
    model: str, number: int, parameters: list, pinhole: list, distortion: list, binary: bool, tmp_path: Path
) -> None:
    scene = text_scene(tmp_path, (f"1 {model} 32 24 {' '.join(map(str, parameters))}",))
    if binary:
        folder = scene / "sparse" / "0"
        (folder / "cameras.bin").write_bytes(binary_camera(number, parameters))
        pose = struct.pack("<QI7dI", 1, 1, 1, 0, 0, 0, 0, 0, 0, 1)
        (folder / "images.bin").write_bytes(pose + b"a.png\0" + struct.pack("<Q", 0))
    found = read_colmap(scene)
    fx, fy, cx, cy = pinhole
    assert found.cameras.intrinsics[0].tolist() == [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
    assert found.distortion[0].tolist() == distortion
    assert found.cameras.uniform_size == (32, 24)


def test_pose_by_hand(tmp_path: Path) -> None:
    """cos 45°, 0, 0, sin 45° turns by 90° about z, x to y; COLMAP states world to camera. Length 2 counts as 1."""
    half = 2 * 0.7071067811865476
    scene = text_scene(tmp_path, images=(f"1 {half} 0 0 {half} 1 2 3 1 a.png", ""))
    pose = read_colmap(scene).cameras.world_to_camera[0]
    expected = torch.tensor([[0.0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
    assert torch.allclose(pose, expected, atol=1e-7)


def test_two_dimensional_points_are_passed_over_and_their_line_may_be_empty(tmp_path: Path) -> None:
    """The images come back sorted by name; `b c.png` has a blank in it."""
    write_photo(tmp_path / "images" / "b c.png")
    images = ("7 1 0 0 0 0 0 5 1 b c.png", "", "3 1 0 0 0 0 0 4 1 a.png", "1.5 2.5 -1 3.5 4.5 1")
    found = read_colmap(text_scene(tmp_path, images=images))
    assert found.cameras.names == ("a.png", "b c.png")
    assert found.cameras.world_to_camera[:, 2, 3].tolist() == [4, 5]


def test_binary_tracks_and_two_dimensional_points_are_passed_over(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_photo(tmp_path / "images" / name)
    folder = tmp_path / "sparse"
    folder.mkdir()
    (folder / "cameras.bin").write_bytes(binary_camera(1, [40, 41, 15, 11]))
    content = struct.pack("<Q", 2)
    for row, name in enumerate((b"a.png", b"b.png"), 1):
        content += struct.pack("<I7dI", row, 1, 0, 0, 0, 0, 0, row, 1) + name + b"\0"
        content += struct.pack("<Q", row) + struct.pack("<ddq", 1.5, 2.5, -1) * row
    (folder / "images.bin").write_bytes(content)
    points = struct.pack("<Q", 2)
    for row in (1, 2):
        points += struct.pack("<Q3d3BdQ", row, row, 0, 0, 255, 51, 0, 0.7, row) + struct.pack("<ii", 1, 0) * row
    (folder / "points3D.bin").write_bytes(points)
    found = read_colmap(tmp_path)
    assert found.cameras.world_to_camera[:, 2, 3].tolist() == [1, 2]
    assert found.points is not None
    assert found.points.positions.tolist() == [[1, 0, 0], [2, 0, 0]]
    assert torch.allclose(found.points.colours, torch.tensor([[1.0, 0.2, 0], [1.0, 0.2, 0]]), atol=1e-7)


def test_points_by_hand_with_and_without_tracks(tmp_path: Path) -> None:
    found = read_colmap(text_scene(tmp_path, points=("1 1 2 3 255 51 0 0.5 1 0 2 4", "2 -1 0 4 0 0 102 0.5")))
    assert found.points is not None
    assert found.points.positions.tolist() == [[1, 2, 3], [-1, 0, 4]]
    assert torch.allclose(found.points.colours, torch.tensor([[1, 0.2, 0], [0, 0, 0.4]]), atol=1e-7)


@pytest.mark.parametrize("binary", [False, True])
def test_a_model_without_points_has_none(binary: bool, tmp_path: Path) -> None:
    written(tmp_path, binary=binary, points=0)
    assert read_colmap(tmp_path).points is None
    (tmp_path / "sparse" / "0" / f"points3D.{'bin' if binary else 'txt'}").unlink()
    assert read_colmap(tmp_path).points is None


@pytest.mark.parametrize("place", ["sparse/0", "sparse", "colmap/sparse/0", "."])
def test_the_model_is_found_in_its_usual_places(place: str, tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "images" / "a.png")
    folder = write_colmap_text(tmp_path / place, [PINHOLE], [IMAGE, ""])
    assert read_colmap(tmp_path).image_paths == (photo,)
    assert read_colmap(folder).image_paths == (photo,)  # the model given directly
    assert read_colmap(folder / "cameras.txt").image_paths == (photo,)


def test_a_reduced_model_takes_the_photos_of_its_own_size(tmp_path: Path) -> None:
    write_photo(tmp_path / "images" / "a.png")
    small = write_photo(tmp_path / "images_2" / "a.png")
    folder = write_colmap_text(tmp_path / "sparse_2" / "0", ["1 PINHOLE 32 24 40 41 15 11"], [IMAGE, ""])
    assert read_colmap(tmp_path).image_paths == (small,)
    assert read_colmap(folder).image_paths == (small,)


def test_of_several_photo_folders_the_one_of_the_cameras_size_is_taken(tmp_path: Path) -> None:
    write_photo(tmp_path / "images" / "a.png", gradient(64, 48))
    small = write_photo(tmp_path / "images_2" / "a.png", gradient(32, 24))
    folder = write_colmap_text(tmp_path / "sparse" / "0", [PINHOLE], [IMAGE, ""])
    assert read_colmap(tmp_path).image_paths == (small,)
    small.unlink()
    assert read_colmap(folder).image_paths == (tmp_path / "images" / "a.png",)


def test_one_missing_photo_is_said_once_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scene = text_scene(tmp_path, images=(IMAGE, "", "2 1 0 0 0 0 0 0 1 gone.png", ""))
    with caplog.at_level(logging.WARNING):
        assert read_colmap(scene).cameras.names == ("a.png",)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "gone.png" in caplog.text


@pytest.mark.parametrize("name", ["cameras", "images", "points3D"])
def test_a_binary_file_is_refused_at_every_cut(name: str, tmp_path: Path) -> None:
    written(tmp_path, binary=True, count=2, points=2)
    path = tmp_path / "sparse" / "0" / f"{name}.bin"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with refused(CameraFileError, f"{name}.bin"):
            read_colmap(tmp_path)


@pytest.mark.parametrize(
    ("cameras", "images", "named"),
    [
        (("1 OPENCV_FISHEYE 32 24 40 41 15 11 0 0 0 0",), (IMAGE, ""), "OPENCV_FISHEYE"),
        (("1 PINHOLE 32 24 40 41 15",), (IMAGE, ""), "PINHOLE"),
        (("1 PINHOLE 32",), (IMAGE, ""), "cameras.txt, line 2"),
        (("1 PINHOLE 32 24 40 x 15 11",), (IMAGE, ""), "cameras.txt, line 2"),
        ((PINHOLE,), ("1 1 0 0 0 0",), "images.txt, line 2"),
        ((PINHOLE,), (IMAGE, "", "2 1 0 0 0 0 0 0 1"), "images.txt, line 4"),
        ((PINHOLE,), (IMAGE, "2 1 0 0 0 0 0 0 1 b.png"), "images.txt, line 3"),
        ((PINHOLE,), ("1 1 0 0 0 0 0 0 9 a.png", ""), "'a.png'"),
        ((PINHOLE,), ("1 0 0 0 0 0 0 0 1 a.png", ""), "'a.png'"),
        ((PINHOLE,), ("1 nan 0 0 0 0 0 0 1 a.png", ""), "'a.png'"),
        ((PINHOLE,), (IMAGE, "", IMAGE, ""), "'a.png'"),
        (("1 PINHOLE 32 24 0 41 15 11",), (IMAGE, ""), "'a.png'"),
        (("1 PINHOLE 0 24 40 41 15 11",), (IMAGE, ""), "'a.png'"),
        ((PINHOLE,), (), "no"),
    ],
    ids=[
        "unknown lens", "missing parameter", "cut camera", "no number", "cut pose", "no image name",
        "points line left out", "no such camera", "zero quaternion", "nan pose", "image twice", "zero focal length",
        "no width", "no image",
    ],
)  # fmt: skip
def test_a_damaged_text_model_is_refused(
    cameras: tuple[str, ...], images: tuple[str, ...], named: str, tmp_path: Path
) -> None:
    with refused(CameraFileError, str(tmp_path / "sparse" / "0"), named):
        read_colmap(text_scene(tmp_path, cameras, images))


@pytest.mark.parametrize("line", ["1 1 2 3 255 51", "1 1 2 three 255 51 0 0.5"])
def test_a_damaged_point_is_refused(line: str, tmp_path: Path) -> None:
    with refused(CameraFileError, "points3D.txt, line 2"):
        read_colmap(text_scene(tmp_path, points=(line,)))


@pytest.mark.parametrize(("number", "name"), [(5, "OPENCV_FISHEYE"), (99, "99")])
def test_an_unknown_lens_number_is_refused(number: int, name: str, tmp_path: Path) -> None:
    written(tmp_path, binary=True)
    (tmp_path / "sparse" / "0" / "cameras.bin").write_bytes(binary_camera(number, [40] * 8))
    with refused(CameraFileError, "cameras.bin", name):
        read_colmap(tmp_path)


@pytest.mark.parametrize("suffix", ["txt", "bin"])
def test_a_model_without_its_images_table_is_refused(suffix: str, tmp_path: Path) -> None:
    written(tmp_path, binary=suffix == "bin")
    (tmp_path / "sparse" / "0" / f"images.{suffix}").unlink()
    with refused(CameraFileError, f"images.{suffix}"):
        read_colmap(tmp_path)


def test_no_model_and_no_photos_are_refused(tmp_path: Path) -> None:
    with refused(CameraFileError, str(tmp_path)):
        read_colmap(tmp_path)
    write_colmap_text(tmp_path / "sparse" / "0", [PINHOLE], [IMAGE, ""])
    with refused(CameraFileError, "a.png", "images"):
        read_colmap(tmp_path)


def test_writing_beside_a_model_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    posed = written(tmp_path, binary=True)
    with refused(InvalidInputError, "cameras.bin"):
        write_colmap_model(tmp_path / "sparse" / "0", posed, binary=False)


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full when the last of three files is written: none of them appears."""
    posed = posed_scene(tmp_path, random_cameras(2), points=random_points(3))
    write_bytes = Path.write_bytes

    def until_full(path: Path, data: bytes) -> int:
        if "points3D" in path.name:
            raise OSError(28, "No space left on device")
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", until_full)
    with pytest.raises(OSError, match="No space left"):
        write_colmap_model(tmp_path / "model", posed)
    assert list((tmp_path / "model").iterdir()) == []


def test_writing_over_a_file_is_refused(tmp_path: Path) -> None:
    posed = posed_scene(tmp_path, random_cameras(1))
    with refused(InvalidInputError, "0.png"):
        write_colmap_model(tmp_path / "images" / "0.png", posed)
