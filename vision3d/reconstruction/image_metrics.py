"""PSNR and SSIM of images in 0-1, channels last; SSIM is differentiable and serves as the D-SSIM loss."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from jaxtyping import Float
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.rendering.image_similarity import MeanSimilarity

SSIM_WINDOW = 11
"""Side of the SSIM window; smaller images cannot be compared."""
_SIGMA = 1.5
_C1 = 0.01**2
_C2 = 0.03**2


def psnr(
    images: Float[Tensor, "*view height width channel"], truth: Float[Tensor, "*view height width channel"]
) -> float:
    """Peak signal-to-noise ratio in dB for a peak of 1, from the mean squared error over all values.

    Identical images give infinity.

    Example:
        >>> round(psnr(torch.zeros(2, 2, 3), torch.full((2, 2, 3), 0.1)), 6)
        20.0
    """
    return float(-10.0 * torch.log10(torch.mean((images.double() - truth.double()) ** 2)))


def ssim(
    images: Float[Tensor, "view height width channel"], truth: Float[Tensor, "view height width channel"]
) -> Float[Tensor, ""]:
    """Mean structural similarity, 1 for equal images; differentiable.

    Gaussian window of 11 pixels and sigma 1.5, valid positions only (no padding), data range 1. Float32 images on the
    CPU take the Numba kernels, everything else torch convolutions.

    Raises:
        InvalidInputError: an image is smaller than the window.

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity" (2004).
    """
    if min(images.shape[1:3]) < SSIM_WINDOW:
        raise InvalidInputError(
            f"ssim: expected images of at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, found {tuple(images.shape[1:3])}. "
            "Use larger images."
        )
    window = _window(images)
    if images.device.type == "cpu" and images.dtype == torch.float32 and not truth.requires_grad:
        return MeanSimilarity.apply(images, truth.to(images.dtype), window)
    x = images.permute(0, 3, 1, 2)
    y = truth.permute(0, 3, 1, 2)
    stacked = torch.cat([x, y, x * x, y * y, x * y])
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = _blur(stacked, window).chunk(5)
    variance_x = mean_xx - mean_x * mean_x
    variance_y = mean_yy - mean_y * mean_y
    covariance = mean_xy - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    denominator = (mean_x * mean_x + mean_y * mean_y + _C1) * (variance_x + variance_y + _C2)
    return (numerator / denominator).mean()


def _window(like: Tensor) -> Float[Tensor, " tap"]:
    places = torch.arange(SSIM_WINDOW, dtype=like.dtype, device=like.device) - SSIM_WINDOW // 2
    kernel = torch.exp(-(places**2) / (2 * _SIGMA**2))
    return kernel / kernel.sum()


def _blur(
    maps: Float[Tensor, "map channel height width"], window: Float[Tensor, " tap"]
) -> Float[Tensor, "map channel h w"]:
    flat = maps.reshape(-1, 1, *maps.shape[2:])
    flat = functional.conv2d(flat, window.view(1, 1, -1, 1))
    flat = functional.conv2d(flat, window.view(1, 1, 1, -1))
    return flat.view(*maps.shape[:2], *flat.shape[2:])
