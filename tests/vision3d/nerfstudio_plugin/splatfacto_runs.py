"""The ball scene as other tools leave it: a data set of ns-process-data, a run of splatfacto, a COLMAP model.

Nothing is trained: a run's parameters are the true splats, in the frame that nerfstudio's data parser trains in.
Configuration and data parser transform are written by nerfstudio.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.vision3d.cameras.small_scenes import write_colmap_text
from tests.vision3d.laga.ball_files import BallFiles
from tests.vision3d.scene.test_checkpoints import splatfacto_checkpoint
from vision3d.cameras.catalogue import read_posed_photos
from vision3d.scene.catalogue import read_splats
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.rotations import matrix_to_quat
from vision3d.scene.selection import with_sh_degree
from vision3d.scene.transforms import apply_similarity

pytest.importorskip("nerfstudio", reason="nerfstudio is not installed: pip install 'vision3d-medseg[nerfstudio]'")
from nerfstudio.configs.method_configs import method_configs
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig

STEP = 29_999
APPLIED = torch.tensor([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]])
"""What ns-process-data does to COLMAP's world, and writes as `applied_transform`: a quarter turn about x."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplatfactoRun:
    """A finished run and what is true of it."""

    folder: Path
    """config.yml, dataparser_transforms.json and nerfstudio_models."""
    checkpoint: Path
    """Its checkpoint."""
    world: GaussianScene
    """The splats in the frame of transforms.json."""


def nerfstudio_parser(data: Path) -> NerfstudioDataParserConfig:
    """nerfstudio's reader of transforms.json, at the full size of the photos."""
    return NerfstudioDataParserConfig(data=data, downscale_factor=1, eval_mode="interval", eval_interval=4)


def name_applied_transform(files: BallFiles) -> None:
    """Have transforms.json say what ns-process-data did before it wrote the poses."""
    path = files.data / "transforms.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"applied_transform": APPLIED.tolist()}))


def write_splatfacto_run(files: BallFiles, folder: Path) -> SplatfactoRun:
    """The run of splatfacto that found the true splats of the ball scene.

    transforms.json -> training frame is what nerfstudio's transform leaves after `APPLIED` is taken off its right side.
    """
    folder.mkdir(parents=True)
    outputs = nerfstudio_parser(files.data).setup().get_dataparser_outputs("train")
    outputs.save_dataparser_transform(folder / "dataparser_transforms.json")
    config: Any = method_configs["splatfacto"]
    (folder / "config.yml").write_text(_yaml_of(config))
    world = with_sh_degree(read_splats(files.run / "scene.ply"), 3)
    checkpoint = folder / f"nerfstudio_models/step-{STEP:09d}.ckpt"
    write_checkpoint(apply_similarity(world, _file_to_training(outputs, files), outputs.dataparser_scale), checkpoint)
    return SplatfactoRun(folder=folder, checkpoint=checkpoint, world=world)


def write_checkpoint(scene: GaussianScene, path: Path) -> None:
    """What nerfstudio's trainer saves of a splatfacto model, with the entries of its other modules."""
    path.parent.mkdir(exist_ok=True)
    content = splatfacto_checkpoint(scene)
    content["step"] = int(path.stem.removeprefix("step-"))
    content["pipeline"] |= {
        "datamanager.train_camera_optimizer.pose_adjustment": torch.zeros(2, 6),
        "_model.device_indicator_param": torch.empty(0),
        "_model.lpips.net.lin0.1.weight": torch.zeros(1, 64, 1, 1),
    }
    torch.save(content, path)


def write_colmap_model(files: BallFiles) -> None:
    """A COLMAP model instead of transforms.json, with some of the splats as points."""
    posed = read_posed_photos(files.data)
    (files.data / "transforms.json").unlink()
    images = []
    for row, name in enumerate(posed.cameras.names):
        pose = posed.cameras.world_to_camera[row].double()
        numbers = [*matrix_to_quat(pose[:3, :3]).tolist(), *pose[:3, 3].tolist()]
        images += [f"{row + 1} {' '.join(f'{number:.10g}' for number in numbers)} 1 {name}", ""]
    lens, (width, height) = posed.cameras.intrinsics[0], posed.cameras.uniform_size
    camera = f"1 PINHOLE {width} {height} {lens[0, 0]} {lens[1, 1]} {lens[0, 2]} {lens[1, 2]}"
    means = read_splats(files.run / "scene.ply").means[::3].tolist()
    points = [f"{row + 1} {x} {y} {z} 90 90 90 0.5" for row, (x, y, z) in enumerate(means)]
    write_colmap_text(files.data / "sparse/0", [camera], images, points)


def _file_to_training(outputs: DataparserOutputs, files: BallFiles) -> torch.Tensor:
    transform = outputs.dataparser_transform.double()
    if "applied_transform" not in json.loads((files.data / "transforms.json").read_text()):
        return transform
    back = torch.eye(4, dtype=torch.float64)
    back[:3] = APPLIED
    return transform @ torch.linalg.inv(back)


def _yaml_of(config: Any) -> str:
    import yaml

    return yaml.dump(config)
