"""The polar factor by its defining properties."""

from __future__ import annotations

import pytest
import torch

from vlm_bridge.optim.polar_factor import polar_factor


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (6, 6)])
def test_it_is_orthogonal_and_turns_the_matrix_symmetric(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, dtype=torch.float64)
    found = polar_factor(matrix)
    short = min(shape)
    gram = found.direction @ found.direction.T if shape[0] == short else found.direction.T @ found.direction
    assert torch.allclose(gram, torch.eye(short, dtype=torch.float64), atol=1e-12)
    stretch = found.direction.T @ matrix
    assert torch.allclose(stretch, stretch.T, atol=1e-12)
    assert float((found.direction * matrix).sum()) == pytest.approx(found.nuclear)
    assert found.frobenius == pytest.approx(float(torch.linalg.norm(matrix)))
    assert found.spectral == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)))
    assert found.rank == short


def test_directions_that_are_rounding_are_left_out() -> None:
    # gradients of a softmax over rows sum to 0: rank 9 of 10
    matrix = torch.randn(10, 64)
    found = polar_factor(matrix - matrix.mean(dim=0))
    assert found.rank == 9
    assert float(torch.linalg.norm(found.direction)) == pytest.approx(3, rel=1e-5)  # root of the rank


def test_zero_has_no_direction_and_half_precision_is_raised() -> None:
    zero = polar_factor(torch.zeros(3, 4))
    assert (zero.rank, zero.nuclear) == (0, 0.0)
    assert torch.equal(zero.direction, torch.zeros(3, 4))
    assert polar_factor(torch.eye(3, dtype=torch.bfloat16)).direction.dtype == torch.float32
