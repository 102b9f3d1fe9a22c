"""Small random sets of splats that probe one thing each, and the two renders that are compared."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.rendering.dense_projection import alphas_of, depth_order, pixel_centres, project_densely
from vision3d.rendering.renderer import (
    ALPHA_MAX,
    ALPHA_MIN,
    TRANSMITTANCE_MIN,
    Rasterization,
    RasterOptions,
    Renderer,
    Splats,
)

WIDTH, HEIGHT = 56, 41
_ALPHA_MARGIN = 3e-5
_TRANSMITTANCE_MARGIN = 2e-4


@dataclass(frozen=True, kw_only=True)
class Case:
    """Inputs of one render; float64, cast as needed."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    channels: Tensor
    background: Tensor | None
    cameras: CameraBatch
    with_depth: bool = False
    options: RasterOptions = field(default_factory=RasterOptions)


def cameras(views: int = 2, width: int = WIDTH, height: int = HEIGHT) -> CameraBatch:
    """fx differs from fy and the principal point lies off the centre; the second view is shifted and turned."""
    poses = torch.eye(4).repeat(views, 1, 1)
    for view in range(1, views):
        angle = torch.tensor(0.12 * view)
        poses[view, 0, 0], poses[view, 0, 2] = torch.cos(angle), torch.sin(angle)
        poses[view, 2, 0], poses[view, 2, 2] = -torch.sin(angle), torch.cos(angle)
        poses[view, 0, 3] = 0.25 * view
    matrix = torch.tensor([[60.0, 0, 0.45 * width], [0, 52.0, 0.57 * height], [0, 0, 1]])
    return CameraBatch(
        world_to_camera=poses,
        intrinsics=matrix.repeat(views, 1, 1),
        image_sizes=torch.tensor([[width, height]] * views),
        names=tuple(f"view_{view}" for view in range(views)),
    )


def random_case(seed: int, *, count: int = 60, dims: int = 3, views: int = 2, **settings) -> Case:
    """Splats of mixed size and opacity in front of the cameras, some outside the image."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    return Case(
        means=(uniform(count, 3) - 0.5) * 3.0 + torch.tensor([0.0, 0.0, 2.5], dtype=torch.float64),
        quats=torch.randn(count, 4, generator=generator, dtype=torch.float64),
        scales=uniform(count, 3) * 0.2 + 0.01,
        opacities=uniform(count) * 0.95 + 0.02,
        channels=uniform(count, dims),
        background=uniform(views, dims),
        cameras=cameras(views),
        **settings,
    )


def saturated_case(seed: int) -> Case:
    """A pile of nearly opaque splats on one spot: transmittance runs out in the middle of the list."""
    case = random_case(seed, count=40)
    generator = torch.Generator().manual_seed(seed + 1)
    means = torch.zeros(40, 3, dtype=torch.float64)
    means[:, :2] = 0.05 * torch.randn(40, 2, generator=generator, dtype=torch.float64)
    means[:, 2] = 2.0 + 0.05 * torch.arange(40)
    opacities = torch.linspace(0.7, 0.9985, 40, dtype=torch.float64)
    return Case(**{**case.__dict__, "means": means, "opacities": opacities, "scales": case.scales * 2 + 0.1})


def near_plane_case(seed: int) -> Case:
    """Splats before, at and behind a near plane of 1."""
    case = random_case(seed, count=50)
    means = case.means.clone()
    means[:, 2] = torch.linspace(-0.5, 2.5, 50, dtype=torch.float64)
    return Case(**{**case.__dict__, "means": means, "options": RasterOptions(near=1.0)})


def capped_case(seed: int) -> Case:
    """Many splats of opacity 1: their middle is capped at 0.999 and passes no gradient on."""
    case = random_case(seed, count=12)
    opacities = torch.where(torch.arange(12) % 2 == 0, torch.ones_like(case.opacities), case.opacities)
    return Case(**{**case.__dict__, "opacities": opacities, "scales": case.scales + 0.2})


def settled_pixels(case: Case) -> Tensor:
    """[view height width]: False where a sample lies so near a threshold that float32 may rightly decide otherwise."""
    splats = Splats(means=case.means, quats=case.quats, scales=case.scales, opacities=case.opacities)
    width, height = case.cameras.uniform_size
    xs, ys = pixel_centres((width, height), case.means)
    views = []
    for pose, intrinsics in zip(case.cameras.world_to_camera, case.cameras.intrinsics, strict=True):
        one = project_densely(splats, pose.double(), intrinsics.double(), (width, height), case.options)
        settled, live, left = torch.ones_like(xs, dtype=torch.bool), torch.ones_like(xs, dtype=torch.bool), 0 * xs + 1
        for row in depth_order(one):
            alpha = alphas_of(one, row, xs, ys)
            near_edge = ((alpha / ALPHA_MIN - 1).abs() < _ALPHA_MARGIN) | ((alpha / ALPHA_MAX - 1).abs() < 1e-6)
            after = left * (1 - torch.where(alpha >= ALPHA_MIN, alpha.clamp_max(ALPHA_MAX), 0 * alpha))
            near_end = (after / TRANSMITTANCE_MIN - 1).abs() < _TRANSMITTANCE_MARGIN
            settled &= ~(live & (near_edge | near_end))
            live &= after > TRANSMITTANCE_MIN
            left = torch.where(live, after, left)
        views.append(settled.view(height, width))
    return torch.stack(views)


def render(
    renderer: Renderer, case: Case, dtype: torch.dtype, seed: int = 9, settled: Tensor | None = None
) -> tuple[Rasterization, dict[str, Tensor]]:
    """Render and pull a random gradient through colour, alpha and depth; returns the render and all gradients.

    Pixels that are False in `settled` pull nothing.
    """
    names = ("means", "quats", "scales", "opacities", "channels", "background")
    leaves = {
        name: getattr(case, name).to(dtype).clone().requires_grad_()
        for name in names
        if getattr(case, name) is not None
    }
    splats = Splats(**{name: leaves[name] for name in names[:4]})
    out = renderer.rasterize(
        splats,
        case.cameras,
        leaves["channels"],
        background=leaves.get("background"),
        with_depth=case.with_depth,
        options=case.options,
    )
    out.projection.means2d.retain_grad()
    generator = torch.Generator().manual_seed(seed)

    def pull(values: Tensor) -> Tensor:
        weights = torch.randn(values.shape, generator=generator, dtype=torch.float64).to(values)
        if settled is not None:
            weights = weights * (settled[..., None] if values.ndim == 4 else settled)
        return (values * weights).sum()

    loss = pull(out.channels) + pull(out.alpha)
    if out.depth is not None:
        loss = loss + pull(out.depth)
    loss.backward()
    gradients = {name: leaf.grad for name, leaf in leaves.items()}
    gradients["means2d"] = out.projection.means2d.grad
    return out, gradients


def relative_error(found: Tensor, truth: Tensor) -> float:
    """Norm of the difference over the norm of the truth (absolute where the truth is 0)."""
    size = float(truth.norm())
    difference = float((found.double() - truth.double()).norm())
    return difference / size if size > 0 else difference
