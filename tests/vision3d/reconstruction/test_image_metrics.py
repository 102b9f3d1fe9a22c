"""SSIM and PSNR: the float32 CPU kernel against the float64 torch path, against cv2 filters, and by hand."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.reconstruction.image_metrics import psnr, ssim


def _pair(seed: int, *shape: int) -> tuple[Tensor, Tensor]:
    """Two related images in 0-1, float64."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(shape, generator=generator, dtype=torch.float64)
    noise = 0.2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return (truth + noise).clamp(0, 1), truth


@pytest.mark.parametrize(
    ("seed", "shape"), [(0, (1, 11, 11, 1)), (1, (1, 41, 56, 3)), (2, (3, 20, 33, 3)), (3, (2, 12, 11, 5))]
)
def test_the_kernel_agrees_with_float64(seed: int, shape: tuple[int, ...]) -> None:
    image, truth = _pair(seed, *shape)
    exact_image = image.clone().requires_grad_()
    exact = ssim(exact_image, truth)
    exact.backward()
    fast_image = image.float().requires_grad_()
    fast = ssim(fast_image, truth.float())
    (2.5 * fast).backward()  # the upstream gradient is not 1
    assert exact_image.grad is not None
    assert fast_image.grad is not None
    assert fast.dtype == torch.float32
    assert abs(fast.item() - exact.item()) < 1e-5
    difference = (fast_image.grad / 2.5 - exact_image.grad).norm() / exact_image.grad.norm()
    assert difference < 1e-4


def test_the_float64_path_agrees_with_finite_differences() -> None:
    image, truth = _pair(4, 1, 12, 13, 2)
    assert torch.autograd.gradcheck(lambda x: ssim(x, truth), (image.requires_grad_(),), fast_mode=True)


def test_another_implementation_gives_the_same_similarity() -> None:
    image, truth = _pair(5, 1, 30, 27, 1)
    x, y = image[0, ..., 0].numpy(), truth[0, ..., 0].numpy()

    def blur(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (11, 11), 1.5)[5:-5, 5:-5]

    mean_x, mean_y = blur(x), blur(y)
    covariance = blur(x * y) - mean_x * mean_y
    spread = blur(x * x) - mean_x**2 + blur(y * y) - mean_y**2
    maps = (2 * mean_x * mean_y + 1e-4) * (2 * covariance + 9e-4)
    maps = maps / ((mean_x**2 + mean_y**2 + 1e-4) * (spread + 9e-4))
    assert float(ssim(image, truth)) == pytest.approx(float(maps.mean()), abs=1e-9)


def test_equal_and_constant_images() -> None:
    image, _ = _pair(6, 1, 16, 16, 3)
    assert float(ssim(image.float(), image.float())) == pytest.approx(1.0, abs=1e-6)
    # constants a and b: no variance, so (2ab + C1) / (a^2 + b^2 + C1) with C1 = 1e-4
    flat = ssim(torch.full((1, 16, 16, 1), 0.2), torch.full((1, 16, 16, 1), 0.6))
    assert float(flat) == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4), abs=1e-4)


def test_views_are_averaged() -> None:
    image, truth = _pair(7, 2, 15, 18, 3)
    image, truth = image.float(), truth.float()
    apart = [float(ssim(image[row : row + 1], truth[row : row + 1])) for row in range(2)]
    assert float(ssim(image, truth)) == pytest.approx(sum(apart) / 2, abs=1e-6)


def test_images_below_the_window_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="11x11"):
        ssim(torch.zeros(1, 10, 40, 3), torch.zeros(1, 10, 40, 3))


def test_psnr_by_hand() -> None:
    # one of four values off by 0.2: mean squared error 0.01, so 20 dB
    truth = torch.zeros(1, 2, 2, 1)
    image = truth.clone()
    image[0, 0, 1, 0] = 0.2
    assert psnr(image, truth) == pytest.approx(20.0, abs=1e-5)
    assert psnr(image, truth) == psnr(truth, image)
    assert math.isinf(psnr(truth, truth))
