"""Real scenes: the same cameras from every file, and points that have the colour of the pixels they fall on."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vision3d.cameras.small_scenes import refused
from vision3d.cameras.blender import read_blender
from vision3d.cameras.catalogue import detect_formats, read_posed_photos
from vision3d.cameras.colmap import read_colmap
from vision3d.cameras.load_photos import load_photos
from vision3d.cameras.point_cloud import PointCloud
from vision3d.cameras.posed_photos import Photos, PosedPhotos
from vision3d.cameras.transforms_json import read_transforms
from vision3d.errors import CameraFileError

CELL = 12
"""Side in pixels of the squares in which nearer points hide further ones."""


def spread_views(posed: PosedPhotos, count: int) -> PosedPhotos:
    """Every n-th view, so that `count` remain spread over the scene."""
    rows = list(range(0, len(posed.cameras), max(1, len(posed.cameras) // count)))[:count]
    return replace(
        posed,
        cameras=posed.cameras.select(posed.cameras.names[row] for row in rows),
        distortion=posed.distortion[rows],
        image_paths=tuple(posed.image_paths[row] for row in rows),
    )


def assert_same_views(one: PosedPhotos, other: PosedPhotos, *, factor: float = 1.0) -> None:
    """The same photos under the same poses and lenses; lengths in pixels of `one` are `factor` times the other's."""
    assert one.cameras.names == other.cameras.names
    # poses of a COLMAP text file carry ten digits, on coordinates up to about ten
    assert torch.allclose(one.cameras.world_to_camera, other.cameras.world_to_camera, atol=1e-4)
    scaled = other.cameras.intrinsics * torch.tensor([[factor], [factor], [1.0]])
    assert torch.allclose(one.cameras.intrinsics, scaled, rtol=1e-5, atol=1e-6)
    assert torch.equal(one.cameras.image_sizes, (other.cameras.image_sizes * factor).long())
    assert torch.allclose(one.distortion, other.distortion, atol=1e-7)


def colour_correlation(photos: Photos, points: PointCloud) -> float:
    """Correlation over all views between the colours of points and of the pixels they project to."""
    pairs = []
    ones = torch.ones(len(points), 1)
    width, height = photos.cameras.uniform_size
    for row in range(len(photos.cameras)):
        seen = (torch.cat([points.positions, ones], 1) @ photos.cameras.world_to_camera[row].T)[:, :3]
        pixels = (seen @ photos.cameras.intrinsics[row].T)[:, :2] / seen[:, 2:]
        inside = (seen[:, 2] > 0.1) & (pixels >= 0).all(1) & (pixels < torch.tensor([width, height])).all(1)
        column, line = pixels[inside].long().T
        cell = line // CELL * width + column // CELL
        nearest = torch.full((width * height,), torch.inf).scatter_reduce(0, cell, seen[inside, 2], "amin")
        front = seen[inside, 2] < 1.1 * nearest[cell]  # points further away than others nearby may be hidden
        colours = photos.images[row, line[front], column[front]] / 255.0
        pairs.append(torch.cat([points.colours[inside][front], colours], 1))
    every = torch.cat(pairs).double().numpy()
    assert len(every) > 1000
    return float(np.mean([np.corrcoef(every[:, band], every[:, band + 3])[0, 1] for band in range(3)]))


def test_fox_says_the_same_in_three_files(shared_data: Path, caplog: pytest.LogCaptureFixture) -> None:
    fox = shared_data / "scene_fox"
    half, model = read_transforms(fox / "transforms_2.json"), read_colmap(fox / "sparse_2" / "0")
    assert len(half.cameras) == 50
    assert_same_views(half, model)
    assert {path.parent.name for path in model.image_paths} == {"images_2"}
    with caplog.at_level(logging.WARNING):
        full = read_transforms(fox)  # lists 67 frames, 50 of them with a photo
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "17 of 67" in caplog.text
    assert_same_views(full, half, factor=2.0)


@pytest.mark.parametrize(
    ("scene", "file", "views"),
    [("scene_fern", "transforms.json", 20), ("scene_lund_door", "transforms_2.json", 12)],
)
def test_other_scenes_say_the_same_as_their_colmap_model(scene: str, file: str, views: int, shared_data: Path) -> None:
    folder = shared_data / scene
    assert detect_formats(folder) == ("transforms", "colmap")
    from_json = read_transforms(folder / file)
    model = read_posed_photos(folder, camera_format="colmap")
    assert len(model.cameras) == views
    assert_same_views(from_json, model)


