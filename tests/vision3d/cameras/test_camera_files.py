"""Our own camera file: exact round trip, and clear words for every other file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.vision3d.cameras.small_scenes import random_cameras, refused
from vision3d.cameras.camera_files import StoredCameras, load_cameras, save_cameras
from vision3d.errors import CameraFileError


@given(count=st.integers(1, 6), seed=st.integers(0, 2**31))
def test_reading_what_was_written_gives_the_same_bits(
    count: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("cameras") / "cameras.json"
    cameras = random_cameras(count, seed=seed)
    save_cameras(StoredCameras(cameras=cameras, test=("0.png",)), path)
    found = load_cameras(path)
    assert found.test == ("0.png",)
    assert found.cameras.names == cameras.names
    assert torch.equal(found.cameras.world_to_camera, cameras.world_to_camera)
    assert torch.equal(found.cameras.intrinsics, cameras.intrinsics)
    assert torch.equal(found.cameras.image_sizes, cameras.image_sizes)


def test_a_cut_or_foreign_or_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cameras.json"
    save_cameras(StoredCameras(cameras=random_cameras(2), test=()), path)
    whole = path.read_text(encoding="utf-8")
    for damaged in (whole[:-40], whole.replace('"version": 1', '"version": 9'), '{"frames": []}', "[]", ""):
        path.write_text(damaged, encoding="utf-8")
        with refused(CameraFileError, str(path)):
            load_cameras(path)
    with refused(CameraFileError, "other.json"):
        load_cameras(tmp_path / "other.json")
