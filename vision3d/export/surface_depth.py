"""`surface_depth`: where the surface that Gaussians paint lies along each pixel's ray.

A Gaussian is a soft body, and a ray meets its surface in front of its centre: an apple made of a hundred blobs is as
large as the blobs reach, not as their centres do. So along a ray every Gaussian's opacity grows from 0 to the alpha it
is painted with, as its density grows up to its peak; the surface is where all of them together reach `level`.

Source: Yu, Sattler and Geiger 2024, Gaussian Opacity Fields, for the opacity along a ray. Here it makes depth maps,
which are fused, where the authors look for the level in a tetrahedral grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.rendering.render_views import splats_of
from vision3d.rendering.renderer import ALPHA_MAX, BlendingWeights, RasterOptions, Renderer
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.rotations import quats_to_matrices

_BISECTIONS = 16
_REACH = 3.5
"""Standard deviations in front of its peak at which a Gaussian's opacity begins to count."""
_SLACK = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hits:
    """Every Gaussian that a ray meets, ray by ray."""

    starts: Int[ndarray, " ray"]
    """First entry of each ray; every ray has at least one."""
    ray: Int[ndarray, " entry"]
    peak: Float[ndarray, " entry"]
    """Camera depth of the largest density on the ray."""
    spread: Float[ndarray, " entry"]
    """Standard deviation along the ray, in camera depth."""
    alpha: Float[ndarray, " entry"]


def surface_depth(
    scene: GaussianScene,
    camera: CameraBatch,
    renderer: Renderer,
    *,
    options: RasterOptions = RasterOptions(),
    level: float = 0.5,
) -> Float[ndarray, "height width"]:
    """Camera depth (world units) of the surface in one view, NaN where the opacity stays below `level`."""
    weights = renderer.blending_weights(splats_of(scene), camera, options=options)[0]
    offsets = weights.row_offsets.cpu().numpy()
    running = np.concatenate([[0.0], np.cumsum(weights.weights.cpu().numpy(), dtype=np.float64)])
    opaque = np.flatnonzero(running[offsets[1:]] - running[offsets[:-1]] > level + _SLACK)
    depth = np.full(weights.height * weights.width, np.nan)
    if len(opaque):
        depth[opaque] = _depth_of_level(_hits(scene, camera, weights, opaque), level)
    return depth.reshape(weights.height, weights.width)


def _depth_of_level(hits: _Hits, level: float) -> Float[ndarray, " ray"]:
    """Where the opacity along each ray reaches the level, by bisection: it never falls on the way."""
    near = np.minimum.reduceat(hits.peak - _REACH * hits.spread, hits.starts)
    far = np.maximum.reduceat(hits.peak, hits.starts)
    goal = np.log(1 - level)
    for _ in range(_BISECTIONS):
        middle = (near + far) / 2
        before = np.minimum(middle[hits.ray] - hits.peak, 0) / hits.spread
        let_through = np.add.reduceat(np.log1p(-hits.alpha * np.exp(-0.5 * before * before)), hits.starts)
        in_front = let_through > goal
        near, far = np.where(in_front, middle, near), np.where(in_front, far, middle)
    return (near + far) / 2


def _hits(scene: GaussianScene, camera: CameraBatch, weights: BlendingWeights, pixels: Int[ndarray, " ray"]) -> _Hits:
    offsets = weights.row_offsets.cpu().numpy()
    counts = np.diff(offsets)[pixels]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    ray = np.repeat(np.arange(len(pixels)), counts)
    entries = np.arange(len(ray)) - starts[ray] + offsets[pixels][ray]
    blended = weights.weights.cpu().numpy()[entries].astype(np.float64)
    painted = np.cumsum(blended) - blended
    left = 1 - (painted - painted[starts][ray])
    along, peak = _along_rays(scene, camera, pixels[ray], weights.gaussians.cpu().numpy()[entries])
    alpha = np.clip(blended / np.maximum(left, 1e-6), 0, ALPHA_MAX)
    return _Hits(starts=starts, ray=ray, peak=peak, spread=along, alpha=alpha)


def _along_rays(
    scene: GaussianScene, camera: CameraBatch, pixels: Int[ndarray, " entry"], gaussians: Int[ndarray, " entry"]
) -> tuple[Float[ndarray, " entry"], Float[ndarray, " entry"]]:
    """Standard deviation along the ray and depth of the peak, of each Gaussian on the ray of its pixel."""
    width, _ = camera.uniform_size
    pose, matrix = camera.world_to_camera[0].double().cpu().numpy(), camera.intrinsics[0].double().cpu().numpy()
    x, y = pixels % width + 0.5, pixels // width + 0.5
    rays = np.stack([(x - matrix[0, 2]) / matrix[0, 0], (y - matrix[1, 2]) / matrix[1, 1], np.ones(len(pixels))], 1)
    centres = scene.means.detach().double().cpu().numpy() @ pose[:3, :3].T + pose[:3, 3]
    local_axes = quats_to_matrices(scene.quats.detach().double()).transpose(1, 2).cpu().numpy() @ pose[:3, :3].T
    scales = torch.exp(scene.log_scales.detach().double()).cpu().numpy()
    whitened = local_axes / scales[:, :, None]
    towards = np.einsum("gij,gj->gi", whitened, centres)
    direction = np.einsum("eij,ej->ei", whitened[gaussians], rays)
    squared = np.maximum((direction * direction).sum(1), 1e-30)
    peak = (direction * towards[gaussians]).sum(1) / squared
    # painted a little larger than it is, a Gaussian is also met by rays that miss it; their peak may lie anywhere
    depth, reach = centres[gaussians, 2], 3 * scales.max(1)[gaussians]
    return 1 / np.sqrt(squared), np.clip(peak, depth - reach, depth + reach)
