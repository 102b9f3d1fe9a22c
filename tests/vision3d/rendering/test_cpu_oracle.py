"""The CPU renderer against the dense float64 oracle: image <= 1e-5 absolute, every gradient <= 1e-4 relative.

Samples within float32 rounding of a threshold (alpha 1/255 or 0.999, transmittance 1e-4) may rightly fall on the other
side in float32: the oracle finds their pixels, which are left out of image and gradient. At most 1 in 200 may be so.
"""

from __future__ import annotations

import pytest
import torch

from tests.vision3d.rendering.splat_cases import (
    Case,
    capped_case,
    near_plane_case,
    random_case,
    relative_error,
    render,
    saturated_case,
    settled_pixels,
)
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.dense_renderer import DenseRenderer
from vision3d.rendering.render_views import render_views
from vision3d.rendering.renderer import RasterOptions
from vision3d.scene.gaussian_scene import GaussianScene

IMAGE_TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 1e-4
UNSETTLED_SHARE = 0.005

CASES: dict[str, Case] = {
    "rgb": random_case(0),
    "rgb with depth": random_case(1, with_depth=True),
    "antialiased with depth": random_case(2, with_depth=True, options=RasterOptions(antialiased=True)),
    "five channels antialiased": random_case(3, dims=5, with_depth=True, options=RasterOptions(antialiased=True)),
    "thirty-two channels": random_case(0, dims=32),
    "thirty-two channels with depth": random_case(1, dims=32, with_depth=True),
    "one channel": random_case(2, dims=1),
    "saturated pile": saturated_case(4),
    "saturated pile wide": Case(
        **{
            **saturated_case(5).__dict__,
            "channels": torch.linspace(0, 50, 40 * 7).sin().view(40, 7).double(),
            "background": None,
        }
    ),
    "capped alpha": capped_case(11),
    "capped alpha wide": Case(
        **{
            **capped_case(12).__dict__,
            "channels": torch.linspace(0, 1, 12 * 6).view(12, 6).double(),
            "background": None,
        }
    ),
    "channels of each view": Case(
        **{**random_case(13).__dict__, "channels": torch.linspace(0, 1, 2 * 60 * 3).view(2, 60, 3).sin().double()}
    ),
    "one background for all views": Case(
        **{**random_case(14).__dict__, "background": torch.tensor([0.2, 0.5, 0.9]).double()}
    ),
    "small splats dropped": random_case(15, options=RasterOptions(radius_clip=8.0)),
    "no low-pass": random_case(16, options=RasterOptions(eps2d=0.0)),
    "near plane": near_plane_case(6),
    "no background": Case(**{**random_case(7).__dict__, "background": None}),
    "one Gaussian": random_case(8, count=1),
    "three views": random_case(9, views=3),
}


@pytest.mark.parametrize("name", CASES)
def test_image_and_gradients_agree_with_the_oracle(name: str) -> None:
    settled = settled_pixels(CASES[name])
    assert (~settled).double().mean() <= UNSETTLED_SHARE
    found, found_gradients = render(CpuRenderer(), CASES[name], torch.float32, settled=settled)
    truth, true_gradients = render(DenseRenderer(), CASES[name], torch.float64, settled=settled)
    assert (found.channels - truth.channels)[settled].abs().max() <= IMAGE_TOLERANCE
    assert (found.alpha - truth.alpha)[settled].abs().max() <= IMAGE_TOLERANCE
    if truth.depth is not None and found.depth is not None:
        assert (found.depth - truth.depth)[settled].abs().max() <= IMAGE_TOLERANCE * 5  # depths reach 4 units
    assert torch.equal(found.projection.radii > 0, truth.projection.radii > 0)
    errors = {key: relative_error(found_gradients[key], true_gradients[key]) for key in true_gradients}
    assert max(errors.values()) <= GRADIENT_TOLERANCE, errors


def test_the_cases_probe_what_they_say() -> None:
    pile, _ = render(DenseRenderer(), CASES["saturated pile"], torch.float64)
    assert pile.alpha.max() > 1 - 1e-3  # pixels that stop early
    capped, _ = render(DenseRenderer(), CASES["capped alpha"], torch.float64)
    assert (capped.alpha > 0.999).any()
    dropped, _ = render(DenseRenderer(), CASES["small splats dropped"], torch.float64)
    everything, _ = render(DenseRenderer(), random_case(15), torch.float64)
    assert 0 < (dropped.projection.radii > 0).sum() < (everything.projection.radii > 0).sum()
    near, _ = render(DenseRenderer(), CASES["near plane"], torch.float64)
    drawn = near.projection.radii[0, :, 0] > 0
    behind = CASES["near plane"].means[:, 2] < 1.0
    assert drawn.any()
    assert behind.any()
    assert not (drawn & behind).any()


def test_no_gaussians_leave_the_background() -> None:
    case = random_case(0, count=0)
    found, gradients = render(CpuRenderer(), case, torch.float32)
    assert case.background is not None
    assert torch.equal(found.channels, case.background.float()[:, None, None].expand_as(found.channels))
    assert torch.equal(found.alpha, torch.zeros_like(found.alpha))
    assert gradients["means"].shape == (0, 3)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_harmonics_through_render_views(degree: int) -> None:
    case = random_case(10 + degree)
    generator = torch.Generator().manual_seed(degree)
    sh = torch.randn(60, 16, 3, generator=generator, dtype=torch.float64) * 0.3
    results = []
    for renderer, dtype in ((CpuRenderer(), torch.float32), (DenseRenderer(), torch.float64)):
        leaves = {
            "means": case.means.to(dtype).requires_grad_(),
            "quats": case.quats.to(dtype).requires_grad_(),
            "log_scales": case.scales.log().to(dtype).requires_grad_(),
            "opacity_logits": torch.logit(case.opacities).to(dtype).requires_grad_(),
            "sh": sh.to(dtype).requires_grad_(),
        }
        out = render_views(GaussianScene(**leaves), case.cameras, renderer=renderer, sh_degree=degree, with_depth=True)
        (out.colour.square().sum() + out.alpha.sum()).backward()
        results.append((out, {key: leaf.grad for key, leaf in leaves.items()}))
    (found, found_gradients), (truth, true_gradients) = results
    assert (found.colour - truth.colour).abs().max() <= IMAGE_TOLERANCE
    errors = {key: relative_error(found_gradients[key], true_gradients[key]) for key in true_gradients}
    assert max(errors.values()) <= GRADIENT_TOLERANCE, errors
    assert not true_gradients["sh"][:, (degree + 1) ** 2 :].any()


def test_the_oracle_agrees_with_finite_differences() -> None:
    case = random_case(20, count=3, dims=2, views=1)

    def loss(means: torch.Tensor, scales: torch.Tensor, opacities: torch.Tensor) -> torch.Tensor:
        moved = Case(**{**case.__dict__, "means": means, "scales": scales, "opacities": opacities})
        from vision3d.rendering.renderer import Splats

        splats = Splats(means=moved.means, quats=moved.quats, scales=moved.scales, opacities=moved.opacities)
        return DenseRenderer().rasterize(splats, moved.cameras, moved.channels).channels.sum()

    inputs = tuple(value.clone().requires_grad_() for value in (case.means, case.scales, case.opacities))
    assert torch.autograd.gradcheck(loss, inputs, eps=1e-7, atol=2e-3, rtol=2e-3)
