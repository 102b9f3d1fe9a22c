"""The optimiser of the recipe: Muon for the convolutions, AdamW for everything else.

Muon (Jordan et al. 2024) replaces a matrix' momentum by its nearest half-orthogonal matrix. A convolution counts as the
matrix [out, in * height * width]; updates are scaled to AdamW's usual size (Liu et al. 2025), so one learning rate
serves both.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


def half_orthogonal(matrix: Tensor) -> Tensor:
    """About U V^T of the singular value decomposition of [m n], by Newton-Schulz iterations."""
    a, b, c = _COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


class ConvolutionMuon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay for kernels [out in height width]."""

    def __init__(
        self, kernels: Iterable[Tensor], *, lr: float, weight_decay: float = 0.0, momentum: float = 0.95
    ) -> None:
        super().__init__(list(kernels), {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every kernel that has a gradient."""
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is None:
                    continue
                state = self.state[kernel]
                momentum = state.setdefault("momentum", torch.zeros_like(kernel))
                momentum.lerp_(kernel.grad, 1 - group["momentum"])
                look_ahead = kernel.grad.lerp(momentum, group["momentum"])
                update = half_orthogonal(look_ahead.flatten(1))
                size = 0.2 * max(update.shape) ** 0.5
                kernel.mul_(1 - group["lr"] * group["weight_decay"])
                kernel.add_(update.view_as(kernel), alpha=-group["lr"] * size)


def optimizers(model: nn.Module, learning_rate: float, weight_decay: float) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the convolutions of `model` and AdamW for the rest."""
    kernels = [value for value in model.parameters() if value.ndim == 4]
    others = [value for value in model.parameters() if value.ndim != 4]
    return (
        ConvolutionMuon(kernels, lr=learning_rate, weight_decay=weight_decay),
        torch.optim.AdamW(others, lr=learning_rate, weight_decay=weight_decay, betas=(0.9, 0.98)),
    )
