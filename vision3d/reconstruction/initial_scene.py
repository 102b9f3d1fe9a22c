"""The Gaussians a fit starts from: structure-from-motion points, or random ones where there are none."""

from __future__ import annotations

import logging
import math

import torch
from jaxtyping import Float
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.point_cloud import PointCloud
from vision3d.cameras.trajectories import focus_point
from vision3d.scene.gaussian_scene import SH_C0, SH_COUNTS, GaussianScene
from vision3d.scene.neighbours import k_nearest

_NEIGHBOURS = 3
_RANDOM_DEPTHS = (0.3, 3.0)
_LONELY_SHARE = 0.1

_log = logging.getLogger(__name__)


def initial_scene(
    points: PointCloud | None,
    cameras: CameraBatch,
    *,
    count: int,
    sh_degree: int,
    opacity: float,
    scale_factor: float,
    seed: int,
) -> GaussianScene:
    """`count` Gaussians to start a fit from.

    More points than `count`: a random subset. Fewer: further Gaussians are drawn between neighbouring points, in the
    colour of both, because triangulated points leave smooth surfaces bare. Three points or fewer: random
    positions inside the views at depths around the distance to the point the cameras look at.

    Args:
        points: the structure-from-motion cloud, or None.
        cameras: the training views.
        count: number of Gaussians wanted.
        sh_degree: degree of the spherical harmonics; bands above 0 start at 0.
        opacity: opacity of every Gaussian, 0-1.
        scale_factor: size in units of the root mean square distance to the three nearest neighbours.
        seed: of the random choice.
    """
    generator = torch.Generator().manual_seed(seed)
    if points is None or len(points) <= _NEIGHBOURS:
        if points is not None:
            _log.warning("%d points are too few to start from; starting at random", len(points))
        cloud = random_points(cameras, count=count, seed=seed)
    else:
        cloud = _resampled(points, count, generator)
    distances, _ = k_nearest(cloud.positions, _NEIGHBOURS)
    if distances.shape[1] == 0:  # a single Gaussian has no neighbour
        distances = torch.full((len(cloud), 1), _LONELY_SHARE * focus_distance(cameras))
    spacing = torch.sqrt((distances.float() ** 2).mean(1)).clamp_min(1e-7)
    total = len(cloud)
    coefficients = next(number for number, degree in SH_COUNTS.items() if degree == sh_degree)
    sh = torch.zeros(total, coefficients, 3)
    sh[:, 0] = (cloud.colours - 0.5) / SH_C0
    quats = torch.nn.functional.normalize(torch.randn(total, 4, generator=generator), dim=-1)
    return GaussianScene(
        means=cloud.positions.float(),
        quats=quats,
        log_scales=torch.log(spacing * scale_factor)[:, None].repeat(1, 3),
        opacity_logits=torch.full((total,), math.log(opacity / (1.0 - opacity))),
        sh=sh,
    )


def random_points(cameras: CameraBatch, *, count: int, seed: int) -> PointCloud:
    """Grey points spread over the viewing volumes, denser near the point the cameras look at."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(cameras), (count,), generator=generator)
    places = torch.rand(count, 2, generator=generator) * cameras.image_sizes[rows]
    focus = focus_distance(cameras)
    low, high = (math.log(factor * focus) for factor in _RANDOM_DEPTHS)
    depth = torch.exp(low + (high - low) * torch.rand(count, generator=generator))
    intrinsics = cameras.intrinsics[rows]
    x = (places[:, 0] - intrinsics[:, 0, 2]) / intrinsics[:, 0, 0]
    y = (places[:, 1] - intrinsics[:, 1, 2]) / intrinsics[:, 1, 1]
    local = torch.stack([x, y, torch.ones_like(x)], -1) * depth[:, None]
    poses = cameras.world_to_camera[rows]
    world = (poses[:, :3, :3].transpose(1, 2) @ (local - poses[:, :3, 3])[..., None])[..., 0]
    return PointCloud(positions=world, colours=torch.full((count, 3), 0.5))


def focus_distance(cameras: CameraBatch) -> float:
    """Median distance from the cameras to the point they look at, world units."""
    distance = float((focus_point(cameras) - cameras.camera_centres).norm(dim=1).median())
    return max(distance, 1e-6)


def _resampled(points: PointCloud, count: int, generator: torch.Generator) -> PointCloud:
    total = len(points)
    if total >= count:
        kept = torch.randperm(total, generator=generator)[:count]
        return PointCloud(positions=points.positions[kept], colours=points.colours[kept])
    extra = count - total
    _, neighbours = k_nearest(points.positions, _NEIGHBOURS)
    first = torch.randint(total, (extra,), generator=generator)
    second = neighbours[first, torch.randint(neighbours.shape[1], (extra,), generator=generator)].long()
    share = torch.rand(extra, 1, generator=generator)
    return PointCloud(
        positions=torch.cat([points.positions, _between(points.positions, first, second, share)]),
        colours=torch.cat([points.colours, _between(points.colours, first, second, share)]),
    )


def _between(
    values: Float[Tensor, "point 3"], first: Tensor, second: Tensor, share: Float[Tensor, "extra 1"]
) -> Float[Tensor, "extra 3"]:
    return values[first] * (1 - share) + values[second] * share
