"""Cameras that see a turned, shifted and rescaled world as they saw the one before."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.rotations import quats_to_matrices


def some_similarity() -> Float[Tensor, "3 4"]:
    """A turn about no axis of the frame, and a shift."""
    rotation = quats_to_matrices(torch.tensor([[0.8, -0.3, 0.5, 0.2]], dtype=torch.float64))[0]
    return torch.cat([rotation, torch.tensor([[0.4], [-1.5], [2.0]], dtype=torch.float64)], 1)


def without_ties(scene: GaussianScene) -> GaussianScene:
    """The scene shaken a little: Gaussians at exactly one depth would be drawn in an order that rounding decides."""
    shake = torch.randn(scene.means.shape, generator=torch.Generator().manual_seed(0))
    return replace(scene, means=scene.means + 0.01 * shake)


def moved_cameras(cameras: CameraBatch, transform: Float[Tensor, "3 4"], scale: float) -> CameraBatch:
    """The cameras after every point x went to scale (R x + t): their view of a point is `scale` times what it was."""
    rotation, shift = transform[:, :3].double(), transform[:, 3].double()
    poses = cameras.world_to_camera.double().clone()
    turned = poses[:, :3, :3] @ rotation.T
    poses[:, :3, 3] = scale * (poses[:, :3, 3] - turned @ shift)
    poses[:, :3, :3] = turned
    return CameraBatch(
        world_to_camera=poses.float(),
        intrinsics=cameras.intrinsics,
        image_sizes=cameras.image_sizes,
        names=cameras.names,
    )
