"""MCMC densification: equation 9 by hand and by exact series, the same picture after a relocation, noise, growth."""

from __future__ import annotations

import math
from decimal import Decimal, getcontext

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.vision3d.reconstruction.known_scenes import known_scene, ring_cameras
from vision3d.errors import InvalidInputError
from vision3d.reconstruction.densification.densifier import DensifyStep
from vision3d.reconstruction.densification.mcmc import McmcConfig, McmcDensifier, add_position_noise, relocation
from vision3d.reconstruction.splat_parameters import (
    LearningRates,
    Optimisers,
    Parameters,
    make_optimisers,
    parameters_of,
    scene_of,
)
from vision3d.rendering.dense_renderer import DenseRenderer
from vision3d.rendering.render_views import render_views
from vision3d.rendering.renderer import Projection
from vision3d.scene.gaussian_scene import GaussianScene


def _at(step: int, means_rate: float = 1e-4) -> DensifyStep:
    nothing = torch.zeros(1, 1)
    projection = Projection(
        means2d=torch.zeros(1, 1, 2),
        radii=torch.zeros(1, 1, 2, dtype=torch.int32),
        depths=nothing,
        conics=torch.zeros(1, 1, 3),
        opacities=nothing,
    )
    return DensifyStep(step=step, means_rate=means_rate, projection=projection, width=1, height=1)


def _trained(scene: GaussianScene) -> tuple[Parameters, Optimisers]:
    """Parameters after an Adam step of rate 0, so that values are kept and every moment is 0.1."""
    parameters = parameters_of(scene)
    still = LearningRates(means=0.0, scales=0.0, quats=0.0, opacities=0.0, sh0=0.0, shN=0.0)
    optimisers = make_optimisers(parameters, still, 1.0)
    sum(value.sum() for value in parameters.values()).backward()
    for optimiser in optimisers.values():
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return parameters, optimisers


def _with_opacity(scene: GaussianScene, rows: slice, opacity: float) -> GaussianScene:
    logits = scene.opacity_logits.clone()
    logits[rows] = math.log(opacity / (1 - opacity))
    return GaussianScene(
        means=scene.means, quats=scene.quats, log_scales=scene.log_scales, opacity_logits=logits, sh=scene.sh
    )


def test_two_copies_by_hand() -> None:
    # o = 0.75: 1 - sqrt(0.25) = 0.5 each; the series is o' + (o' - o'^2 / sqrt 2) = 1 - 0.25 / sqrt 2
    opacities, scales = relocation(torch.tensor([0.75]), torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([2]))
    factor = 0.75 / (1.0 - 0.25 / math.sqrt(2))
    assert float(opacities) == pytest.approx(0.5, abs=1e-7)
    assert scales[0].tolist() == pytest.approx([factor, 2 * factor, 3 * factor], rel=1e-6)


def test_one_copy_changes_nothing() -> None:
    opacities, scales = relocation(torch.tensor([0.3, 0.9]), torch.ones(2, 3), torch.tensor([1, 1]))
    assert opacities.tolist() == pytest.approx([0.3, 0.9], rel=1e-6)
    assert scales.flatten().tolist() == pytest.approx([1.0] * 6, rel=1e-6)


@given(opacity=st.floats(0.005, 0.9999), copies=st.integers(1, 51))
def test_the_series_of_the_paper_in_exact_arithmetic(opacity: float, copies: int) -> None:
    getcontext().prec = 60
    given_opacity = torch.tensor([opacity])
    old = Decimal(given_opacity.double().item())
    shared = 1 - (1 - old) ** (Decimal(1) / copies)
    series = sum(
        Decimal(math.comb(i - 1, k) * (-1) ** k) * shared ** (k + 1) / Decimal(k + 1).sqrt()
        for i in range(1, copies + 1)
        for k in range(i)
    )
    found, scales = relocation(given_opacity, torch.ones(1, 3), torch.tensor([copies]))
    assert float(found) == pytest.approx(float(shared), rel=2e-7)
    assert float(scales[0, 0]) == pytest.approx(float(old / series), rel=2e-7)


