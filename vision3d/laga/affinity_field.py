"""`AffinityField`: one feature vector per Gaussian whose leading channels say who belongs together at which level.

Channels come in blocks, coarsest level first; level 0 is the finest. The finest level looks at all channels, each
coarser one at one block less, so that what is together at a fine level is together at every coarser one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import normalize

from vision3d.errors import InvalidInputError

_EPSILON = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class AffinityField:
    """What the contrastive training leaves behind."""

    features: Float[Tensor, "gaussian dim"]
    """Raw features; only the direction of each block matters."""
    block_dims: tuple[int, ...]
    """Channels of each block, coarsest level first."""
    opacity_logits: Float[Tensor, " gaussian"]
    """Opacities the features belong to: the scene's own, or the trained ones."""

    def __post_init__(self) -> None:
        _check_blocks(self.features, self.block_dims)

    @property
    def level_count(self) -> int:
        """Number of levels."""
        return len(self.block_dims)

    def level_vectors(self, level: int) -> Float[Tensor, "gaussian level_dim"]:
        """Unit vectors of the Gaussians at `level`, 0 = finest."""
        return nested_vectors(normalise_blocks(self.features, self.block_dims), self.block_dims, level)


def level_dims(block_dims: tuple[int, ...]) -> tuple[int, ...]:
    """Channels that each level looks at, finest level first.

    >>> level_dims((16, 8, 8))
    (32, 24, 16)
    """
    return tuple(sum(block_dims[: len(block_dims) - level]) for level in range(len(block_dims)))


def nested_vectors(
    normalised: Float[Tensor, "row dim"], block_dims: tuple[int, ...], level: int
) -> Float[Tensor, "row level_dim"]:
    """Unit vectors made of the channels that `level` looks at; a zero row stays zero."""
    return normalize(normalised[:, : level_dims(block_dims)[level]], dim=-1, eps=_EPSILON)


def normalise_blocks(features: Float[Tensor, "row dim"], block_dims: tuple[int, ...]) -> Float[Tensor, "row dim"]:
    """The same rows with each block brought to unit length (zero blocks stay zero); differentiable.

    Raises:
        InvalidInputError: the blocks do not add up to the channels.
    """
    _check_blocks(features, block_dims)
    return _NormaliseBlocks.apply(features, block_dims)


class _NormaliseBlocks(torch.autograd.Function):
    # All blocks at once through a [dim block] membership matrix: a few passes over the rows instead of some per block.
    @staticmethod
    def forward(ctx: Any, features: Tensor, block_dims: tuple[int, ...]) -> Tensor:
        sizes = torch.tensor(block_dims, device=features.device)
        member = torch.eye(len(block_dims), device=features.device).repeat_interleave(sizes, 0).to(features)
        lengths = (features * features).mm(member).sqrt_()
        scale = lengths.clamp_min_(_EPSILON).reciprocal_().mm(member.T)
        normalised = features * scale
        ctx.save_for_backward(normalised, scale, member)
        return normalised

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        normalised, scale, member = ctx.saved_tensors
        (gradient,) = gradients
        along = (gradient * normalised).mm(member).mm(member.T)
        return along.mul_(normalised).neg_().add_(gradient).mul_(scale), None


def _check_blocks(features: Tensor, block_dims: tuple[int, ...]) -> None:
    if sum(block_dims) != features.shape[1] or min(block_dims, default=0) < 1:
        raise InvalidInputError(
            f"Expected blocks that add up to {features.shape[1]} channels, found {block_dims}. "
            "Give the channels of every block."
        )
