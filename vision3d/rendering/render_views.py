"""`render_views`: a `GaussianScene` seen from cameras, as colour, alpha, depth and any extra features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError
from vision3d.rendering.catalogue import choose_renderer
from vision3d.rendering.renderer import Projection, RasterOptions, Renderer, Splats
from vision3d.scene.gaussian_scene import GaussianScene

_DEPTH_ALPHA_MIN = 1e-10
_DEFAULT_OPTIONS = RasterOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedViews:
    """Images of a scene, channels last. Colours are linear in the fitted values: 0-1 but not clamped above."""

    colour: Float[Tensor, "view height width 3"]
    """RGB over the background."""
    alpha: Float[Tensor, "view height width"]
    """Coverage in 0-1."""
    depth: Float[Tensor, "view height width"] | None
    """Expected camera depth (accumulated depth / alpha), world units; 0 where nothing was hit."""
    features: Float[Tensor, "view height width dim"] | None
    """Composited features (background 0), where features were given."""
    projection: Projection
    """The splats behind the image; `means2d` takes part in autograd."""


def splats_of(scene: GaussianScene) -> Splats:
    """The Gaussians of `scene` after activation (differentiable)."""
    return Splats(means=scene.means, quats=scene.quats, scales=scene.scales, opacities=scene.opacities)


def render_views(
    scene: GaussianScene,
    cameras: CameraBatch,
    *,
    renderer: Renderer | None = None,
    background: Float[Tensor, " 3"] | None = None,
    features: Float[Tensor, "gaussian dim"] | None = None,
    with_depth: bool = False,
    sh_degree: int | None = None,
    options: RasterOptions = _DEFAULT_OPTIONS,
) -> RenderedViews:
    """Render `scene` from every camera in one traversal; differentiable in all values of the scene.

    Args:
        scene: the Gaussians.
        cameras: views of one size.
        renderer: None takes the one that fits the scene's device.
        background: RGB behind the scene; None is black.
        features: extra channels per Gaussian, composited with the same weights.
        with_depth: also composite camera depth.
        sh_degree: bands of the spherical harmonics to use; None uses all.
        options: projection and compositing settings.

    Raises:
        InvalidInputError: shapes, devices or image sizes do not fit together.
    """
    renderer = renderer or choose_renderer(scene.device)
    degree = scene.sh_degree if sh_degree is None else min(sh_degree, scene.sh_degree)
    channels = renderer.sh_to_colours(scene.sh, scene.means, cameras.camera_centres, degree=degree)
    base = None if background is None else background.to(channels)
    if features is not None:
        if features.ndim != 2 or features.shape[0] != len(scene):
            raise InvalidInputError(
                f"render_views: expected features [gaussian dim] for {len(scene)} Gaussians, found "
                f"{tuple(features.shape)}. Give one row per Gaussian."
            )
        channels = torch.cat([channels, features.to(channels).expand(len(cameras), *features.shape)], -1)
        if base is not None:
            base = torch.cat([base, base.new_zeros(features.shape[1])])
    result = renderer.rasterize(
        splats_of(scene), cameras, channels, background=base, with_depth=with_depth, options=options
    )
    depth = None if result.depth is None else result.depth / result.alpha.clamp_min(_DEPTH_ALPHA_MIN)
    return RenderedViews(
        colour=result.channels[..., :3],
        alpha=result.alpha,
        depth=depth,
        features=None if features is None else result.channels[..., 3:],
        projection=result.projection,
    )
