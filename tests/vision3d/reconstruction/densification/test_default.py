"""gsplat's clone, split and prune really happen on CPU tensors with the gradients of our renderer."""

from __future__ import annotations

import pytest
import torch

from tests.vision3d.rendering.splat_cases import cameras
from vision3d.reconstruction.densification.default import DefaultConfig, DefaultDensifier
from vision3d.reconstruction.densification.densifier import DensifyStep
from vision3d.reconstruction.splat_parameters import (
    LearningRates,
    Optimisers,
    Parameters,
    make_optimisers,
    parameters_of,
    scene_of,
)
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.render_views import render_views
from vision3d.scene.gaussian_scene import GaussianScene

pytest.importorskip("gsplat", reason="needs gsplat")

SMALL, LARGE, FAINT, HIDDEN = range(4)
CONFIG = DefaultConfig(start=0.0, stop=1.0, every=2, reset_every=1000, grow_gradient=1e-6)


def _scene() -> GaussianScene:
    """A small and a large Gaussian in view, one nearly transparent, one behind the camera."""
    return GaussianScene(
        means=torch.tensor([[-0.3, 0, 2.0], [0.3, 0.1, 2.0], [0, -0.3, 2.0], [0, 0, -2.0]]),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(4, 1),
        log_scales=torch.tensor([0.005, 0.2, 0.1, 0.1]).log()[:, None].repeat(1, 3),
        opacity_logits=torch.logit(torch.tensor([0.9, 0.8, 0.0035, 0.7])),
        sh=torch.full((4, 4, 3), 0.5),
    )


def _step(densifier: DefaultDensifier, parameters: Parameters, optimisers: Optimisers, step: int) -> None:
    views = cameras(1)
    rendered = render_views(scene_of(parameters), views, renderer=CpuRenderer())
    rendered.projection.means2d.retain_grad()
    width, height = views.uniform_size
    ramp = torch.linspace(0, 1, width)[None, None, :, None] + torch.linspace(0, 1, height)[None, :, None, None]
    (rendered.colour * ramp).mean().backward()
    at = DensifyStep(step=step, means_rate=0.0, projection=rendered.projection, width=width, height=height)
    densifier.after_backward(parameters, optimisers, at)
    for optimiser in optimisers.values():
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)


def _start(config: DefaultConfig) -> tuple[DefaultDensifier, Parameters, Optimisers]:
    parameters = parameters_of(_scene())
    still = LearningRates(means=0.0, scales=0.0, quats=0.0, opacities=0.0, sh0=0.0, shN=0.0)
    return DefaultDensifier(config, steps=100, scene_scale=1.0), parameters, make_optimisers(parameters, still, 1.0)


def test_clone_split_and_prune() -> None:
    densifier, parameters, optimisers = _start(CONFIG)
    for step in range(3):
        _step(densifier, parameters, optimisers, step)
        if step < 2:
            assert len(parameters["means"]) == 4
    # the small one is cloned (+1), the large one becomes two (+1), the faint one goes (-1), the hidden one stays
    assert len(parameters["means"]) == 5
    near_small = (parameters["means"] - _scene().means[SMALL]).norm(dim=1) < 1e-6
    assert near_small.sum() == 2
    largest = parameters["scales"].exp().amax(1)
    assert ((largest - 0.2 / 1.6).abs() < 1e-5).sum() == 2  # 3DGS halves split by 1.6
    assert (parameters["opacities"].sigmoid() >= CONFIG.opacity_min).all()
    assert (parameters["means"][:, 2] < 0).sum() == 1
    for name, parameter in parameters.items():
        assert len(parameter) == 5
        assert optimisers[name].param_groups[0]["params"][0] is parameter
        assert optimisers[name].state[parameter]["exp_avg"].shape == parameter.shape
    _step(densifier, parameters, optimisers, 3)  # the fit goes on with the new rows


def test_the_cap_stops_growth_but_not_pruning() -> None:
    densifier, parameters, optimisers = _start(
        DefaultConfig(start=0.0, stop=1.0, every=2, reset_every=1000, grow_gradient=1e-6, gaussian_cap=4)
    )
    for step in range(3):
        _step(densifier, parameters, optimisers, step)
    assert len(parameters["means"]) == 3


def test_opacities_are_left_alone_until_the_reset() -> None:
    config = DefaultConfig(start=0.9, stop=1.0, every=2, reset_every=3, grow_gradient=1e-6)
    densifier, parameters, optimisers = _start(config)
    for step in range(3):
        _step(densifier, parameters, optimisers, step)
        assert torch.allclose(parameters["opacities"].sigmoid()[:2], torch.tensor([0.9, 0.8]))
    _step(densifier, parameters, optimisers, 3)
    assert torch.allclose(parameters["opacities"].sigmoid()[:2], torch.tensor([0.01, 0.01]))


def test_gathered_gradients_survive_a_checkpoint() -> None:
    densifier, parameters, optimisers = _start(CONFIG)
    _step(densifier, parameters, optimisers, 0)
    kept = {name: value.clone() for name, value in densifier.state().items()}
    assert kept["count"].tolist() == [1, 1, 0, 0]  # the faint one is under 1/255, the hidden one behind the camera
    assert (kept["grad2d"][:2] > 1e-6).all()
    resumed, _, _ = _start(CONFIG)
    resumed.load_state(kept)
    assert torch.equal(resumed.state()["grad2d"], kept["grad2d"])
