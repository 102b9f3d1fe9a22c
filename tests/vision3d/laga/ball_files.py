"""The ball scene on disk: a fit's folder, its photos with cameras, the truth, and a maker of masks by colour."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Int16, UInt8
from numpy import ndarray
from PIL import Image

from tests.vision3d.laga.ball_scene import SIZE, make_ball_scene
from tests.vision3d.laga.colour_words import ColourWords
from vision3d.cameras.camera_files import StoredCameras, save_cameras
from vision3d.laga.lift_objects import LiftConfig
from vision3d.laga.train_config import TrainLagaConfig, TrainSceneConfig
from vision3d.language.crops import CropSettings
from vision3d.masks.catalogue import PROPOSERS
from vision3d.rendering.image_files import to_bytes
from vision3d.rendering.render_views import render_views
from vision3d.scene.catalogue import write_splats
from vision3d.scene.gaussian_scene import SH_C0

VIEWS = 8
HELD_OUT = ("view_00.png", "view_04.png")
COLOURS = torch.tensor([[0.9, 0.0, 0.0], [0.0, 0.9, 0.0], [0.0, 0.9, 0.0], [0.0, 0.9, 0.0], [0.0, 0.0, 0.9]])
"""One red ball, three green ones, a blue plane: no two words of a picture overlap."""
CONFIG = TrainSceneConfig(
    masks="colours",
    encoder="colour words",
    test_every=4,
    device="cpu",
    laga=TrainLagaConfig(
        lift=LiftConfig(grouping="mask_graph"), crops=CropSettings(background="black", minimum_pixels=10)
    ),
)
"""Black ground, so that a crop has the colour of its thing and no other."""
FLAGS = (
    "--masks", "colours", "--test-every", "4", "--device", "cpu", "--laga.lift.grouping", "mask_graph",
    "--laga.crops.background", "black", "--laga.crops.minimum-pixels", "10", "--encoder", "colour words",
)  # fmt: skip
"""The settings of `CONFIG` on the command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BallFiles:
    """Where everything lies."""

    run: Path
    """scene.ply, cameras.json and report.json as `vision3d fit` writes them."""
    data: Path
    """Photos, transforms.json, objects.json and masks."""

    @property
    def laga(self) -> Path:
        """Where a training writes."""
        return self.run / "scene.laga.safetensors"


def write_ball_files(folder: Path) -> BallFiles:
    """The scene with coloured things."""
    balls = make_ball_scene(VIEWS)
    cameras = replace(balls.cameras, names=tuple(f"{name}.png" for name in balls.cameras.names))
    scene = replace(balls.scene, sh=((COLOURS - 0.5) / SH_C0)[balls.gaussian_truth][:, None])
    files = BallFiles(run=folder / "run", data=folder / "data")
    files.run.mkdir()
    write_splats(scene, files.run / "scene.ply")
    save_cameras(StoredCameras(cameras=cameras, test=HELD_OUT), files.run / "cameras.json")
    report = {"background": [0.0, 0.0, 0.0], "antialiased": False, "scene_path": "scene.ply"}
    (files.run / "report.json").write_text(json.dumps(report))
    for name in ("images", "masks"):
        (files.data / name).mkdir(parents=True)
    frames = []
    for row, name in enumerate(balls.cameras.names):
        colour = render_views(scene, balls.cameras.select([name])).colour[0]
        Image.fromarray(to_bytes(colour)).save(files.data / "images" / f"{name}.png")
        Image.fromarray((balls.labels[row] + 1).astype(np.uint8)).save(files.data / "masks" / f"{name}.png")
        pose = torch.linalg.inv(balls.cameras.world_to_camera[row].double())
        pose[:, 1:3] *= -1  # OpenGL axes: y up, z backwards
        frames.append({"file_path": f"images/{name}.png", "transform_matrix": pose.tolist()})
    focal = float(balls.cameras.intrinsics[0, 0, 0])
    lens = {"fl_x": focal, "fl_y": focal, "cx": SIZE / 2, "cy": SIZE / 2, "w": SIZE, "h": SIZE}
    (files.data / "transforms.json").write_text(json.dumps(lens | {"frames": frames}))
    queries = [
        {"phrase": "red", "ids": [1], "kind": "name"},
        {"phrase": "green", "ids": [2, 3, 4], "kind": "category"},
        {"phrase": "blue", "ids": [5], "kind": "name"},
        {"phrase": "dim", "ids": [], "kind": "absent"},
    ]
    (files.data / "objects.json").write_text(json.dumps({"queries": queries, "objects": []}))
    return files


class ColourProposer:
    """Masks of pixels that are plainly red, green or blue, each connected part by itself."""

    proposer_id = "colours 1"
    level_names = ("m",)

    def propose(self, image: UInt8[ndarray, "height width 3"]) -> Int16[ndarray, "1 height width"]:
        """Label map of one photo."""
        from scipy.ndimage import label

        labels = np.full(image.shape[:2], -1, np.int16)
        for channel in range(3):
            parts, count = label((image.argmax(2) == channel) & (image.max(2) > 100))
            for part in range(1, count + 1):
                labels[parts == part] = labels.max() + 1
        return labels[None]


def know_colours(monkeypatch: pytest.MonkeyPatch, encoder: ColourWords | None = None) -> None:
    """Let the proposer be found as `colours`, and every name of an encoder mean colour words."""
    monkeypatch.setitem(PROPOSERS, "colours", ("plain colours", lambda weights: ColourProposer()))
    for module in ("vision3d.laga.train_scene", "vision3d.laga.query_run", "vision3d.evaluation.evaluate_run"):
        monkeypatch.setattr(f"{module}.load_encoder", lambda name, device="cpu": encoder or ColourWords())
