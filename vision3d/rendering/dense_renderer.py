"""`DenseRenderer`: every Gaussian at every pixel in plain torch. Slow, obviously right, any dtype: the oracle."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.rendering.checks import check_degree, check_label_map, check_raster_inputs
from vision3d.rendering.dense_projection import DenseProjection, alphas_of, depth_order, pixel_centres, project_densely
from vision3d.rendering.renderer import (
    ALPHA_MAX,
    ALPHA_MIN,
    TRANSMITTANCE_MIN,
    BlendingWeights,
    LabelWeights,
    Projection,
    Rasterization,
    RasterOptions,
    Splats,
    TopContributors,
)
from vision3d.rendering.sparse_weights import label_weights_from_sparse, top_contributors_from_sparse
from vision3d.scene.spherical_harmonics import sh_basis

_DEFAULT_OPTIONS = RasterOptions()


class DenseRenderer:
    """The reference renderer; see `Renderer` for what each method answers."""

    name = "dense"

    def rasterize(
        self,
        splats: Splats,
        cameras: CameraBatch,
        channels: Float[Tensor, "*channel_view gaussian dim"],
        *,
        background: Float[Tensor, "*background_view dim"] | None = None,
        with_depth: bool = False,
        options: RasterOptions = _DEFAULT_OPTIONS,
    ) -> Rasterization:
        """Composite per-Gaussian channels; differentiable. See `Renderer.rasterize`."""
        check_raster_inputs(splats, cameras, channels, background)
        width, height = cameras.uniform_size
        dims, views = channels.shape[-1], len(cameras)
        stacked = channels.expand(views, len(splats), dims)
        base = channels.new_zeros(dims) if background is None else background
        base = base.expand(views, dims)
        projections = _project_views(splats, cameras, options)
        projection = _joined(projections)
        images, alphas, depths = [], [], []
        for view, single in enumerate(projections):
            # composite what `projection` holds, so that gradients reach its tensors
            shared = _taken_from(projection, single, view)
            values = torch.cat([stacked[view], projection.depths[view][:, None]], -1)
            image, transmittance = _composite(shared, values, (width, height))
            images.append(image[:, :dims] + transmittance[:, None] * base[view])
            alphas.append(1.0 - transmittance)
            depths.append(image[:, dims])
        return Rasterization(
            channels=torch.stack(images).view(views, height, width, dims),
            alpha=torch.stack(alphas).view(views, height, width),
            depth=torch.stack(depths).view(views, height, width) if with_depth else None,
            projection=projection,
        )

    def sh_to_colours(
        self,
        sh: Float[Tensor, "gaussian coefficient 3"],
        means: Float[Tensor, "gaussian 3"],
        camera_centres: Float[Tensor, "view 3"],
        *,
        degree: int,
    ) -> Float[Tensor, "view gaussian 3"]:
        """View-dependent colours, clamped below at 0; differentiable. See `Renderer.sh_to_colours`."""
        check_degree(degree, sh.shape[1])
        directions = torch.nn.functional.normalize(means[None] - camera_centres.to(means)[:, None], dim=-1)
        basis = sh_basis(directions, degree)
        return torch.clamp_min(torch.einsum("vnk,nkc->vnc", basis, sh[:, : basis.shape[-1]]) + 0.5, 0.0)

    @torch.no_grad()
    def blending_weights(
        self, splats: Splats, cameras: CameraBatch, *, options: RasterOptions = _DEFAULT_OPTIONS
    ) -> tuple[BlendingWeights, ...]:
        """One sparse matrix of blending weights per view. See `Renderer.blending_weights`."""
        check_raster_inputs(splats, cameras, splats.opacities[:, None], None)
        size = cameras.uniform_size
        return tuple(_sparse(projection, size, len(splats)) for projection in _project_views(splats, cameras, options))

    def label_weights(
        self,
        splats: Splats,
        cameras: CameraBatch,
        labels: Int[Tensor, "view height width"],
        *,
        label_count: int,
        options: RasterOptions = _DEFAULT_OPTIONS,
    ) -> LabelWeights:
        """Blending weight of each Gaussian per pixel label, summed over views. See `Renderer.label_weights`."""
        check_label_map(labels, cameras, label_count)
        return label_weights_from_sparse(self.blending_weights(splats, cameras, options=options), labels, label_count)

    def top_contributors(
        self, splats: Splats, cameras: CameraBatch, *, k: int, options: RasterOptions = _DEFAULT_OPTIONS
    ) -> TopContributors:
        """The k strongest Gaussians of every pixel. See `Renderer.top_contributors`."""
        return top_contributors_from_sparse(self.blending_weights(splats, cameras, options=options), k)


def _project_views(splats: Splats, cameras: CameraBatch, options: RasterOptions) -> list[DenseProjection]:
    dtype = splats.means.dtype
    return [
        project_densely(
            splats,
            cameras.world_to_camera[view].to(dtype),
            cameras.intrinsics[view].to(dtype),
            cameras.uniform_size,
            options,
        )
        for view in range(len(cameras))
    ]


def _joined(projections: list[DenseProjection]) -> Projection:
    return Projection(
        means2d=torch.stack([one.means2d for one in projections]),
        radii=torch.stack([one.radii for one in projections]).int(),
        depths=torch.stack([one.depths for one in projections]),
        conics=torch.stack([one.conics for one in projections]),
        opacities=torch.stack([one.opacities for one in projections]),
    )


def _taken_from(projection: Projection, single: DenseProjection, view: int) -> DenseProjection:
    return DenseProjection(
        means2d=projection.means2d[view],
        depths=projection.depths[view],
        conics=projection.conics[view],
        opacities=projection.opacities[view],
        radii=single.radii,
        drawn=single.drawn,
    )


def _weights(projection: DenseProjection, size: tuple[int, int]) -> Iterator[tuple[int, Tensor, Tensor]]:
    """(row, weight at every pixel, transmittance left) of each splat, front to back."""
    xs, ys = pixel_centres(size, projection.means2d)
    transmittance = torch.ones_like(xs)
    live = torch.ones_like(xs, dtype=torch.bool)
    for row in depth_order(projection):
        alpha = alphas_of(projection, row, xs, ys).clamp_max(ALPHA_MAX)
        alpha = torch.where(live & (alpha >= ALPHA_MIN), alpha, torch.zeros_like(alpha))
        dead = transmittance * (1.0 - alpha) <= TRANSMITTANCE_MIN
        live = live & ~dead
        alpha = torch.where(dead, torch.zeros_like(alpha), alpha)
        weight = alpha * transmittance
        transmittance = transmittance * (1.0 - alpha)
        yield row, weight, transmittance


def _composite(
    projection: DenseProjection, values: Float[Tensor, "gaussian dim"], size: tuple[int, int]
) -> tuple[Float[Tensor, "pixel dim"], Float[Tensor, " pixel"]]:
    steps = list(_weights(projection, size))
    if not steps:
        pixels = size[0] * size[1]
        return values.new_zeros(pixels, values.shape[1]), values.new_ones(pixels)
    rows = [row for row, _, _ in steps]
    return torch.stack([weight for _, weight, _ in steps]).T @ values[rows], steps[-1][2]


def _sparse(projection: DenseProjection, size: tuple[int, int], count: int) -> BlendingWeights:
    pixels, gaussians, weights = [], [], []
    for row, weight, _ in _weights(projection, size):
        hit = torch.nonzero(weight > 0)[:, 0]
        pixels.append(hit)
        gaussians.append(torch.full_like(hit, row))
        weights.append(weight[hit])
    total, device = size[0] * size[1], projection.means2d.device
    none = torch.zeros(0, dtype=torch.long, device=device)
    pixel = torch.cat([none, *pixels])
    order = torch.argsort(pixel, stable=True)
    row_offsets = torch.zeros(total + 1, dtype=torch.long, device=device)
    row_offsets[1:] = torch.bincount(pixel, minlength=total).cumsum(0)
    return BlendingWeights(
        row_offsets=row_offsets,
        gaussians=torch.cat([none, *gaussians])[order].int(),
        weights=torch.cat([projection.means2d.new_zeros(0), *weights])[order].float(),
        height=size[1],
        width=size[0],
        gaussian_count=count,
    )