def test_the_integral_through_the_centre_is_kept() -> None:
    # the law behind equation 9, integrated numerically: light stopped along the line is the same before and after
    line = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    for opacity, copies in ((0.9, 2), (0.6, 3), (0.3, 7)):
        shared, scale = relocation(torch.tensor([opacity]), torch.ones(1, 3), torch.tensor([copies]))
        before = (opacity * torch.exp(-(line**2) / 2)).sum()
        each = shared.double() * torch.exp(-((line / scale[0, 0].double()) ** 2) / 2)
        after = (1 - (1 - each) ** copies).sum()
        assert float(after / before) == pytest.approx(1.0, abs=1e-5)


def test_relocation_leaves_nearly_the_same_picture() -> None:
    scene = _with_opacity(known_scene(40), slice(0, 10), 0.004)  # a quarter is dead
    cameras, renderer = ring_cameras(2), DenseRenderer()
    before = render_views(scene, cameras, renderer=renderer).colour
    parameters, optimisers = _trained(scene)
    McmcDensifier(McmcConfig(gaussian_cap=40, **_quiet()), steps=100, seed=0).after_step(parameters, optimisers, _at(0))
    moved = (parameters["means"].detach() - scene.means).norm(dim=1) > 0
    assert moved[:10].all()
    assert not moved[10:].any()
    after = render_views(scene_of(parameters), cameras, renderer=renderer).colour.detach()
    naive = _with_copies_that_keep_opacity(scene, parameters)
    wrong = render_views(naive, cameras, renderer=renderer).colour
    difference = float((after - before).abs().mean())
    # equal along lines through the centres, not at every pixel: on average within one level of 8-bit colour, and far
    # nearer than copies that keep opacity and scale
    assert difference < 1.0 / 255
    assert difference < 0.3 * float((wrong - before).abs().mean())


def _quiet() -> dict[str, float]:
    return {"start": 0.0, "stop": 1.0, "every": 10, "noise_rate": 0.0}


def _with_copies_that_keep_opacity(scene: GaussianScene, parameters: Parameters) -> GaussianScene:
    means = parameters["means"].detach()
    source = torch.cdist(means, scene.means).argmin(1)
    return GaussianScene(
        means=means,
        quats=scene.quats[source],
        log_scales=scene.log_scales[source],
        opacity_logits=scene.opacity_logits[source],
        sh=scene.sh[source],
    )


def test_dead_gaussians_become_copies_and_lose_their_moments() -> None:
    scene = _with_opacity(known_scene(30), slice(0, 5), 0.004)
    parameters, optimisers = _trained(scene)
    McmcDensifier(McmcConfig(gaussian_cap=30, **_quiet()), steps=100, seed=0).after_step(parameters, optimisers, _at(0))
    source = torch.cdist(parameters["means"][:5], scene.means[5:]).argmin(1) + 5
    for name, parameter in parameters.items():
        assert torch.equal(parameter[:5], parameter[source]), name
        if parameter.numel() == 0:
            continue
        touched = torch.zeros(30, dtype=torch.bool)
        touched[:5] = True
        touched[source] = True
        first = optimisers[name].state[parameter]["exp_avg"].reshape(30, -1)
        assert not first[touched].any()
        assert torch.allclose(first[~touched], torch.tensor(0.1))  # Adam's first moment of a gradient of 1
    assert (torch.sigmoid(parameters["opacities"]) > 0.005).all()


def test_growth_and_cap() -> None:
    parameters, optimisers = _trained(known_scene(60))
    densifier = McmcDensifier(McmcConfig(gaussian_cap=70, **_quiet()), steps=100, seed=0)
    counts = []
    for step in range(60):
        densifier.after_step(parameters, optimisers, _at(step))
        counts.append(len(parameters["means"]))
    # every 10 steps: 60 * 1.05 = 63, 66.15, 69.3, then the cap
    assert counts[::10] == [63, 66, 69, 70, 70, 70]
    assert counts[1] == counts[9] == 63
    for name, optimiser in optimisers.items():
        assert optimiser.param_groups[0]["params"][0] is parameters[name]
        moments = optimiser.state[parameters[name]]["exp_avg"]
        assert moments.shape == parameters[name].shape
        assert not moments[60:].any()


