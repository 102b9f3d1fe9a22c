"""`polar_factor`: the nearest orthogonal matrix of a gradient, which is the direction that Muon approximates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class PolarFactor:
    """Direction and norms of a matrix."""

    direction: Float[Tensor, "row column"]
    """U V^T of the thin singular value decomposition."""
    nuclear: float
    """Sum of the singular values."""
    frobenius: float
    """Root of the sum of their squares."""
    spectral: float
    """The largest."""
    rank: int
    """Singular values that count."""


def polar_factor(matrix: Float[Tensor, "row column"], *, relative_cut: float = 1e-6) -> PolarFactor:
    """Direction and norms, by singular value decomposition in the matrix's precision, float32 at least.

    Singular values below `relative_cut` of the largest count as 0 for direction and rank: their vectors are chance. The
    gradient of a softmax over C classes has such a one, being of rank C - 1.

    Example:
        >>> polar_factor(torch.diag(torch.tensor([3.0, -2.0, 0.0]))).direction
        tensor([[ 1.,  0.,  0.],
                [ 0., -1.,  0.],
                [ 0.,  0.,  0.]])
    """
    exact = matrix if matrix.dtype == torch.float64 else matrix.float()
    left, values, right = torch.linalg.svd(exact, full_matrices=False)
    spectral = float(values[0])
    rank = int((values > relative_cut * spectral).sum())
    return PolarFactor(
        direction=left[:, :rank] @ right[:rank],
        nuclear=float(values.sum()),
        frobenius=float(torch.linalg.vector_norm(values)),
        spectral=spectral,
        rank=rank,
    )
