"""`GsplatRenderer`: the `Renderer` protocol on CUDA, by gsplat's public calls."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.rendering.checks import check_degree, check_label_map, check_raster_inputs
from vision3d.rendering.gsplat_door import import_gsplat
from vision3d.rendering.renderer import (
    BlendingWeights,
    LabelWeights,
    Projection,
    Rasterization,
    RasterOptions,
    Splats,
    TopContributors,
)
from vision3d.rendering.sparse_weights import (
    label_weights_from_sparse,
    sparse_from_samples,
    top_contributors_from_sparse,
)

_DEFAULT_OPTIONS = RasterOptions()
_ALL_BATCHES = 1_000_000


class GsplatRenderer:
    """Renders on CUDA through gsplat; see `Renderer` for what each method answers."""

    name = "gsplat"

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
        dims = channels.shape[-1]
        backgrounds = None if background is None else background.expand(len(cameras), dims).contiguous()
        image, alpha, info = self._call(splats, cameras, channels, backgrounds, with_depth, options)
        return Rasterization(
            channels=image[..., :dims],
            alpha=alpha[..., 0],
            depth=image[..., dims] if with_depth else None,
            projection=_projection(info),
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
        gsplat = import_gsplat(means.device)
        directions = means[None] - camera_centres[:, None]
        coefficients = sh.expand(camera_centres.shape[0], *sh.shape)
        return torch.clamp_min(gsplat.spherical_harmonics(degree, directions, coefficients) + 0.5, 0.0)

    @torch.no_grad()
    def blending_weights(
        self, splats: Splats, cameras: CameraBatch, *, options: RasterOptions = _DEFAULT_OPTIONS
    ) -> tuple[BlendingWeights, ...]:
        """One sparse matrix of blending weights per view. See `Renderer.blending_weights`."""
        gsplat = import_gsplat(splats.means.device)
        check_raster_inputs(splats, cameras, splats.opacities[:, None], None)
        width, height = cameras.uniform_size
        matrices = []
        for name in cameras.names:
            one = cameras.select([name])
            _, _, info = self._call(splats, one, splats.opacities[:, None], None, False, options)
            gaussians, pixels, _ = gsplat.rasterize_to_indices_in_range(
                0, _ALL_BATCHES, torch.ones(1, height, width, device=splats.means.device),
                info["means2d"], info["conics"], info["opacities"], width, height,
                info["tile_size"], info["isect_offsets"], info["flatten_ids"],
            )  # fmt: skip
            matrices.append(sparse_from_samples(gaussians, pixels, _projection(info), height=height, width=width))
        return tuple(matrices)

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

    def _call(
        self,
        splats: Splats,
        cameras: CameraBatch,
        channels: Tensor,
        backgrounds: Tensor | None,
        with_depth: bool,
        options: RasterOptions,
    ) -> tuple[Tensor, Tensor, dict[str, Any]]:
        gsplat = import_gsplat(splats.means.device)
        width, height = cameras.uniform_size
        return gsplat.rasterization(
            splats.means, splats.quats, splats.scales, splats.opacities, channels,
            cameras.world_to_camera, cameras.intrinsics, width, height,
            near_plane=options.near, far_plane=options.far, radius_clip=options.radius_clip, eps2d=options.eps2d,
            packed=False, backgrounds=backgrounds, render_mode="RGB+D" if with_depth else "RGB",
            absgrad=options.absgrad, rasterize_mode="antialiased" if options.antialiased else "classic",
        )  # fmt: skip


def _projection(info: dict[str, Any]) -> Projection:
    radii = info["radii"]
    if radii.ndim == 2:  # 1.4 gives one radius, 1.5 one per axis
        radii = radii[..., None].expand(*radii.shape, 2)
    # gsplat leaves whatever was in memory in the rows it does not draw
    hidden = radii[..., 0] == 0
    # in place and unseen by autograd: the image hangs on this very tensor, and reads no hidden row of it
    info["means2d"].data.masked_fill_(hidden[..., None], 0.0)
    return Projection(
        means2d=info["means2d"],
        radii=radii,
        depths=info["depths"].masked_fill(hidden, 0.0),
        conics=info["conics"].masked_fill(hidden[..., None], 0.0),
        opacities=info["opacities"].expand(radii.shape[:2]).masked_fill(hidden, 0.0),
    )
