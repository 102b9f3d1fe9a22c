"""Synthetic surfaces and cameras that the measurements share: a floor, a wall and four spheres made of splats.

World axes are OpenCV-like: y points down, the floor lies at y = 1 and the wall at z = 2. Sizes are in world units.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.trajectories import look_at
from vision3d.rendering.renderer import Splats
from vision3d.scene.gaussian_scene import GaussianScene

_SPHERES = torch.tensor([[-0.8, 0.3, 0.0, 0.6], [0.6, 0.4, 0.4, 0.5], [0.0, 0.0, -0.5, 0.4], [0.2, -0.6, 0.8, 0.5]])
"""Centre x, y, z and radius."""
_FLOOR_SHARE, _WALL_SHARE = 0.3, 0.2
_SURFACE_AREA = 45.0
"""Of all surfaces together; area / count sets the spacing of the splats."""
_SIZE_IN_SPACINGS = 0.7
_TARGET = torch.tensor([0.0, 0.2, 0.0])
_DOWN_IS_Y = torch.tensor([0.0, -1.0, 0.0])
_FOCAL_IN_WIDTHS = 1.1


def surface_splats(count: int, *, seed: int = 0) -> Splats:
    """`count` flat anisotropic splats of mixed size and opacity, strewn over the surfaces."""
    generator = torch.Generator().manual_seed(seed)
    means = _surface_points(count, generator)
    spacing = math.sqrt(_SURFACE_AREA / count)
    scales = torch.exp(math.log(spacing * _SIZE_IN_SPACINGS) + 0.5 * torch.randn(count, 3, generator=generator))
    scales[:, 2] *= 0.3
    return Splats(
        means=means,
        quats=torch.randn(count, 4, generator=generator),
        scales=scales,
        opacities=torch.sigmoid(0.5 + 2.0 * torch.randn(count, generator=generator)),
    )


def surface_channels(splats: Splats, dims: int) -> Float[Tensor, "gaussian dim"]:
    """Channels in 0-1 that vary smoothly over the surfaces."""
    phases = torch.arange(dims, dtype=torch.float32)
    axes = splats.means[:, torch.arange(dims) % 3]
    return 0.5 + 0.5 * torch.sin(axes * (3.0 + 0.3 * torch.floor(phases / 3)) + phases)


def surface_scene(count: int, *, sh_degree: int, seed: int = 0) -> GaussianScene:
    """The same surfaces as a scene, with small random view-dependent colour above degree 0."""
    splats = surface_splats(count, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    sh = 0.05 * torch.randn(count, (sh_degree + 1) ** 2, 3, generator=generator)
    sh[:, 0] = (surface_channels(splats, 3) - 0.5) / 0.28209479177387814
    return GaussianScene(
        means=splats.means,
        quats=splats.quats,
        log_scales=splats.scales.log(),
        opacity_logits=torch.logit(splats.opacities, eps=1e-6),
        sh=sh,
    )


def front_camera(width: int, height: int) -> CameraBatch:
    """One view of the whole scene from the open side."""
    return _cameras(torch.tensor([[0.5, -0.6, -3.5]]), width, height)


def arc_of_cameras(view_count: int, width: int, height: int) -> CameraBatch:
    """Views on an arc of 120 degrees around the open side, rising and falling."""
    angles = torch.linspace(-math.pi / 3, math.pi / 3, view_count)
    rise = -0.6 + 0.4 * torch.sin(5.0 * angles)
    return _cameras(torch.stack([3.5 * torch.sin(angles), rise, -3.5 * torch.cos(angles)], -1), width, height)


def _surface_points(count: int, generator: torch.Generator) -> Float[Tensor, "gaussian 3"]:
    floor_count, wall_count = int(_FLOOR_SHARE * count), int(_WALL_SHARE * count)
    floor = 4.0 * torch.rand(floor_count, 3, generator=generator) - 2.0
    floor[:, 1] = 1.0 + 0.01 * torch.randn(floor_count, generator=generator)
    wall = 4.0 * torch.rand(wall_count, 3, generator=generator) - 2.0
    wall[:, 1] = 0.625 * wall[:, 1] - 0.25
    wall[:, 2] = 2.0
    rest = count - floor_count - wall_count
    directions = torch.nn.functional.normalize(torch.randn(rest, 3, generator=generator), dim=-1)
    sphere = _SPHERES[torch.randint(0, len(_SPHERES), (rest,), generator=generator)]
    return torch.cat([floor, wall, sphere[:, :3] + directions * sphere[:, 3:]])


def _cameras(eyes: Float[Tensor, "view 3"], width: int, height: int) -> CameraBatch:
    focal = _FOCAL_IN_WIDTHS * width
    intrinsics = torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    return CameraBatch(
        world_to_camera=torch.stack([look_at(eye, _TARGET, _DOWN_IS_Y) for eye in eyes]),
        intrinsics=intrinsics.expand(len(eyes), 3, 3).clone(),
        image_sizes=torch.tensor([[width, height]]).repeat(len(eyes), 1),
        names=tuple(f"view_{row:03d}" for row in range(len(eyes))),
    )
