"""The leading singular directions of a weight."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_EXACT_SIDE = 1024
"""Up to this shorter side the whole decomposition is computed, in double precision: about a second at most."""
_WITH_DOUBLE = ("cpu", "cuda")
_OVERSAMPLING, _POWER_STEPS = 10, 4
_SEED = 0


@torch.no_grad()
def leading_directions(
    weight: Float[Tensor, "out_width in_width"], count: int
) -> tuple[Float[Tensor, "out_width k"], Float[Tensor, " k"], Float[Tensor, "k in_width"]]:
    """The `count` largest singular values of `weight` with their directions: left, values, right.

    Large weights are decomposed at random (subspace iteration), with a fixed seed of its own. Neither way is the same
    bit for bit on every machine, and where values are nearly equal their directions are any basis of what they span.

    Example:
        >>> left, values, right = leading_directions(torch.diag(torch.tensor([1.0, 3.0, 2.0])), 2)
        >>> values
        tensor([3., 2.])
        >>> (left * values) @ right
        tensor([[0., 0., 0.],
                [0., 3., 0.],
                [0., 0., 2.]])
    """
    side = min(weight.shape)
    sampled = count + _OVERSAMPLING
    if side <= _EXACT_SIDE or 4 * sampled > side:
        exact = weight.double() if weight.device.type in _WITH_DOUBLE else weight
        left, values, right = (part.to(weight.dtype) for part in torch.linalg.svd(exact, full_matrices=False))
    else:
        devices = [weight.device] if weight.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(_SEED)
            left, values, columns = torch.svd_lowrank(weight, q=sampled, niter=_POWER_STEPS)
        right = columns.T
    return left[:, :count].contiguous(), values[:count].contiguous(), right[:count].contiguous()
