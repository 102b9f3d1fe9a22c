"""`randomized_svd`: the leading singular triples of a matrix from a few products with thin matrices.

No singular value decomposition of a long matrix is taken: what is left after the projection is an eigenproblem of
`rank + oversample` rows. Numbers are scaled before they are squared, so that second moments of 1e-20 lose nothing in
float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vlm_bridge.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """A matrix as `left @ diag(scale) @ right`."""

    left: Float[Tensor, "row rank"]
    """Orthonormal columns."""
    scale: Float[Tensor, " rank"]
    """Singular values, falling; 0 where the matrix has less rank."""
    right: Float[Tensor, "rank column"]
    """Orthonormal rows; a row of zeros where the scale is 0."""

    def matrix(self) -> Float[Tensor, "row column"]:
        """The product."""
        return (self.left * self.scale) @ self.right


def randomized_svd(
    matrix: Float[Tensor, "row column"],
    rank: int,
    *,
    generator: torch.Generator,
    oversample: int = 4,
    iterations: int = 1,
) -> Factors:
    """The best factors of a rank, up to chance: exact for matrices of that rank, and near the best for others.

    Where `rank + oversample` reaches the shorter side nothing is drawn, and the factors are those of the matrix.

    Example:
        >>> matrix = torch.outer(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
        >>> factors = randomized_svd(matrix, 1, generator=torch.Generator().manual_seed(0))
        >>> torch.allclose(factors.matrix(), matrix)
        True

    Args:
        matrix: Finite numbers in float32 or float64.
        rank: So many triples; fewer where the matrix has a shorter side.
        generator: On the CPU, whatever the device of the matrix, so that each replica draws the same.
        oversample: Directions drawn beside those kept.
        iterations: Times the drawn directions are sent through the matrix and its transpose.

    Raises:
        InvalidInputError: rank below 1, or a count below 0.

    Source:
        Halko, Martinsson and Tropp (arXiv:0909.4061), algorithms 4.4 and 5.1; the decomposition of the projected matrix
        is taken from its Gram matrix.
    """
    if rank < 1 or oversample < 0 or iterations < 0:
        raise InvalidInputError(
            f"Randomised SVD: expected rank >= 1, oversample >= 0 and iterations >= 0, found {rank}, {oversample} and "
            f"{iterations}. Change them."
        )
    rows, columns = matrix.shape
    if rows > columns:
        turned = randomized_svd(matrix.T, rank, generator=generator, oversample=oversample, iterations=iterations)
        return Factors(left=turned.right.T, scale=turned.scale, right=turned.left.T)
    if rank + oversample >= rows:
        return _projected_factors(matrix, None, min(rank, rows))
    drawn = torch.randn(columns, rank + oversample, generator=generator, dtype=matrix.dtype).to(matrix.device)
    basis = _orthonormal(matrix @ drawn)
    for _ in range(iterations):
        basis = _orthonormal(matrix @ _orthonormal(matrix.T @ basis))
    return _projected_factors(basis.T @ matrix, basis, rank)


def _projected_factors(projected: Tensor, basis: Tensor | None, rank: int) -> Factors:
    """Factors of `basis @ projected`; without a basis, of `projected`."""
    peak = _peak(projected)
    unit = projected / peak
    _, vectors = torch.linalg.eigh(unit @ unit.T)  # eigenvalues rise
    turn = vectors.flip(1)[:, :rank]
    right = turn.T @ unit
    # Lengths of the rows rather than roots of the eigenvalues: the product is then exact to rounding.
    lengths = torch.linalg.vector_norm(right, dim=1)
    right = right / torch.where(lengths > 0, lengths, 1)[:, None]
    return Factors(left=turn if basis is None else basis @ turn, scale=lengths * peak, right=right)


def _orthonormal(columns: Tensor) -> Tensor:
    return torch.linalg.qr(columns / _peak(columns)).Q


def _peak(values: Tensor) -> Tensor:
    peak = values.abs().amax()
    return torch.where(peak > 0, peak, 1)
