"""Moving a scene as a whole: rotate, shift and scale Gaussians together with their view-dependent colours."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.rotations import matrix_to_quat, multiply_quats
from vision3d.scene.spherical_harmonics import rotate_sh

_ROTATION_TOLERANCE = 1e-4


def apply_similarity(scene: GaussianScene, transform: Float[Tensor, "3 4"], scale: float = 1.0) -> GaussianScene:
    """The scene in another frame: a point x goes to scale x (R x + t), with `transform` = [R | t].

    Means, rotations, sizes and SH coefficients all follow, so a camera moved the same way sees the same picture. The
    order (shift before scale) is that of nerfstudio's dataparser transform.

    Raises:
        InvalidInputError: R is not a rotation (a reflection cannot be applied to Gaussians), or scale is not positive.

    Example:
        >>> scene = GaussianScene(
        ...     means=torch.ones(1, 3), quats=torch.tensor([[1.0, 0, 0, 0]]), log_scales=torch.zeros(1, 3),
        ...     opacity_logits=torch.zeros(1), sh=torch.zeros(1, 1, 3),
        ... )
        >>> apply_similarity(scene, torch.eye(4)[:3], 2.0).means.tolist()
        [[2.0, 2.0, 2.0]]
    """
    matrix = _checked_similarity(transform, scale).to(scene.device)
    rotation, shift = matrix[:, :3], matrix[:, 3]
    turn = matrix_to_quat(rotation)
    dtype = scene.means.dtype
    return replace(
        scene,
        means=(scale * (scene.means.double() @ rotation.T + shift)).to(dtype),
        quats=multiply_quats(turn, scene.quats.double()).to(dtype),
        log_scales=(scene.log_scales.double() + torch.tensor(scale, dtype=torch.float64).log()).to(dtype),
        sh=rotate_sh(scene.sh, rotation),
    )


def inverse_similarity(transform: Float[Tensor, "3 4"], scale: float = 1.0) -> tuple[Float[Tensor, "3 4"], float]:
    """The transform (float64) and scale that `apply_similarity` needs to undo `transform` and `scale`.

    Raises:
        InvalidInputError: as `apply_similarity`.
    """
    matrix = _checked_similarity(transform, scale)
    rotation, shift = matrix[:, :3], matrix[:, 3]
    return torch.cat([rotation.T, -scale * (rotation.T @ shift)[:, None]], dim=1), 1.0 / scale


def _checked_similarity(transform: Tensor, scale: float) -> Tensor:
    matrix = transform.detach().double()
    rotation = matrix[:, :3]
    residual = (rotation @ rotation.T - torch.eye(3, dtype=torch.float64, device=matrix.device)).abs().max()
    determinant = torch.linalg.det(rotation)
    if not (residual < _ROTATION_TOLERANCE and determinant > 0 and torch.isfinite(matrix).all()):
        raise InvalidInputError(
            f"Expected [R | t] with a rotation R (orthonormal, determinant +1), found determinant "
            f"{float(determinant):.4g} and a deviation from orthonormal of {float(residual):.2g}. "
            "Put the size into `scale`; drop any reflection."
        )
    if not 0 < scale < float("inf"):
        raise InvalidInputError(f"Expected a positive, finite scale, found {scale}.")
    return matrix
