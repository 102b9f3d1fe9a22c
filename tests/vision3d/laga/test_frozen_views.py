"""Frozen views against the rasteriser, their transpose against the render, and their memory."""

from __future__ import annotations

import pytest
import torch

from tests.vision3d.laga.ball_scene import SIZE, BallScene, make_ball_scene
from vision3d.laga.frozen_views import FrozenViews, without_small_weights
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.render_views import splats_of
from vision3d.rendering.renderer import BlendingWeights


@pytest.fixture(scope="module")
def balls() -> BallScene:
    return make_ball_scene(3)


class _CountingRenderer(CpuRenderer):
    """The CPU renderer, counting how often it makes blending weights."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def blending_weights(self, *arguments: object, **settings: object) -> tuple[BlendingWeights, ...]:
        self.calls += 1
        return super().blending_weights(*arguments, **settings)  # pyright: ignore[reportArgumentType]


def test_render_equals_the_rasteriser(balls: BallScene) -> None:
    channels = torch.randn(len(balls.scene), 6)
    views = FrozenViews(balls.scene, balls.cameras, minimum_weight=0.0)
    image = CpuRenderer().rasterize(splats_of(balls.scene), balls.cameras, channels).channels[1].flatten(0, 1)
    torch.testing.assert_close(views.render(1, channels), image, rtol=0, atol=1e-5)
    pixels = torch.tensor([5, SIZE * SIZE - 1, 2_000, 5])
    torch.testing.assert_close(views.render(1, channels, pixels), image[pixels], rtol=0, atol=1e-5)


def test_small_weights_change_a_pixel_by_no_more_than_their_sum(balls: BallScene) -> None:
    channels = torch.rand(len(balls.scene), 2)
    whole = FrozenViews(balls.scene, balls.cameras, minimum_weight=0.0)
    thin = FrozenViews(balls.scene, balls.cameras, minimum_weight=0.02)
    ones = torch.ones(len(balls.scene), 1)
    lost = whole.render(0, ones) - thin.render(0, ones)
    change = whole.render(0, channels) - thin.render(0, channels)
    assert len(thin.weights(0).weights) < len(whole.weights(0).weights)
    assert bool((change >= -1e-5).all())
    assert bool((change <= lost + 1e-5).all())


def test_dropping_entries_by_hand() -> None:
    # pixels hold entries (0.5, 0.01), (), (0.3) -> (0.5), (), (0.3)
    weights = BlendingWeights(
        row_offsets=torch.tensor([0, 2, 2, 3]),
        gaussians=torch.tensor([4, 1, 2], dtype=torch.int32),
        weights=torch.tensor([0.5, 0.01, 0.3]),
        height=1,
        width=3,
        gaussian_count=5,
    )
    thin = without_small_weights(weights, 0.1)
    assert (thin.row_offsets.tolist(), thin.gaussians.tolist()) == ([0, 1, 1, 2], [4, 2])


def test_lift_is_the_transpose_of_render(balls: BallScene) -> None:
    # <render(x), y> = <x, lift(y)> for any x and y
    views = FrozenViews(balls.scene, balls.cameras)
    channels, values = torch.randn(len(balls.scene), 3), torch.randn(SIZE * SIZE, 3)
    one = (views.render(2, channels) * values).sum()
    assert one.item() == pytest.approx((channels * views.lift(2, values)).sum().item(), rel=1e-4)


def test_views_beyond_the_memory_are_made_anew(balls: BallScene) -> None:
    probe = FrozenViews(balls.scene, balls.cameras)
    first = probe.weights(0)
    size = sum(t.numel() * t.element_size() for t in (first.row_offsets, first.gaussians, first.weights))
    renderer = _CountingRenderer()
    views = FrozenViews(balls.scene, balls.cameras, renderer=renderer, memory_budget=size)
    for _ in range(4):
        assert torch.equal(views.weights(0).weights, first.weights)
    assert renderer.calls == 1
    for _ in range(4):
        views.weights(1)
    assert renderer.calls == 5
