"""`MOMENT_RULES`: how AdamW and Lion move a parameter, given its moments as whole tensors.

A rule changes the moments and the weights in place. How moments are stored between steps is not its business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentRule:
    """One optimiser's step."""

    moments: tuple[str, ...]
    """Names of what it remembers, each of the parameter's shape."""
    nonnegative: frozenset[str]
    """Those of them that cannot be below 0."""
    step: Callable[[Tensor, Tensor, Mapping[str, Tensor], Mapping[str, Any], int], None]
    """Moves weights by a gradient: weights, gradient, moments, options of the group, number of the step from 1."""


def adamw_step(
    weights: Tensor, gradient: Tensor, moments: Mapping[str, Tensor], group: Mapping[str, Any], step: int
) -> None:
    """A step of AdamW, number for number that of `torch.optim.AdamW`.

    Source:
        Loshchilov and Hutter (arXiv:1711.05101), algorithm 2.
    """
    beta_mean, beta_square = group["betas"]
    mean, square = moments["mean"], moments["square"]
    mean.lerp_(gradient, 1 - beta_mean)
    square.mul_(beta_square).addcmul_(gradient, gradient, value=1 - beta_square)
    weights.mul_(1 - group["lr"] * group["weight_decay"])
    spread = (square.sqrt() / (1 - beta_square**step) ** 0.5).add_(group["eps"])
    weights.addcdiv_(mean, spread, value=-group["lr"] / (1 - beta_mean**step))


def lion_step(
    weights: Tensor, gradient: Tensor, moments: Mapping[str, Tensor], group: Mapping[str, Any], step: int
) -> None:
    """A step of Lion: each number moves by the learning rate, up or down; where the direction is 0 it stays.

    Source:
        Chen et al. (arXiv:2302.06675), algorithm 2.
    """
    beta_direction, beta_mean = group["betas"]
    mean = moments["mean"]
    direction = torch.lerp(mean, gradient, 1 - beta_direction).sign_()
    weights.mul_(1 - group["lr"] * group["weight_decay"])
    weights.add_(direction, alpha=-group["lr"])
    mean.lerp_(gradient, 1 - beta_mean)


def nonnegative(square: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """A second moment rebuilt from factors, with numbers below 0 replaced by the mean of what they fall short by.

    Without the replacement they would be 0, and where the gradient is small too the step would be huge.

    Example:
        >>> nonnegative(torch.tensor([[1.0, -0.2], [0.5, -0.4]]))
        tensor([[1.0000, 0.3000],
                [0.5000, 0.3000]])

    Source:
        MLorc (arXiv:2506.01897), the constant added after ReLU, as the authors' code has it: at these places only.
    """
    below = square < 0
    shortfall = -square.clamp(max=0).sum() / below.sum().clamp(min=1)
    return torch.where(below, shortfall, square)


MOMENT_RULES: dict[str, MomentRule] = {
    "adamw": MomentRule(moments=("mean", "square"), nonnegative=frozenset({"square"}), step=adamw_step),
    "lion": MomentRule(moments=("mean",), nonnegative=frozenset(), step=lion_step),
}
"""Rule by name."""
