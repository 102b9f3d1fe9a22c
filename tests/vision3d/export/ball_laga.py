"""The ball scene taken apart by its truth: halves of balls on level s, whole ones on level m, described by colours."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from tests.vision3d.laga.ball_files import COLOURS
from tests.vision3d.laga.ball_scene import OBJECT_COUNT, BallScene, make_ball_scene
from tests.vision3d.laga.colour_words import ColourWords, vector
from vision3d.cameras.camera_files import StoredCameras, save_cameras
from vision3d.laga.laga_scene import LagaScene, laga_path_of, save_laga_scene
from vision3d.laga.object_descriptors import ObjectDescriptors
from vision3d.scene.catalogue import write_splats
from vision3d.scene.gaussian_scene import SH_C0

BALLS = OBJECT_COUNT - 1
HALVES = 2 * BALLS
WHOLE = HALVES + 1
"""Number of the first ball on level m; the halves are 0 to 7, the plane is 8 on level s and 13 on level m."""
_WORDS = ("red", "green", "green", "green", "blue")


@dataclass(frozen=True, slots=True, kw_only=True)
class BallLaga:
    """The scene with its truth."""

    balls: BallScene
    laga: LagaScene

    @property
    def truth(self) -> Int[Tensor, " gaussian"]:
        """Ball of every Gaussian, 4 = the plane."""
        return self.balls.gaussian_truth


def make_ball_laga(view_count: int = 8) -> BallLaga:
    """The same scene every time, one red ball, three green ones and a blue plane."""
    balls = make_ball_scene(view_count)
    truth = balls.gaussian_truth
    scene = replace(balls.scene, sh=((COLOURS - 0.5) / SH_C0)[truth][:, None])
    middles = torch.stack([scene.means[truth == ball, 0].median() for ball in range(OBJECT_COUNT)])
    right = (scene.means[:, 0] > middles[truth]).long()
    fine = torch.where(truth == BALLS, HALVES, 2 * truth + right)
    looks = [_WORDS[ball] for ball in range(BALLS) for _ in range(2)] + ["blue", *_WORDS]
    descriptors = ObjectDescriptors(
        vectors=torch.stack([vector(**{word: 1.0}) for word in looks]),
        object=torch.arange(len(looks)),
        weights=torch.ones(len(looks)),
        encoder_id=ColourWords().encoder_id,
    )
    laga = LagaScene(
        scene=scene,
        gaussian_object=torch.stack([fine, truth + WHOLE]),
        object_level=torch.tensor([0] * WHOLE + [1] * OBJECT_COUNT),
        object_masks=torch.full((WHOLE + OBJECT_COUNT,), view_count),
        descriptors=descriptors,
        level_names=("s", "m"),
        encoder_name="colour words",
    )
    return BallLaga(balls=replace(balls, scene=scene), laga=laga)


def write_ball_laga(folder: Path, *, with_cameras: bool = True) -> Path:
    """The files of the scene in a new folder; returns the one with the objects."""
    made = make_ball_laga()
    folder.mkdir(parents=True)
    write_splats(made.laga.scene, folder / "scene.ply")
    if with_cameras:
        save_cameras(StoredCameras(cameras=made.balls.cameras, test=("view_00",)), folder / "cameras.json")
        report = {"background": [0.0, 0.0, 0.0], "antialiased": False, "scene_path": "scene.ply"}
        (folder / "report.json").write_text(json.dumps(report))
    path = laga_path_of(folder / "scene.ply")
    save_laga_scene(made.laga, path, splats=folder / "scene.ply")
    return path
