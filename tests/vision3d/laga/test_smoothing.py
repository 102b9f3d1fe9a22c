"""Smoothing by neighbours: a plain loop, and the laws of scale, turn and range."""

from __future__ import annotations

import math

import pytest
import torch

from tests.vision3d.laga.moved_world import some_similarity
from vision3d.laga.smoothing import neighbour_weights, smooth
from vision3d.scene.gaussian_scene import SH_C0, GaussianScene
from vision3d.scene.transforms import apply_similarity


def _scene(count: int = 60) -> GaussianScene:
    return GaussianScene(
        means=torch.randn(count, 3),
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.zeros(count, 3),
        opacity_logits=torch.zeros(count),
        sh=torch.randn(count, 4, 3),
    )


def _looped(scene: GaussianScene, values: torch.Tensor, neighbours: int, sigmas: tuple[float, float, float]) -> list:
    space, colour_sigma, score = sigmas
    distances = torch.cdist(scene.means.double(), scene.means.double())
    order = distances.argsort(dim=1)[:, :neighbours]
    unit = float(distances.gather(1, order)[:, -1].sort().values[(len(scene) - 1) // 2])
    colours = (0.5 + SH_C0 * scene.sh[:, 0]).clamp(0, 1)
    result = []
    for row in range(len(scene)):
        total, weights = 0.0, 0.0
        for other in order[row].tolist():
            apart = float((colours[other] - colours[row]).square().sum())
            weight = math.exp(-((float(distances[row, other]) / unit) ** 2) / (2 * space**2))
            weight *= math.exp(-apart / (2 * colour_sigma**2))
            weight *= math.exp(-(float(values[other] - values[row]) ** 2) / (2 * score**2))
            total, weights = total + weight * float(values[other]), weights + weight
        result.append(total / weights)
    return result


def test_smoothing_is_that_of_a_plain_loop() -> None:
    scene, values = _scene(), torch.rand(60)
    near = neighbour_weights(scene, neighbours=7, sigma_space=0.6, sigma_colour=0.4)
    assert near.rows[:, 0].tolist() == list(range(60))
    assert near.weights[:, 0].tolist() == [1.0] * 60
    expected = _looped(scene, values, 7, (0.6, 0.4, 0.5))
    assert smooth(values, near, sigma_score=0.5).tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("scale", [10.0, 0.001])
def test_the_worlds_scale_and_turn_do_not_matter(scale: float) -> None:
    scene, values = _scene(), (torch.rand(60) > 0.5).float()
    moved = apply_similarity(scene, some_similarity(), scale)
    settings = {"neighbours": 16, "sigma_space": 0.5, "sigma_colour": 0.5}
    here, there = neighbour_weights(scene, **settings), neighbour_weights(moved, **settings)
    assert torch.equal(here.rows, there.rows)
    torch.testing.assert_close(here.weights, there.weights, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        smooth(values, here, sigma_score=0.5), smooth(values, there, sigma_score=0.5), atol=1e-4, rtol=1e-4
    )


def test_smoothed_values_stay_between_those_around_and_equal_ones_stay() -> None:
    scene, values = _scene(), torch.rand(60)
    near = neighbour_weights(scene, neighbours=5, sigma_space=0.5, sigma_colour=0.5)
    smoothed = smooth(values, near, sigma_score=0.5)
    assert bool((smoothed >= values[near.rows].amin(1) - 1e-6).all())
    assert bool((smoothed <= values[near.rows].amax(1) + 1e-6).all())
    assert not torch.allclose(smoothed, values, atol=1e-2)
    torch.testing.assert_close(smooth(torch.full((60,), 0.3), near, sigma_score=0.5), torch.full((60,), 0.3))


def test_a_lone_point_among_others_gives_way_and_a_block_stays() -> None:
    # a grid of alike colours: one chosen point amid others that are not, and a chosen half
    line = torch.arange(8.0)
    scene = _scene(64)
    flat = torch.cat([torch.cartesian_prod(line, line), torch.zeros(64, 1)], 1)
    scene = GaussianScene(
        means=flat,
        quats=scene.quats,
        log_scales=scene.log_scales,
        opacity_logits=scene.opacity_logits,
        sh=torch.zeros(64, 1, 3),
    )
    near = neighbour_weights(scene, neighbours=16, sigma_space=0.5, sigma_colour=0.5)
    lone = torch.zeros(64)
    lone[27] = 1
    assert not bool((smooth(lone, near, sigma_score=5.0) > 0.5).any())
    half = (flat[:, 0] < 4).float()
    assert torch.equal(smooth(half, near, sigma_score=0.5) > 0.5, half > 0.5)


@pytest.mark.parametrize(("count", "neighbours"), [(0, 16), (1, 16), (3, 16), (60, 1)])
def test_fewer_points_than_neighbours_and_none_at_all(count: int, neighbours: int) -> None:
    near = neighbour_weights(_scene(count), neighbours=neighbours, sigma_space=0.5, sigma_colour=0.5)
    assert near.rows.shape == near.weights.shape == (count, min(count, neighbours) if count else 1)
    values = torch.rand(count)
    smoothed = smooth(values, near, sigma_score=0.5)
    assert bool(torch.isfinite(smoothed).all())
    if neighbours == 1 or count == 1:
        torch.testing.assert_close(smoothed, values)


def test_points_at_one_place_do_not_divide_by_nothing() -> None:
    scene = _scene(20)
    scene.means[:] = 1.0
    near = neighbour_weights(scene, neighbours=4, sigma_space=0.5, sigma_colour=0.5)
    assert bool(torch.isfinite(smooth(torch.rand(20), near, sigma_score=0.5)).all())
