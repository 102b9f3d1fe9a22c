"""Milliseconds of one training iteration, part by part: 20k Gaussians, 50 views of 200x132, bar 30 ms.

`python -m benchmarks.training_step` trains on renders of the synthetic surfaces, from a perturbed copy of them; loss
0.8 L1 + 0.2 (1 - SSIM), Adam. Densification is off.
"""

from __future__ import annotations

import itertools
import statistics
import time
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.benchmark_scenes import arc_of_cameras, surface_scene
from benchmarks.timing import describe_threads
from vision3d.cameras.camera_batch import CameraBatch
from vision3d.reconstruction.image_metrics import ssim
from vision3d.reconstruction.splat_parameters import (
    LearningRates,
    Optimisers,
    Parameters,
    make_optimisers,
    parameters_of,
    scene_of,
)
from vision3d.rendering.render_views import render_views
from vision3d.scene.gaussian_scene import GaussianScene

_GAUSSIANS, _VIEWS, _WIDTH, _HEIGHT = 20_000, 50, 200, 132
_WARM_UP, _STEPS = 10, 100
_SSIM_WEIGHT = 0.2
_BAR_MS = 30
_PARTS = ("render", "loss", "backward", "optimiser")


def _perturbed(scene: GaussianScene) -> GaussianScene:
    generator = torch.Generator().manual_seed(7)
    return replace(
        scene,
        means=scene.means + 0.01 * torch.randn(scene.means.shape, generator=generator),
        log_scales=scene.log_scales + 0.2 * torch.randn(scene.log_scales.shape, generator=generator),
        sh=scene.sh + 0.1 * torch.randn(scene.sh.shape, generator=generator),
    )


def _step(parameters: Parameters, optimisers: Optimisers, camera: CameraBatch, truth: Tensor) -> tuple[float, ...]:
    """Milliseconds of each part of one iteration."""
    marks = [time.perf_counter()]
    colour = render_views(scene_of(parameters), camera).colour
    marks.append(time.perf_counter())
    loss = (1.0 - _SSIM_WEIGHT) * (colour - truth).abs().mean() + _SSIM_WEIGHT * (1.0 - ssim(colour, truth))
    marks.append(time.perf_counter())
    loss.backward()
    marks.append(time.perf_counter())
    for optimiser in optimisers.values():
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    marks.append(time.perf_counter())
    return tuple(1e3 * (after - before) for before, after in itertools.pairwise(marks))


def _measure(sh_degree: int) -> list[tuple[float, ...]]:
    scene, cameras = surface_scene(_GAUSSIANS, sh_degree=sh_degree), arc_of_cameras(_VIEWS, _WIDTH, _HEIGHT)
    views = [cameras.select([name]) for name in cameras.names]
    with torch.no_grad():
        truths = [render_views(scene, view).colour for view in views]
    parameters = parameters_of(_perturbed(scene))
    optimisers = make_optimisers(parameters, LearningRates(), scene_scale=3.5)
    times = []
    for step in range(_WARM_UP + _STEPS):
        view = (step * 17) % _VIEWS
        times.append(_step(parameters, optimisers, views[view], truths[view]))
    return times[_WARM_UP:]


def main() -> None:
    """Print the median of each part, and the minimum and median of the whole."""
    print(describe_threads())
    print("{:10}".format("SH degree") + "".join(f"{part:>12}" for part in _PARTS) + f"{'iteration':>20}{'bar':>8}")
    for sh_degree in (0, 3):
        times = _measure(sh_degree)
        totals = [sum(parts) for parts in times]
        medians = "".join(f"{statistics.median(column):12.1f}" for column in zip(*times, strict=True))
        print(
            f"{sh_degree:<10}{medians}{f'{min(totals):.1f} / {statistics.median(totals):.1f}':>20}{f'<= {_BAR_MS}':>8}"
        )


if __name__ == "__main__":
    main()
