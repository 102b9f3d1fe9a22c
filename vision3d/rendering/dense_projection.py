"""Projection of 3D Gaussians in plain torch, one view: the reference for the fast ones. Any floating dtype."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vision3d.rendering.renderer import ALPHA_MIN, EXTENT_SIGMAS_MAX, RasterOptions, Splats
from vision3d.scene.rotations import quats_to_matrices

_GUARD_BAND = 0.3
_SIGMA_MAX = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseProjection:
    """One view of all Gaussians; rows that are not drawn are False in `drawn` and 0 elsewhere."""

    means2d: Float[Tensor, "gaussian 2"]
    depths: Float[Tensor, " gaussian"]
    conics: Float[Tensor, "gaussian 3"]
    opacities: Float[Tensor, " gaussian"]
    radii: Float[Tensor, "gaussian 2"]
    drawn: Bool[Tensor, " gaussian"]


def project_densely(
    splats: Splats,
    view: Float[Tensor, "4 4"],
    intrinsics: Float[Tensor, "3 3"],
    size: tuple[int, int],
    options: RasterOptions,
) -> DenseProjection:
    """EWA projection with the conventions of `Renderer`; differentiable in every value of the splats."""
    width, height = size
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    points = splats.means @ view[:3, :3].T + view[:3, 3]
    z = points[:, 2]
    in_range = (z >= options.near) & (z <= options.far)
    safe_z = torch.where(in_range, z, torch.ones_like(z))
    slope_x, slope_y = points[:, 0] / safe_z, points[:, 1] / safe_z
    band_x, band_y = _GUARD_BAND * 0.5 * width / fx, _GUARD_BAND * 0.5 * height / fy
    tx = torch.minimum(torch.maximum(slope_x, -(cx / fx + band_x)), (width - cx) / fx + band_x)
    ty = torch.minimum(torch.maximum(slope_y, -(cy / fy + band_y)), (height - cy) / fy + band_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [
            torch.stack([fx / safe_z, zero, -fx * tx / safe_z], -1),
            torch.stack([zero, fy / safe_z, -fy * ty / safe_z], -1),
        ],
        -2,
    )
    factor = quats_to_matrices(splats.quats) * splats.scales[:, None, :]
    rows = jacobian @ view[:3, :3] @ factor
    covariance = rows @ rows.transpose(1, 2)
    det_sharp = torch.linalg.cross(rows[:, 0], rows[:, 1]).square().sum(-1)
    cov_xx, cov_xy = covariance[:, 0, 0] + options.eps2d, covariance[:, 0, 1]
    cov_yy = covariance[:, 1, 1] + options.eps2d
    det = det_sharp + options.eps2d * (covariance[:, 0, 0] + covariance[:, 1, 1]) + options.eps2d**2
    opacities = splats.opacities
    if options.antialiased:
        opacities = opacities * _compensation(det_sharp, det)
    means2d = torch.stack([fx * slope_x + cx, fy * slope_y + cy], -1)
    with torch.no_grad():
        visible = in_range & (det > 0) & (opacities >= ALPHA_MIN)
        reach = torch.sqrt(2.0 * torch.log(opacities.clamp_min(ALPHA_MIN) / ALPHA_MIN)).clamp_max(EXTENT_SIGMAS_MAX)
        radii = torch.ceil(reach[:, None] * torch.sqrt(torch.stack([cov_xx, cov_yy], -1).clamp_min(0.0)))
        visible &= (radii > options.radius_clip).any(1)
        limits = torch.tensor([width, height], dtype=means2d.dtype, device=means2d.device)
        visible &= ((means2d + radii > 0) & (means2d - radii < limits)).all(1)
    conics = torch.stack([cov_yy, -cov_xy, cov_xx], -1) / torch.where(visible, det, torch.ones_like(det))[:, None]
    keep = visible[:, None]
    return DenseProjection(
        means2d=torch.where(keep, means2d, torch.zeros_like(means2d)),
        depths=torch.where(visible, z, zero),
        conics=torch.where(keep, conics, torch.zeros_like(conics)),
        opacities=torch.where(visible, opacities, zero),
        radii=torch.where(keep, radii, torch.zeros_like(radii)),
        drawn=visible,
    )


def _compensation(det_sharp: Float[Tensor, " gaussian"], det: Float[Tensor, " gaussian"]) -> Float[Tensor, " gaussian"]:
    """sqrt(det_sharp / det), 0 without a gradient where either is not positive (sqrt has no slope at 0)."""
    fair = (det_sharp > 0) & (det > 0)
    one = torch.ones_like(det)
    return torch.where(fair, torch.sqrt(torch.where(fair, det_sharp / torch.where(fair, det, one), one)), 0.0 * one)


def pixel_centres(size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """x and y of every pixel centre, row-major [pixel]."""
    width, height = size
    xs = torch.arange(width, dtype=like.dtype, device=like.device) + 0.5
    ys = torch.arange(height, dtype=like.dtype, device=like.device) + 0.5
    grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
    return grid_x.reshape(-1), grid_y.reshape(-1)


def alphas_of(projection: DenseProjection, row: int, xs: Tensor, ys: Tensor) -> Float[Tensor, " pixel"]:
    """Opacity x falloff of one Gaussian at every pixel, before cap and threshold."""
    dx, dy = projection.means2d[row, 0] - xs, projection.means2d[row, 1] - ys
    xx, xy, yy = projection.conics[row]
    sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
    # far beyond the threshold the exact value is idle, and exp to subnormal numbers is slow
    return projection.opacities[row] * torch.exp(-sigma.clamp(0.0, _SIGMA_MAX))


def depth_order(projection: DenseProjection) -> list[int]:
    """Rows drawn, nearest first, ties by row."""
    order = torch.argsort(projection.depths.detach(), stable=True)
    return [int(row) for row in order if bool(projection.drawn[row])]
