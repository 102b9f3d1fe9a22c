"""Structural similarity on the CPU kernels, differentiable in the first image (the D-SSIM of a fit)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from vision3d.rendering.cpu_autograd import KERNEL_LOCK, as_array
from vision3d.rendering.kernels import similarity


class MeanSimilarity(torch.autograd.Function):
    """(images, truth, window) -> mean SSIM over valid positions; no gradient reaches `truth`."""

    @staticmethod
    def forward(
        ctx: Any,
        images: Float[Tensor, "view height width channel"],
        truth: Float[Tensor, "view height width channel"],
        window: Float[Tensor, " tap"],
    ) -> Float[Tensor, ""]:
        """Also works out the gradient at once, while the maps are at hand."""
        views, height, width, channels = images.shape
        taps = as_array(window)
        rows, valid = height - len(taps) + 1, (width - len(taps) + 1) * channels
        x = as_array(images).reshape(views, height, width * channels)
        y = as_array(truth).reshape(views, height, width * channels)
        blurred = np.empty((5, height, valid), np.float32)
        slopes = np.empty((3, rows, valid), np.float32)
        row_sums = np.empty((views, rows), np.float32)
        gradient = np.empty_like(x) if ctx.needs_input_grad[0] else None
        factor = np.float32(1.0 / (views * rows * valid))
        with KERNEL_LOCK:
            for view in range(views):
                similarity.blur_along_rows(x[view], y[view], taps, channels, blurred)
                similarity.similarity_rows(blurred, taps, row_sums[view], slopes)
                if gradient is not None:
                    similarity.similarity_gradient(x[view], y[view], taps, channels, slopes, factor, gradient[view])
        ctx.gradient = None if gradient is None else torch.from_numpy(gradient.reshape(images.shape))
        return torch.tensor(row_sums.sum(dtype=np.float64) / (views * rows * valid), dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradient found in the forward pass."""
        return ctx.gradient * gradients[0], None, None
