"""Laws of the CPU renderer that need no other implementation."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
import torch

from tests.vision3d.rendering.splat_cases import Case, random_case, relative_error, render
from vision3d.cameras.camera_batch import CameraBatch
from vision3d.rendering import cpu_autograd
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.render_views import splats_of
from vision3d.rendering.renderer import Splats
from vision3d.rendering.sparse_weights import (
    entry_pixels,
    label_weights_from_sparse,
    render_pixels,
    sparse_from_samples,
    top_contributors_from_sparse,
)
from vision3d.rendering.tile_lists import TileLists, list_tiles
from vision3d.scene.gaussian_scene import GaussianScene


def _splats(case: Case) -> Splats:
    return Splats(
        means=case.means.float(), quats=case.quats.float(), scales=case.scales.float(), opacities=case.opacities.float()
    )


@pytest.mark.parametrize("dims", [3, 32])
def test_one_and_two_threads_give_the_same_bits(dims: int) -> None:
    if numba.get_num_threads() < 2:
        pytest.skip("needs a process with two Numba threads")
    case = random_case(1, count=300, dims=dims, with_depth=True)
    results = []
    before = numba.get_num_threads()
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            results.append(render(CpuRenderer(), case, torch.float32))
    finally:
        numba.set_num_threads(before)
    (one, one_gradients), (two, two_gradients) = results
    assert torch.equal(one.channels, two.channels)
    assert all(torch.equal(one_gradients[key], two_gradients[key]) for key in one_gradients)


def test_views_rendered_together_equal_views_rendered_one_by_one() -> None:
    case = random_case(2, views=3)
    assert case.background is not None
    together = CpuRenderer().rasterize(_splats(case), case.cameras, case.channels.float())
    for row, name in enumerate(case.cameras.names):
        alone = CpuRenderer().rasterize(_splats(case), case.cameras.select([name]), case.channels.float())
        assert torch.equal(alone.channels[0], together.channels[row])


def test_the_order_of_gaussians_does_not_matter() -> None:
    case = random_case(3)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    splats = _splats(case)
    shuffled = Splats(
        means=splats.means[order],
        quats=splats.quats[order],
        scales=splats.scales[order],
        opacities=splats.opacities[order],
    )
    first = CpuRenderer().rasterize(splats, case.cameras, case.channels.float())
    second = CpuRenderer().rasterize(shuffled, case.cameras, case.channels.float()[order])
    assert torch.equal(first.channels, second.channels)


def test_moving_world_and_cameras_together_changes_nothing() -> None:
    case = random_case(4)
    angle = torch.tensor(0.7)
    turn = torch.tensor([[angle.cos(), -angle.sin(), 0], [angle.sin(), angle.cos(), 0], [0, 0, 1.0]])
    shift = torch.tensor([0.4, -1.1, 2.0])
    half = angle / 2
    w, x, y, z = case.quats.float().unbind(-1)
    c, s = half.cos(), half.sin()  # (c, 0, 0, s) times (w, x, y, z)
    quats = torch.stack([c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w], -1)
    splats = _splats(case)
    moved = Splats(means=splats.means @ turn.T + shift, quats=quats, scales=splats.scales, opacities=splats.opacities)
    back = torch.eye(4)
    back[:3, :3], back[:3, 3] = turn.T, -turn.T @ shift
    cameras = CameraBatch(
        world_to_camera=case.cameras.world_to_camera @ back,
        intrinsics=case.cameras.intrinsics,
        image_sizes=case.cameras.image_sizes,
        names=case.cameras.names,
    )
    first = CpuRenderer().rasterize(splats, case.cameras, case.channels.float()).channels
    second = CpuRenderer().rasterize(moved, cameras, case.channels.float()).channels
    assert (first - second).abs().max() < 1e-4


def test_alpha_is_a_channel_of_ones_and_channels_are_linear() -> None:
    case = random_case(5)
    first, second = case.channels.float(), torch.rand(60, 3, generator=torch.Generator().manual_seed(1))
    renderer, splats = CpuRenderer(), _splats(case)
    ones = renderer.rasterize(splats, case.cameras, torch.ones(60, 1))
    assert (ones.channels[..., 0] - ones.alpha).abs().max() < 1e-6
    mixed = renderer.rasterize(splats, case.cameras, 2 * first - second).channels
    apart = 2 * renderer.rasterize(splats, case.cameras, first).channels
    apart = apart - renderer.rasterize(splats, case.cameras, second).channels
    assert (mixed - apart).abs().max() < 2e-6


def test_absgrad_bounds_the_gradient_of_means2d() -> None:
    from vision3d.rendering.renderer import RasterOptions

    case = random_case(6, options=RasterOptions(absgrad=True))
    out, gradients = render(CpuRenderer(), case, torch.float32)
    absolute = out.projection.means2d.absgrad  # type: ignore[attr-defined]
    assert (absolute + 1e-4 >= gradients["means2d"].abs()).all()
    assert (absolute > 1.01 * gradients["means2d"].abs()).any()


def test_sparse_weights_replace_the_rasteriser() -> None:
    case = random_case(7, views=1)
    renderer, splats = CpuRenderer(), _splats(case)
    (weights,) = renderer.blending_weights(splats, case.cameras)
    channels = torch.rand(60, 9, generator=torch.Generator().manual_seed(2)).requires_grad_()
    raster = renderer.rasterize(splats, case.cameras, channels)
    sparse = render_pixels(weights, channels).view_as(raster.channels)
    assert (raster.channels - sparse).abs().max() < 2e-6
    pull = torch.randn(sparse.shape, generator=torch.Generator().manual_seed(3))
    (from_sparse,) = torch.autograd.grad((sparse * pull).sum(), channels)
    (from_raster,) = torch.autograd.grad((raster.channels * pull).sum(), channels)
    assert relative_error(from_sparse, from_raster) < 1e-5
    some = torch.tensor([5, 900, 17, 5])
    assert torch.equal(render_pixels(weights, channels, some), sparse.reshape(-1, 9)[some])
    totals = torch.zeros(weights.height * weights.width).index_add(0, entry_pixels(weights), weights.weights)
    assert (totals - raster.alpha.flatten()).abs().max() < 2e-6


def test_lifting_labels_is_the_gradient_of_rendering_them() -> None:
    case = random_case(8)
    renderer, splats = CpuRenderer(), _splats(case)
    width, height = case.cameras.uniform_size
    labels = torch.randint(-1, 40, (2, height, width), generator=torch.Generator().manual_seed(4))
    lifted = renderer.label_weights(splats, case.cameras, labels, label_count=40)
    channels = torch.zeros(60, 40, requires_grad=True)
    one_hot = torch.nn.functional.one_hot(labels.clamp_min(0), 40).float() * (labels >= 0)[..., None]
    (renderer.rasterize(splats, case.cameras, channels).channels * one_hot).sum().backward()
    assert channels.grad is not None
    assert relative_error(lifted.per_label, channels.grad) < 1e-5
    matrices = renderer.blending_weights(splats, case.cameras)
    again = label_weights_from_sparse(matrices, labels, 40)
    assert relative_error(again.per_label, lifted.per_label) < 1e-5
    assert relative_error(again.total, lifted.total) < 1e-5
    assert torch.equal(again.pixel_counts, lifted.pixel_counts)
    full = renderer.label_weights(splats, case.cameras, labels.clamp_min(0), label_count=40)
    assert relative_error(full.per_label.sum(1), full.total) < 1e-5


@pytest.mark.parametrize("k", [1, 4])
def test_top_contributors_are_the_largest_entries_of_each_row(k: int) -> None:
    case = random_case(9)
    renderer, splats = CpuRenderer(), _splats(case)
    top = renderer.top_contributors(splats, case.cameras, k=k)
    again = top_contributors_from_sparse(renderer.blending_weights(splats, case.cameras), k)
    assert torch.equal(top.weights, again.weights)
    assert torch.equal(top.gaussians, again.gaussians)
    assert (top.gaussians >= 0).any()


def test_weights_can_be_worked_out_from_who_contributes() -> None:
    case = random_case(10, views=1)
    renderer, splats = CpuRenderer(), _splats(case)
    (weights,) = renderer.blending_weights(splats, case.cameras)
    projection = renderer.rasterize(splats, case.cameras, case.channels.float()).projection
    again = sparse_from_samples(
        weights.gaussians, entry_pixels(weights), projection, height=weights.height, width=weights.width
    )
    assert torch.equal(again.row_offsets, weights.row_offsets)
    assert (again.weights - weights.weights).abs().max() < 2e-6


def _image_of_seed(seed: int) -> torch.Tensor:
    case = random_case(seed, count=200)
    return CpuRenderer().rasterize(_splats(case), case.cameras, case.channels.float()).channels


def test_two_threads_may_render_at_once() -> None:
    alone = [_image_of_seed(seed) for seed in range(4)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        together = list(pool.map(_image_of_seed, list(range(4)) * 3))
    assert all(torch.equal(image, alone[row % 4]) for row, image in enumerate(together))


def _render_in_child(queue: multiprocessing.Queue) -> None:
    queue.put(float(_image_of_seed(1).sum()))


def test_a_spawned_child_renders() -> None:
    here = float(_image_of_seed(1).sum())
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=_render_in_child, args=(queue,))
    child.start()
    there = queue.get(timeout=120)
    child.join(timeout=30)
    assert there == here
    assert child.exitcode == 0


def test_splats_of_activates() -> None:
    scene = GaussianScene(
        means=torch.zeros(1, 3),
        quats=torch.tensor([[1.0, 0, 0, 0]]),
        log_scales=torch.full((1, 3), 2.0).log(),
        opacity_logits=torch.zeros(1),
        sh=torch.zeros(1, 1, 3),
    )
    splats = splats_of(scene)
    assert splats.opacities.tolist() == [0.5]
    assert torch.allclose(splats.scales, torch.full((1, 3), 2.0))


@pytest.mark.parametrize("dims", [3, 32])
def test_leaving_out_missed_tiles_changes_no_bit(dims: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case = random_case(11, count=200, dims=dims)
    image, gradients = render(CpuRenderer(), case, torch.float32)
    entries = []

    def all_tiles(*arrays: np.ndarray, **settings: int) -> TileLists:
        lists = list_tiles(*arrays, **settings, cull=False)
        entries.append((len(lists.entries), len(list_tiles(*arrays, **settings).entries)))
        return lists

    monkeypatch.setattr(cpu_autograd, "list_tiles", all_tiles)
    again, gradients_again = render(CpuRenderer(), case, torch.float32)
    assert all(full > culled for full, culled in entries)
    assert torch.equal(image.channels, again.channels)
    assert torch.equal(image.alpha, again.alpha)
    assert all(torch.equal(gradients[key], gradients_again[key]) for key in gradients)
