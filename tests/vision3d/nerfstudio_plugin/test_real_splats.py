"""A trained model of somebody else's (a guitar) as the start: nothing is trained, and a click takes a part of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("nerfstudio", reason="needs nerfstudio: pip install 'vision3d-medseg[nerfstudio]'")

from tests.vision3d.laga.ball_files import BallFiles
from tests.vision3d.nerfstudio_plugin.small_run import small_config, train
from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.camera_files import load_cameras
from vision3d.laga.laga_scene import load_laga_scene
from vision3d.laga.query_scene import SceneQueries
from vision3d.language.catalogue import load_encoder
from vision3d.nerfstudio_plugin.decomposition import DecompositionConfig
from vision3d.reconstruction.previews import render_frames
from vision3d.reconstruction.render_run import orbit_around
from vision3d.rendering.renderer import RasterOptions
from vision3d.scene.catalogue import read_splats

_SIDE, _VIEWS = 160, 12


def _write_photos(folder: Path, images: list[np.ndarray], cameras: CameraBatch) -> None:
    (folder / "images").mkdir(parents=True)
    frames = []
    for name, image, matrix in zip(cameras.names, images, cameras.world_to_camera, strict=True):
        Image.fromarray(image).save(folder / "images" / f"{name}.png")
        pose = torch.linalg.inv(matrix.double())
        pose[:, 1:3] *= -1  # OpenGL axes: y up, z backwards
        frames.append({"file_path": f"images/{name}.png", "transform_matrix": pose.tolist()})
    focal = float(cameras.intrinsics[0, 0, 0])
    lens = {"fl_x": focal, "fl_y": focal, "cx": _SIDE / 2, "cy": _SIDE / 2, "w": _SIDE, "h": _SIDE}
    (folder / "transforms.json").write_text(json.dumps(lens | {"frames": frames}))


@pytest.mark.parametrize("name", ["guitar_60k_std.ply", "guitar_20k.splat"])
def test_a_guitar_is_not_trained_and_answers_a_click(name: str, tmp_path: Path, shared_data: Path) -> None:
    given = read_splats(shared_data / "splats_small" / name)
    cameras = orbit_around(given, view_count=_VIEWS, side=_SIDE)
    images = render_frames(given, cameras, background=torch.ones(3), options=RasterOptions())
    _write_photos(tmp_path / "data", images, cameras)
    files = BallFiles(run=tmp_path / "run", data=tmp_path / "data")
    config = small_config(
        files,
        tmp_path / "out",
        start=shared_data / "splats_small" / name,
        objects=DecompositionConfig(masks="contours", encoder="embedded"),
    )
    train(config)
    laga = load_laga_scene(config.get_base_dir() / "scene.laga.safetensors")
    assert torch.equal(laga.scene.means, given.means), "nothing was trained"
    assert laga.object_count > 1
    queries = SceneQueries(laga, load_encoder("embedded"))
    stored = load_cameras(config.get_base_dir() / "cameras.json").cameras
    seen = np.abs(images[0].astype(int) - 255).sum(2) > 60
    rows, columns = np.nonzero(seen)
    middle = np.argmin(np.hypot(rows - rows.mean(), columns - columns.mean()))
    answer = queries.click(stored.select(stored.names[:1]), x=float(columns[middle]) + 0.5, y=float(rows[middle]) + 0.5)
    assert answer.status == "found"
    mask = queries.masks(answer, stored.select(stored.names[:1]))[0]
    assert bool(mask[rows[middle], columns[middle]])
    assert 0 < int(answer.chosen.sum()) < len(given)
