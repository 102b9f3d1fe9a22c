"""Balls of Gaussians on a plane, seen from a ring of cameras, with the true object of every Gaussian and pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.trajectories import look_at
from vision3d.language.mask_features import MaskFeatures
from vision3d.masks.view_masks import ViewMasks
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.render_views import splats_of
from vision3d.scene.gaussian_scene import GaussianScene

_CENTRES = ((0.0, 0.0), (1.1, 0.2), (-0.9, 0.6), (0.2, -1.1))
"""Balls on the plane z = 0, touching none of the others."""
_RADIUS = 0.35
_PER_BALL, _PLANE_SIDE = 160, 20
OBJECT_COUNT = len(_CENTRES) + 1
"""The balls, 0 to 3, and the plane."""
SIZE = 64
"""Rows and columns of every view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BallScene:
    """A scene with its truth."""

    scene: GaussianScene
    cameras: CameraBatch
    gaussian_truth: Int[Tensor, " gaussian"]
    """Object of every Gaussian."""
    labels: Int[ndarray, "view height width"]
    """Object seen at every pixel, -1 = none."""


def make_ball_scene(view_count: int = 12) -> BallScene:
    """The same scene every time."""
    generator = torch.Generator().manual_seed(3)
    balls = [_ball(x, y, generator) for x, y in _CENTRES]
    line = torch.linspace(-1.8, 1.8, _PLANE_SIDE)
    plane = torch.cat([torch.cartesian_prod(line, line), torch.zeros(_PLANE_SIDE**2, 1)], 1)
    means = torch.cat([*balls, plane])
    truth = torch.arange(OBJECT_COUNT).repeat_interleave(torch.tensor([_PER_BALL] * len(balls) + [_PLANE_SIDE**2]))
    scales = torch.where((truth == len(balls))[:, None], torch.tensor([0.1, 0.1, 0.01]), torch.tensor([0.06]))
    count = len(means)
    scene = GaussianScene(
        means=means,
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=scales.log(),
        opacity_logits=torch.full((count,), 3.0),
        sh=torch.zeros(count, 1, 3),
    )
    cameras = _ring(view_count)
    one_hot = torch.nn.functional.one_hot(truth, OBJECT_COUNT).float()
    channels = CpuRenderer().rasterize(splats_of(scene), cameras, one_hot).channels
    labels = torch.where(channels.sum(-1) > 0.5, channels.argmax(-1), -1)
    return BallScene(scene=scene, cameras=cameras, gaussian_truth=truth, labels=labels.numpy())


def masks_of(cameras: CameraBatch, labels: Int[ndarray, "view level height width"]) -> ViewMasks:
    """The label maps as masks, levels named by their number."""
    levels = tuple(str(level) for level in range(labels.shape[1]))
    return ViewMasks(labels=labels.astype(np.int16), view_names=cameras.names, level_names=levels, source="truth")


def table_of(masks: ViewMasks) -> MaskFeatures:
    """All masks of the label maps, with vectors of no meaning."""
    places = [
        (view, level, int(number))
        for view, levels in enumerate(masks.labels)
        for level, labels in enumerate(levels)
        for number in np.unique(labels[labels >= 0])
    ]
    view, level, number = torch.tensor(places).T
    return MaskFeatures(vectors=torch.ones(len(places), 1), view=view, level=level, number=number, encoder_id="none")


def purity(found: Int[Tensor, " gaussian"], truth: Int[Tensor, " gaussian"]) -> float:
    """Share of Gaussians whose object's most frequent true object is their own, one found object per true one."""
    joint = torch.zeros(int(found.max()) + 2, int(truth.max()) + 1, dtype=torch.long)
    joint.index_put_((found, truth), torch.tensor(1), accumulate=True)
    best = {}
    for row, column in sorted(np.ndindex(*joint[:-1].shape), key=lambda place: -int(joint[place])):
        if row not in best and column not in best.values():
            best[row] = column
    return sum(int(joint[row, column]) for row, column in best.items()) / len(truth)


def _ball(x: float, y: float, generator: torch.Generator) -> Tensor:
    directions = torch.nn.functional.normalize(torch.randn(_PER_BALL, 3, generator=generator), dim=-1)
    return torch.tensor([x, y, _RADIUS]) + _RADIUS * directions


def _ring(view_count: int) -> CameraBatch:
    angles = [2 * math.pi * view / view_count for view in range(view_count)]
    eyes = [torch.tensor([3.5 * math.cos(a), 3.5 * math.sin(a), 2.4]) for a in angles]
    poses = [look_at(eye, torch.tensor([0.0, 0, 0.2]), torch.tensor([0.0, 0, 1])) for eye in eyes]
    intrinsics = torch.tensor([[SIZE * 1.1, 0, SIZE / 2], [0, SIZE * 1.1, SIZE / 2], [0, 0, 1]])
    return CameraBatch(
        world_to_camera=torch.stack(poses),
        intrinsics=intrinsics.repeat(view_count, 1, 1),
        image_sizes=torch.tensor([[SIZE, SIZE]]).repeat(view_count, 1),
        names=tuple(f"view_{view:02}" for view in range(view_count)),
    )