def test_nothing_changes_outside_start_and_stop() -> None:
    parameters, optimisers = _trained(known_scene(60))
    config = McmcConfig(start=0.2, stop=0.5, every=10, noise_rate=1.0, gaussian_cap=1000)
    densifier = McmcDensifier(config, steps=100, seed=0)
    for step, count in ((0, 60), (10, 60), (20, 63), (40, 66), (50, 66), (90, 66)):
        densifier.after_step(parameters, optimisers, _at(step))
        assert len(parameters["means"]) == count
    before = parameters["means"].detach().clone()
    parameters["opacities"].data.fill_(-6.0)
    densifier.after_step(parameters, optimisers, _at(51, means_rate=1.0))
    assert torch.equal(parameters["means"], before)


def test_a_scene_that_is_all_dead_is_left_alone() -> None:
    scene = _with_opacity(known_scene(10), slice(None), 0.001)
    parameters, optimisers = _trained(scene)
    McmcDensifier(McmcConfig(gaussian_cap=10, **_quiet()), steps=100, seed=0).after_step(parameters, optimisers, _at(0))
    assert torch.equal(parameters["means"], scene.means)


def test_noise_follows_opacity_and_shape() -> None:
    # identity rotations: displacement = eta * gate * size * sigma^2 per axis
    count = 4000
    opacity = torch.tensor([0.999, 0.005, 0.03]).repeat_interleave(count)
    scene = GaussianScene(
        means=torch.zeros(3 * count, 3),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(3 * count, 1),
        log_scales=torch.log(torch.tensor([0.1, 0.2, 0.4])).repeat(3 * count, 1),
        opacity_logits=torch.logit(opacity),
        sh=torch.zeros(3 * count, 1, 3),
    )
    parameters = parameters_of(scene)
    add_position_noise(parameters, 2.0, torch.Generator().manual_seed(0))
    solid, faint, middle = parameters["means"].detach().split(count)
    assert not solid.any()
    # gates: sigmoid(0) = 0.5 and sigmoid(-2.5); 4000 draws give a deviation to 1 / sqrt(8000) = 1.1 %, here 4 of these
    for moved, gate in ((faint, 0.5), (middle, 1 / (1 + math.exp(2.5)))):
        expected = torch.tensor([0.01, 0.04, 0.16]) * gate * 2.0
        assert torch.allclose(moved.std(0) / expected, torch.ones(3), atol=0.045)


def test_noise_turns_with_the_gaussian() -> None:
    # a needle along local x, turned by 90 degrees about z, lies along world y: so does its noise
    half = math.sqrt(0.5)
    scene = GaussianScene(
        means=torch.zeros(500, 3),
        quats=torch.tensor([[half, 0, 0, half]]).repeat(500, 1),
        log_scales=torch.log(torch.tensor([[1.0, 0.01, 0.01]])).repeat(500, 1),
        opacity_logits=torch.full((500,), -6.0),
        sh=torch.zeros(500, 1, 3),
    )
    parameters = parameters_of(scene)
    add_position_noise(parameters, 1.0, torch.Generator().manual_seed(0))
    spread = parameters["means"].detach().std(0)
    assert float(spread[1]) > 1000 * float(spread[0])
    assert float(spread[1]) > 1000 * float(spread[2])


def test_seed_and_step_alone_decide() -> None:
    def run(seed: int) -> torch.Tensor:
        scene = _with_opacity(known_scene(60), slice(0, 20), 0.004)
        parameters, optimisers = _trained(scene)
        densifier = McmcDensifier(McmcConfig(gaussian_cap=80, start=0.0, stop=1.0, every=5), steps=100, seed=seed)
        torch.rand(seed + 1)  # the global generator takes no part
        for step in range(11):
            densifier.after_step(parameters, optimisers, _at(step))
        return parameters["means"].detach().clone()

    assert torch.equal(run(4), run(4))
    assert not torch.equal(run(4), run(5))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"gaussian_cap": 0}, "found 0"),
        ({"growth": 0.9}, "0.9"),
        ({"every": 0}, "every"),
        ({"start": 0.6, "stop": 0.5}, "0.6"),
        ({"stop": 1.5}, "1.5"),
        ({"opacity_min": 0.0}, "opacity_min"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, float], named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        McmcConfig(**changes)
