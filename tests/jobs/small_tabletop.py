"""A shrunken copy of the embedded tabletop, and settings with which a fit of it takes about a second."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from vision3d.reconstruction.densification.mcmc import McmcConfig
from vision3d.reconstruction.fit_config import FitConfig, FitSceneConfig
from vlm_bridge.assets import asset_path

SIDE = 48
FLAGS = (
    "--max-side", "48", "--test-every", "4", "--steps", "60", "--initial-count", "500", "--sh-degree", "1",
    "--sh-every", "20", "--checkpoint-every", "20", "--mcmc.gaussian-cap", "600", "--mcmc.every", "15",
)  # fmt: skip
"""The settings of `tiny_config` on the command line."""


def small_tabletop(folder: Path, views: int = 8) -> Path:
    """`folder` as a scene of every sixth tabletop view at 64 pixels, with its points."""
    source = asset_path("tabletop")
    scene = json.loads((source / "transforms.json").read_text())
    scene["frames"] = scene["frames"][:: len(scene["frames"]) // views][:views]
    (folder / "images").mkdir(parents=True)
    for frame in scene["frames"]:
        name = frame["file_path"]
        Image.open(source / name).resize((64, 64), Image.Resampling.BOX).save(folder / name, quality=95)
    factor = 64 / scene["w"]
    scene |= {key: scene[key] * factor for key in ("fl_x", "fl_y", "cx", "cy")} | {"w": 64, "h": 64}
    (folder / "transforms.json").write_text(json.dumps(scene))
    (folder / "points3D.ply").write_bytes((source / "points3D.ply").read_bytes())
    return folder


def tiny_config(**changes) -> FitSceneConfig:
    """A fit that relocates, grows, trains a band of harmonics and writes two checkpoints."""
    fit = {
        "steps": 60,
        "initial_count": 500,
        "sh_degree": 1,
        "sh_every": 20,
        "checkpoint_every": 20,
        "mcmc": McmcConfig(gaussian_cap=600, every=15),
    }
    scene = {key: changes.pop(key) for key in ("max_side", "test_every", "start") if key in changes}
    return FitSceneConfig(**({"max_side": SIDE, "test_every": 4} | scene), fit=FitConfig(**(fit | changes)))


def snapshot(folder: Path) -> dict[str, bytes]:
    """Content of every file below `folder`."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