@pytest.mark.parametrize("scene", ["scene_fox", "scene_fern", "scene_lund_door"])
def test_points_have_the_colour_of_the_pixels_they_fall_on(scene: str, shared_data: Path) -> None:
    posed = spread_views(read_posed_photos(shared_data / scene, camera_format="colmap"), 6)
    photos = load_photos(posed, max_side=240)
    assert max(photos.cameras.uniform_size) == 240
    assert posed.points is not None
    right = colour_correlation(photos, posed.points)
    assert right > 0.6
    shifted = replace(photos, images=photos.images.roll(2, 2))  # two pixels to the right
    assert colour_correlation(shifted, posed.points) < right - 0.1


def test_full_and_half_size_photos_of_the_fox_reduce_to_the_same_views(shared_data: Path) -> None:
    fox = shared_data / "scene_fox"
    full = load_photos(spread_views(read_transforms(fox / "transforms.json"), 2), max_side=240)
    half = load_photos(spread_views(read_transforms(fox / "transforms_2.json"), 2), max_side=240)
    assert full.cameras.uniform_size == half.cameras.uniform_size == (135, 240)
    assert torch.allclose(full.cameras.intrinsics, half.cameras.intrinsics, rtol=2e-3)
    assert (full.images.float() - half.images.float()).abs().mean() < 4  # of 255; two JPEG files of one photo


def test_lego_counts_and_alpha(shared_data: Path) -> None:
    posed = read_blender(shared_data / "scene_lego_synth")
    assert len(posed.cameras) == 125
    assert len(posed.held_out) == 25
    assert all(name.startswith("test/") for name in posed.held_out)
    assert posed.cameras.uniform_size == (200, 200)
    # all cameras of the set lie on the upper half of a sphere of radius 4.03 around the model
    assert torch.allclose(posed.cameras.camera_centres.norm(dim=1), torch.tensor(4.0311), atol=1e-3)
    photos = load_photos(spread_views(posed, 5), max_side=100)
    assert photos.alpha is not None
    covered = (photos.alpha > 0).float().mean((1, 2))
    assert ((covered > 0.05) & (covered < 0.6)).all()
    assert (photos.images[photos.alpha == 0] == 255).all()


def odd_scene(folder: Path, shared_data: Path, name: str) -> Path:
    """A file of the collection of odd ones, beside the fox's photos."""
    for photos in ("images", "images_2"):
        (folder / photos).symlink_to(shared_data / "scene_fox" / photos)
    text = (shared_data / "robust_files" / "scene" / name).read_text(encoding="utf-8")
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def stated(shared_data: Path, name: str) -> str:
    """What the collection's manifest says a reader should do."""
    manifest = json.loads((shared_data / "robust_files" / "manifest.json").read_text(encoding="utf-8"))
    return next(item["expect"] for item in manifest["files"] if item["file"] == f"scene/{name}")


@pytest.mark.parametrize(
    ("name", "views"),
    [
        ("transforms_3x4.json", 50),
        ("transforms_only_angle.json", 50),
        ("transforms_one_frame.json", 1),
        ("transforms_missing_image.json", 49),
    ],
)
def test_odd_files_are_read_as_far_as_they_go(
    name: str, views: int, shared_data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert "ok" in stated(shared_data, name) or "skip" in stated(shared_data, name)
    with caplog.at_level(logging.WARNING):
        posed = read_posed_photos(odd_scene(tmp_path, shared_data, name))
    assert len(posed.cameras) == views
    fox = read_transforms(shared_data / "scene_fox" / "transforms_2.json")
    kept = [fox.cameras.names.index(view) for view in posed.cameras.names]
    assert torch.allclose(posed.cameras.world_to_camera, fox.cameras.world_to_camera[kept], atol=1e-6)
    # camera_angle_x of the file is 2 atan(1080 / 2 / 1375.52), rounded
    assert torch.allclose(posed.cameras.intrinsics[:, 0, 0], fox.cameras.intrinsics[kept, 0, 0], rtol=1e-4)
    assert ("9999.jpg" in caplog.text) == (views == 49)
    assert "points3D.ply" in caplog.text  # named by the file, and not there
    assert posed.points is None


def test_a_zero_pose_is_refused_with_its_frame(shared_data: Path, tmp_path: Path) -> None:
    name = "transforms_singular_pose.json"
    assert "clear error" in stated(shared_data, name)
    with refused(CameraFileError, name, "images_2/0003.jpg"):
        read_posed_photos(odd_scene(tmp_path, shared_data, name))
