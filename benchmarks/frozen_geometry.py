"""What it saves to export the blending weights once when only per-Gaussian features change.

`python -m benchmarks.frozen_geometry` prints, for two scenes: export of the weights as a sparse matrix, rendering 32
features from it (whole image and 4,096 sampled pixels) with the gradient of the features, the rasteriser doing the
same, and the label lift with 64 labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.benchmark_scenes import front_camera, surface_channels, surface_splats
from benchmarks.timing import describe_threads, time_in_turn
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.renderer import BlendingWeights
from vision3d.rendering.sparse_weights import render_pixels

_CASES = ((20_000, 200, 132), (50_000, 512, 512))
_DIMS, _LABELS, _SAMPLED = 32, 64, 4_096
_LABEL_EDGE = 24
"""Labels lie on the image in squares of this many pixels."""
_ROUNDS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    times: dict[str, str]
    entries: int
    megabytes: float
    difference: float


def _megabytes(matrix: BlendingWeights) -> float:
    return sum(t.numel() * t.element_size() for t in (matrix.row_offsets, matrix.gaussians, matrix.weights)) / 1e6


def _label_map(width: int, height: int) -> Tensor:
    rows, columns = torch.arange(height) // _LABEL_EDGE, torch.arange(width) // _LABEL_EDGE
    return ((rows[:, None] * 8 + columns) % _LABELS)[None]


def _with_gradient(image: Callable[[], Tensor], features: Tensor) -> Tensor:
    pixels = image()
    return torch.autograd.grad(pixels, features, torch.ones_like(pixels))[0]


def _measure(gaussians: int, width: int, height: int) -> _Measured:
    splats, camera, renderer = surface_splats(gaussians), front_camera(width, height), CpuRenderer()
    features = surface_channels(splats, _DIMS).requires_grad_()
    (matrix,) = renderer.blending_weights(splats, camera)
    sampled = torch.randperm(width * height, generator=torch.Generator().manual_seed(5))[:_SAMPLED]
    labels = _label_map(width, height)

    def rasterised() -> Tensor:
        return renderer.rasterize(splats, camera, features).channels

    def multiplied() -> Tensor:
        return render_pixels(matrix, features)

    with torch.no_grad():
        difference = (multiplied().view(height, width, _DIMS) - rasterised()[0]).abs().max()
    tasks = {
        "export of the weights": lambda: renderer.blending_weights(splats, camera),
        "rasteriser, forward": lambda: rasterised().detach(),
        "rasteriser, forward + gradient": lambda: _with_gradient(rasterised, features),
        "weights, forward": lambda: multiplied().detach(),
        "weights, forward + gradient": lambda: _with_gradient(multiplied, features),
        "weights, 4,096 pixels, forward": lambda: render_pixels(matrix, features, sampled).detach(),
        "weights, 4,096 pixels, forward + gradient": lambda: _with_gradient(
            lambda: render_pixels(matrix, features, sampled), features
        ),
        "label lift, 64 labels": lambda: renderer.label_weights(splats, camera, labels, label_count=_LABELS),
    }
    times = time_in_turn(tasks, rounds=_ROUNDS, repeats={})
    return _Measured(
        times={name: str(value) for name, value in times.items()},
        entries=int(matrix.row_offsets[-1]),
        megabytes=_megabytes(matrix),
        difference=float(difference),
    )


def main() -> None:
    """Time everything in turn and print one column per scene."""
    print(describe_threads())
    columns = {f"{count // 1000}k, {width}x{height}": _measure(count, width, height) for count, width, height in _CASES}
    print(f"{'32 features':44}" + "".join(f"{title:>20}" for title in columns))
    for name in next(iter(columns.values())).times:
        print(f"{name:44}" + "".join(f"{column.times[name]:>20}" for column in columns.values()))
    print(f"{'entries of the matrix':44}" + "".join(f"{column.entries:>20,}" for column in columns.values()))
    print(f"{'its size in MB':44}" + "".join(f"{column.megabytes:>20.1f}" for column in columns.values()))
    print(f"{'largest difference of the images':44}" + "".join(f"{c.difference:>20.1e}" for c in columns.values()))


if __name__ == "__main__":
    main()
