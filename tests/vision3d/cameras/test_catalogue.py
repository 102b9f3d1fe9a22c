"""Which camera format a path holds, and which one is read."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.vision3d.cameras.small_scenes import frame, refused, write_colmap_text, write_photo, write_transforms
from vision3d.cameras.catalogue import READERS, detect_formats, read_posed_photos
from vision3d.errors import CameraFileError, InvalidInputError

JSON_NAMES = {"transforms": "transforms.json", "blender": "transforms_train.json"}


def scene_of(folder: Path, *formats: str) -> Path:
    """One photo with cameras in each of `formats`."""
    write_photo(folder / "images" / "a.png")
    for camera_format in formats:
        if camera_format == "colmap":
            model = ["1 PINHOLE 32 24 40 40 16 12"], ["1 1 0 0 0 0 0 0 1 a.png", ""]
            write_colmap_text(folder / "sparse" / "0", *model)
        else:
            write_transforms(folder, [frame("images/a.png")], JSON_NAMES[camera_format])
    return folder


@pytest.mark.parametrize("camera_format", sorted(READERS))
def test_each_format_is_recognised_and_read(camera_format: str, tmp_path: Path) -> None:
    scene = scene_of(tmp_path, camera_format)
    assert detect_formats(scene) == (camera_format,)
    posed = read_posed_photos(scene)
    assert posed.source == camera_format
    assert posed.image_paths == (scene / "images" / "a.png",)


@pytest.mark.parametrize(
    ("camera_format", "file"),
    [
        ("transforms", "transforms.json"),
        ("blender", "transforms_train.json"),
        ("colmap", "sparse/0/cameras.txt"),
    ],
)
def test_a_file_is_recognised_by_its_name(camera_format: str, file: str, tmp_path: Path) -> None:
    path = scene_of(tmp_path, camera_format) / file
    assert detect_formats(path) == (camera_format,)
    assert read_posed_photos(path).source == camera_format


def test_of_several_formats_the_preferred_one_is_read_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = scene_of(tmp_path, "transforms", "colmap")
    assert detect_formats(scene) == ("transforms", "colmap")
    with caplog.at_level(logging.INFO):
        assert read_posed_photos(scene).source == "transforms"
    assert "colmap" in caplog.text
    assert "reading transforms" in caplog.text
    assert read_posed_photos(scene, camera_format="colmap").source == "colmap"


def test_transforms_go_before_a_blender_split(tmp_path: Path) -> None:
    scene = scene_of(tmp_path, "transforms", "blender")
    assert detect_formats(scene) == ("transforms",)
    assert read_posed_photos(scene, camera_format="blender").source == "blender"


def test_a_format_nobody_knows_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with refused(InvalidInputError, "'nerf'", *READERS):
        read_posed_photos(tmp_path, camera_format="nerf")


def test_nothing_there_is_refused_with_what_lies_there(tmp_path: Path) -> None:
    write_photo(tmp_path / "holiday.png")
    with refused(CameraFileError, str(tmp_path), "holiday.png"):
        read_posed_photos(tmp_path)
    with refused(CameraFileError, "holiday.png"):
        read_posed_photos(tmp_path / "holiday.png")
    with refused(CameraFileError, "gone"):
        read_posed_photos(tmp_path / "gone")


@pytest.mark.parametrize("camera_format", sorted(READERS))
def test_asking_for_a_format_that_is_not_there_is_refused(camera_format: str, tmp_path: Path) -> None:
    with refused(CameraFileError, str(tmp_path)):
        read_posed_photos(tmp_path, camera_format=camera_format)
