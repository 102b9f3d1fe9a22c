"""`compare_matrix`: how one matrix differs from another of its shape, in lengths and directions.

With W = U S V^T before and W' = U' S' V'^T after, |W' - W|^2 is at least the sum of squared differences of the sorted
singular values, and equal to it where the directions are the same. So that sum over |W' - W|^2 is the share of a change
that values alone account for; the rest turned directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vlm_bridge.errors import InvalidInputError

_EXACT_SIDE = 1024
"""Up to this shorter side decompositions are in double precision."""
INTRUDER_COSINE = 0.6
"""A leading direction after tuning that has no larger cosine with any direction before is called an intruder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubspaceOverlap:
    """How far the leading `count` directions before and after span the same."""

    count: int
    left: float
    """Mean squared cosine of the principal angles of left directions, 0 to 1."""
    right: float
    """Likewise of right ones."""
    left_angle: float
    """Largest principal angle of left directions, degrees."""
    right_angle: float
    """Likewise of right ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixSpectra:
    """What was found for one matrix. Shares and ratios of nothing are NaN."""

    name: str
    shape: tuple[int, int]
    """Rows and columns."""
    norm: float
    """Frobenius norm before."""
    relative_change: float
    """Norm of the difference over it."""
    value_share: float = math.nan
    """Share of the squared difference that changes of singular values alone account for; the rest turned directions."""
    value_change: float = math.nan
    """Root of the sum of squared differences of singular values, over the norm before."""
    leading_ratio: float = math.nan
    """Mean ratio of the leading singular values, after over before."""
    leading_energy: float = math.nan
    """Share of the squared difference inside the block of the leading directions before, both sides."""
    expected_energy: float = math.nan
    """The same share for a difference without any preferred direction."""
    effective_rank: float = math.nan
    """Of the difference: the exponential of the entropy of its singular values."""
    stable_rank: float = math.nan
    """Of the difference: its squared Frobenius over its squared spectral norm."""
    rank_90: int = 0
    """Singular values of the difference that make up nine tenths of its square."""
    intruders: int = 0
    """Leading left directions after tuning that are far from all before."""
    overlaps: tuple[SubspaceOverlap, ...] = ()
    """For growing numbers of leading directions."""
    matched: tuple[float, ...] = ()
    """Of each leading left direction before, the largest cosine with any after."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """Numbers, and the singular values they come from."""

    found: MatrixSpectra
    before: Float[Tensor, " value"]
    after: Float[Tensor, " value"]


def compare_matrix(
    name: str, before: Float[Tensor, "row column"], after: Float[Tensor, "row column"], *, top: int = 16
) -> Compared:
    """Spectra of both matrices and of their difference, over the `top` leading directions.

    Example:
        >>> before = torch.diag(torch.tensor([3.0, 2.0, 1.0]))
        >>> found = compare_matrix("w", before, torch.diag(torch.tensor([6.0, 2.0, 1.0])), top=1).found
        >>> round(found.value_share, 6), found.leading_ratio, round(found.effective_rank, 6)
        (1.0, 2.0, 1.0)

    Raises:
        InvalidInputError: `top` is below 1, or a weight is not finite.
    """
    if top < 1:
        raise InvalidInputError(f"Spectra: expected top >= 1, found {top}. Change it.")
    first, second = _exact(name, before), _exact(name, after)
    change, rows, columns = second - first, *before.shape
    norm, moved = float(torch.linalg.vector_norm(first)), float(torch.linalg.vector_norm(change))
    relative = moved / norm if norm else math.nan
    shape = (rows, columns)
    left, values, right = torch.linalg.svd(first, full_matrices=False)
    if moved == 0:
        found = MatrixSpectra(name=name, shape=shape, norm=norm, relative_change=0.0 if norm else math.nan)
        return Compared(found=found, before=values, after=values)
    new_left, new_values, new_right = torch.linalg.svd(second, full_matrices=False)
    top = min(top, len(values))
    shift = float((new_values - values).square().sum())
    changed = torch.linalg.svdvals(change)
    energy = changed.square() / changed.square().sum()
    weights = changed / changed.sum()
    cosines = (left.T @ new_left).abs()
    block = float((left[:, :top].T @ change @ right[:top].T).square().sum())
    found = MatrixSpectra(
        name=name,
        shape=shape,
        norm=norm,
        relative_change=relative,
        value_share=min(1.0, shift / moved**2),
        value_change=math.sqrt(shift) / norm if norm else math.nan,
        leading_ratio=_mean_ratio(new_values[:top], values[:top]),
        leading_energy=block / moved**2,
        expected_energy=top * top / (rows * columns),
        effective_rank=float(torch.exp(-torch.special.xlogy(weights, weights).sum())),
        stable_rank=float((moved / changed[0]) ** 2),
        rank_90=min(len(energy), 1 + int((energy.cumsum(0) < 0.9).sum())),
        intruders=int((cosines[:, :top].max(0).values < INTRUDER_COSINE).sum()),
        overlaps=tuple(_overlaps((left, new_left), (right.T, new_right.T), top)),
        matched=tuple(cosines[:top].max(1).values.clamp(max=1.0).tolist()),
    )
    return Compared(found=found, before=values, after=new_values)


def _overlaps(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor], top: int) -> list[SubspaceOverlap]:
    counts = sorted({*(2**power for power in range(top.bit_length()) if 2**power <= top), top})
    found = []
    for count in counts:
        angles = [torch.linalg.svdvals(old[:, :count].T @ new[:, :count]).clamp(0, 1) for old, new in (left, right)]
        found.append(
            SubspaceOverlap(
                count=count,
                left=float(angles[0].square().mean()),
                right=float(angles[1].square().mean()),
                left_angle=math.degrees(math.acos(float(angles[0][-1]))),
                right_angle=math.degrees(math.acos(float(angles[1][-1]))),
            )
        )
    return found


def _exact(name: str, matrix: Tensor) -> Tensor:
    exact = matrix.double() if min(matrix.shape) <= _EXACT_SIDE else matrix.float()
    if not bool(torch.isfinite(exact).all()):
        raise InvalidInputError(f"{name}: expected finite weights, found NaN or infinity. The model is broken.")
    return exact


def _mean_ratio(after: Tensor, before: Tensor) -> float:
    kept = before > 0
    return float((after[kept] / before[kept]).mean()) if bool(kept.any()) else math.nan
