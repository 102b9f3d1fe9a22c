"""A small scene whose Gaussians are known, its photos, and fits of it that take a second."""

from __future__ import annotations

import math

import torch

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.posed_photos import Photos
from vision3d.cameras.trajectories import look_at
from vision3d.reconstruction.densification.mcmc import McmcConfig
from vision3d.reconstruction.fit_config import FitConfig
from vision3d.rendering.render_views import render_views
from vision3d.scene.gaussian_scene import SH_C0, GaussianScene

SIDE = 40


def ring_cameras(count: int = 6, side: int = SIDE, radius: float = 3.0) -> CameraBatch:
    """`view_0.png`, ... on a circle around the origin, which they look at."""
    up = torch.tensor([0.0, 0.0, 1.0])
    poses = []
    for row in range(count):
        turn = 2 * math.pi * row / count
        eye = torch.tensor([radius * math.cos(turn), radius * math.sin(turn), 0.8])
        poses.append(look_at(eye, torch.zeros(3), up))
    matrix = torch.tensor([[1.2 * side, 0, side / 2], [0, 1.2 * side, side / 2], [0, 0, 1]])
    return CameraBatch(
        world_to_camera=torch.stack(poses),
        intrinsics=matrix.repeat(count, 1, 1),
        image_sizes=torch.tensor([[side, side]] * count),
        names=tuple(f"view_{row}.png" for row in range(count)),
    )


def known_scene(count: int = 60, seed: int = 3) -> GaussianScene:
    """Solid, coloured blobs within half a unit of the origin."""
    generator = torch.Generator().manual_seed(seed)
    colours = torch.rand(count, 3, generator=generator)
    return GaussianScene(
        means=(torch.rand(count, 3, generator=generator) - 0.5),
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=1),
        log_scales=torch.log(0.05 + 0.1 * torch.rand(count, 3, generator=generator)),
        opacity_logits=torch.full((count,), 2.0),
        sh=((colours - 0.5) / SH_C0)[:, None],
    )


def known_photos(scene: GaussianScene | None = None, cameras: CameraBatch | None = None) -> Photos:
    """Photos of the known scene on black, as 8-bit pixels."""
    views = cameras or ring_cameras()
    colour = render_views(scene or known_scene(), views).colour
    return Photos(cameras=views, images=(colour.clamp(0, 1) * 255).round().byte(), alpha=None, valid=None)


def quick_fit(**changes) -> FitConfig:
    """Settings for a fit of a few hundred Gaussians that relocates and grows within its first steps.

    The black around the known scene is empty, so it is fitted on black.
    """
    settings = {
        "random_background": 0.0,
        "steps": 40,
        "initial_count": 200,
        "sh_degree": 1,
        "sh_every": 15,
        "checkpoint_every": 1000,
        "mcmc": McmcConfig(gaussian_cap=240, every=7),
    }
    return FitConfig(**(settings | changes))
