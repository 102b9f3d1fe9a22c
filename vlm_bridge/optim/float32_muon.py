"""`Float32Muon`: torch's Muon with its products in float32, for processors that have no fast bfloat16.

torch makes the direction orthogonal in bfloat16, which such processors compute some fifty times slower than float32.
Groups, settings and state are torch's, so checkpoints go from one to the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Muon


def newton_schulz(
    matrix: Float[Tensor, "row column"],
    *,
    coefficients: tuple[float, float, float],
    steps: int,
    eps: float,
) -> Float[Tensor, "row column"]:
    """The matrix over its norm, after `steps` of X <- aX + b(XX')X + c(XX')^2 X, in the matrix's own precision.

    Each singular value s of X becomes as + bs^3 + cs^5; directions stay.

    Example:
        >>> x = newton_schulz(torch.eye(2), coefficients=(1.5, -0.5, 0.0), steps=20, eps=1e-7)
        >>> torch.allclose(x, torch.eye(2), atol=1e-5)
        True

    Source:
        Jordan et al., Muon (2024).
    """
    a, b, c = coefficients
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    x = x / torch.linalg.vector_norm(x).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.T


class Float32Muon(Muon):
    """Muon in float32; weights and gradients of other types are taken as they are.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(2, 2))
        >>> optimizer = Float32Muon([weight], lr=0.1, weight_decay=0.0)
        >>> weight.grad = torch.eye(2)
        >>> optimizer.step()
        >>> bool(weight[0, 0] < -0.06)
        True
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` is called first and its loss given back."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group)
        return loss

    def _move(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(momentum, group["momentum"]) if group["nesterov"] else momentum
        a, b, c = group["ns_coefficients"]  # a list, where it comes from a checkpoint
        direction = newton_schulz(ahead.float(), coefficients=(a, b, c), steps=group["ns_steps"], eps=group["eps"])
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(direction.to(weight.dtype), alpha=-group["lr"] * _scale(group["adjust_lr_fn"], *weight.shape))


def _scale(name: str | None, rows: int, columns: int) -> float:
    if name == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    if name == "spectral_unclamped":
        return math.sqrt(rows / columns)
    return math.sqrt(max(1.0, rows / columns))
