"""`contrast_logits`: the arithmetic of positional contrastive decoding on the logits of its two branches."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def candidates(logits: Float[Tensor, "row word"], gamma: int) -> Bool[Tensor, "row word"]:
    """True for the `gamma` highest logits of each row and for all that tie with the last of them.

    So the set does not depend on the order of the words; in half precision it can hold a few more than `gamma`. Logits
    of -inf are never in it.

    Example:
        >>> candidates(torch.tensor([[0.0, 2.0, 1.0, 1.0]]), 2)
        tensor([[False,  True,  True,  True]])
    """
    last = logits.topk(min(gamma, logits.shape[-1]), dim=-1).values[:, -1:]
    return (logits >= last) & (logits > -math.inf)


def contrast_logits(
    logits: Float[Tensor, "row word"],
    local: Float[Tensor, "row word"],
    *,
    beta: float,
    allowed: Bool[Tensor, "row word"],
) -> Float[Tensor, "row word"]:
    """(1 + beta) * logits - beta * local where `allowed`, -inf elsewhere; in float32.

    `local` are the logits of the branch with perturbed positions. Logits and their log-softmax give the same
    probabilities, as they differ by one number per row.

    Example:
        >>> long, local = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[2.0, 0.0, 0.0]])
        >>> contrast_logits(long, local, beta=1.0, allowed=candidates(long, 2))
        tensor([[2., 2., -inf]])
    """
    mixed = logits.float() + beta * (logits.float() - local.float())
    return torch.where(allowed, mixed, -math.inf)
