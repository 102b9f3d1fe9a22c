"""How many times faster the CPU renderer is than plain PyTorch, on the whole path from splats to gradients.

`python -m benchmarks.rasteriser_speed` prints one row per scene. Both sides blend the same tile lists; gradients go to
means, quats, scales, opacities and channels. Two forms of the PyTorch side are timed, see `pytorch_tiles`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.benchmark_scenes import front_camera, surface_channels, surface_splats
from benchmarks.pytorch_tiles import blend_by_products, blend_directly, render_with_pytorch
from benchmarks.timing import Times, describe_threads, time_in_turn
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.renderer import Splats

_ROUNDS = 5
_OURS_PER_ROUND = 3
_VISIBLE = 1e-4
"""Differences above this are counted: a sample on the edge of alpha = 1/255 taken by one side only."""
_FORMS = {"cpu": None, "direct": blend_directly, "tuned": blend_by_products}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    gaussians: int
    edge: int
    dims: int
    bar: int

    def __str__(self) -> str:
        return f"{self.gaussians // 1000}k, {self.edge}x{self.edge}, {self.dims} ch"


_CASES = (
    _Case(gaussians=10_000, edge=256, dims=3, bar=25),
    _Case(gaussians=50_000, edge=512, dims=3, bar=25),
    _Case(gaussians=50_000, edge=512, dims=32, bar=12),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One scene with leaves for the gradients, and one function from them to the image per form."""

    leaves: tuple[Tensor, ...]
    images: dict[str, Callable[[], Tensor]]
    upstream: Tensor

    def forward(self, form: str) -> Tensor:
        with torch.no_grad():
            return self.images[form]()

    def gradients(self, form: str) -> tuple[Tensor, ...]:
        return torch.autograd.grad(self.images[form](), self.leaves, self.upstream)


def _work(case: _Case) -> _Work:
    fixed = surface_splats(case.gaussians)
    values = (fixed.means, fixed.quats, fixed.scales, fixed.opacities, surface_channels(fixed, case.dims))
    leaves = tuple(value.clone().requires_grad_() for value in values)
    splats = Splats(means=leaves[0], quats=leaves[1], scales=leaves[2], opacities=leaves[3])
    camera, renderer = front_camera(case.edge, case.edge), CpuRenderer()

    def image(form: str) -> Tensor:
        blend = _FORMS[form]
        if blend is None:
            return renderer.rasterize(splats, camera, leaves[4]).channels[0]
        return render_with_pytorch(splats, camera, leaves[4], blend)

    upstream = torch.randn(case.edge, case.edge, case.dims, generator=torch.Generator().manual_seed(3))
    return _Work(leaves=leaves, images={form: lambda form=form: image(form) for form in _FORMS}, upstream=upstream)


def _say_agreement(case: _Case, work: _Work) -> None:
    ours, our_gradients = work.forward("cpu"), work.gradients("cpu")
    for form in ("direct", "tuned"):
        difference = (work.forward(form) - ours).abs().amax(-1)
        theirs = work.gradients(form)
        relative = [float((a - b).norm() / b.norm()) for a, b in zip(theirs, our_gradients, strict=True)]
        print(
            f"{case}, {form}: image differs by at most {float(difference.max()):.1e} "
            f"({int((difference > _VISIBLE).sum())} pixels above {_VISIBLE:g}, mean {float(difference.mean()):.1e}); "
            f"gradients by at most {max(relative):.1e} relative"
        )


def _ratios(theirs: Times, ours: Times) -> str:
    return f"{theirs.minimum / ours.minimum:.1f} / {theirs.median / ours.median:.1f}"


def main() -> None:
    """Check that all sides give the same image, time them in turn and print the table."""
    print(describe_threads())
    rows = []
    for case in _CASES:
        work = _work(case)
        _say_agreement(case, work)
        for title, step in (("forward", work.forward), ("forward + backward", work.gradients)):
            tasks = {form: lambda form=form, step=step: step(form) for form in _FORMS}
            times = time_in_turn(tasks, rounds=_ROUNDS, repeats={"cpu": _OURS_PER_ROUND})
            rows.append(
                (
                    str(case),
                    title,
                    *(str(times[form]) for form in _FORMS),
                    *(_ratios(times[form], times["cpu"]) for form in ("direct", "tuned")),
                    f">= {case.bar}" if step == work.gradients else "",
                )
            )
    header = ("scene", "pass", "CPU renderer", "PyTorch direct", "PyTorch tuned", "x direct", "x tuned", "bar")
    for row in (header, *rows):
        print("{:24}{:20}{:>18}{:>20}{:>20}{:>16}{:>16}{:>8}".format(*row))


if __name__ == "__main__":
    main()
