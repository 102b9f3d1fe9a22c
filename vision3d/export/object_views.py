"""Cameras that look at one object: those of a scene, cut and enlarged to it, or a ball of new ones around it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.trajectories import look_at
from vision3d.errors import InvalidInputError

_MARGIN = 0.06
_NEAREST = 1e-3
_CLOSEST_SHARE = 0.5
_DISTANCE = 2.5
_FOCAL_PER_SIDE = 2.2


def close_views(cameras: CameraBatch, points: Float[Tensor, "point 3"], *, side: int) -> CameraBatch:
    """The same cameras with square pictures of `side` pixels that show just the points, with a small margin.

    Only the pictures change, never the places: what a camera could not see, it does not see here. Cameras with a point
    behind them, or so close that the picture would be mostly perspective, are left out.

    Raises:
        InvalidInputError: no camera has all points in front of it.

    Example:
        >>> cameras = CameraBatch(
        ...     world_to_camera=torch.eye(4)[None], image_sizes=torch.tensor([[128, 96]]), names=("front",),
        ...     intrinsics=torch.tensor([[[100.0, 0, 64], [0, 100, 48], [0, 0, 1]]]),
        ... )
        >>> corners = torch.tensor([[-0.1, -0.1, 2.0], [0.1, 0.1, 2.0]])
        >>> close_views(cameras, corners, side=112).intrinsics[0, 0].round().tolist()
        [1000.0, 0.0, 56.0]
    """
    ones = torch.ones(len(points), 1, dtype=points.dtype, device=points.device)
    local = torch.cat([points, ones], 1) @ cameras.world_to_camera.transpose(1, 2)
    depth = local[..., 2]
    usable = (depth.amin(1) > _NEAREST) & (depth.amin(1) > _CLOSEST_SHARE * depth.amax(1))
    names = [name for name, good in zip(cameras.names, usable.tolist(), strict=True) if good]
    if not names:
        raise InvalidInputError(
            f"Expected at least one camera with the object in front of it, found none of {len(cameras)}. "
            "Give cameras that look at the object from outside."
        )
    plane = local[usable][..., :2] / depth[usable][..., None]
    low, high = plane.amin(1), plane.amax(1)
    extent = (high - low).amax(1).clamp_min(1e-9)
    focal = side / (extent * (1 + 2 * _MARGIN))
    intrinsics = torch.eye(3, dtype=focal.dtype, device=focal.device).repeat(len(names), 1, 1)
    intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = focal
    intrinsics[:, :2, 2] = side / 2 - focal[:, None] * (low + high) / 2
    return CameraBatch(
        world_to_camera=cameras.world_to_camera[usable],
        intrinsics=intrinsics,
        image_sizes=torch.tensor([[side, side]], device=focal.device).repeat(len(names), 1),
        names=tuple(names),
    )


def views_around(
    minimum: Float[Tensor, " 3"], maximum: Float[Tensor, " 3"], *, view_count: int, side: int
) -> CameraBatch:
    """Cameras on a ball around a box, evenly spread, that all look at its middle: for scenes that came without any.

    Raises:
        InvalidInputError: no view or pixel is asked for, or the box is a point.
    """
    reach = float(torch.linalg.vector_norm(maximum - minimum))
    if view_count < 1 or side < 1 or not reach > 0:
        raise InvalidInputError(
            f"views_around: expected at least one view and pixel and a box with an extent, found {view_count} views of "
            f"{side} pixels around a box of size {reach:g}. Raise them."
        )
    steps = torch.arange(view_count, dtype=torch.float64)
    height = 1 - (2 * steps + 1) / view_count
    turn = steps * math.pi * (3 - math.sqrt(5))
    ring = torch.sqrt(1 - height * height)
    directions = torch.stack([ring * torch.cos(turn), ring * torch.sin(turn), height], 1).to(minimum)
    middle = (minimum + maximum) / 2
    focal = _FOCAL_PER_SIDE * side
    matrix = torch.tensor([[focal, 0, side / 2], [0, focal, side / 2], [0, 0, 1]]).to(minimum)
    poses = [look_at(middle + _DISTANCE * reach * one, middle, _up(one)) for one in directions]
    return CameraBatch(
        world_to_camera=torch.stack(poses).to(minimum.device),
        intrinsics=matrix.repeat(view_count, 1, 1),
        image_sizes=torch.tensor([[side, side]], device=minimum.device).repeat(view_count, 1),
        names=tuple(f"around_{place:03d}" for place in range(view_count)),
    )


def _up(direction: Float[Tensor, " 3"]) -> Float[Tensor, " 3"]:
    """Any direction that the view does not look along."""
    up = torch.zeros_like(direction)
    up[int(direction.abs().argmin())] = 1.0
    return up
