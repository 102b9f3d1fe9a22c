"""How far the CPU renderer is from the dense float64 oracle: image (bar 1e-5) and gradients (bar 1e-4), case by case.

`python -m benchmarks.renderer_accuracy`. The cases are those of the tests, and a larger random scene.
"""

from __future__ import annotations

import torch

from tests.vision3d.rendering.splat_cases import Case, cameras, random_case, relative_error, render, settled_pixels
from tests.vision3d.rendering.test_cpu_oracle import CASES
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.dense_renderer import DenseRenderer

_LARGE_COUNT, _LARGE_WIDTH, _LARGE_HEIGHT = 600, 150, 110


def _large() -> Case:
    case = random_case(21, count=_LARGE_COUNT, views=1, with_depth=True)
    return Case(**{**case.__dict__, "cameras": cameras(1, _LARGE_WIDTH, _LARGE_HEIGHT), "scales": case.scales * 0.5})


def main() -> None:
    """Print one row per case and the worst of all."""
    print("{:34}{:>12}{:>12}  {}".format("case", "image", "gradient", "of"))
    worst = [0.0, 0.0]
    for name, case in (CASES | {f"{_LARGE_COUNT} Gaussians": _large()}).items():
        settled = settled_pixels(case)
        found, found_gradients = render(CpuRenderer(), case, torch.float32, settled=settled)
        truth, true_gradients = render(DenseRenderer(), case, torch.float64, settled=settled)
        image = float((found.channels - truth.channels).detach()[settled].abs().max())
        errors = {key: relative_error(found_gradients[key], true_gradients[key]) for key in true_gradients}
        steepest = max(errors, key=lambda key: errors[key])
        print(f"{name:34}{image:12.1e}{errors[steepest]:12.1e}  {steepest}")
        worst = [max(worst[0], image), max(worst[1], errors[steepest])]
    print(f"{'worst':34}{worst[0]:12.1e}{worst[1]:12.1e}")


if __name__ == "__main__":
    main()
