"""Factors of a matrix beside torch's own singular value decomposition."""

from __future__ import annotations

import pytest
import torch

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim.randomized_svd import Factors, randomized_svd


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _falling(rows: int, columns: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Singular values 0.7^i."""
    count = min(rows, columns)
    left = torch.linalg.qr(torch.randn(rows, count, generator=_generator(1), dtype=dtype)).Q
    right = torch.linalg.qr(torch.randn(columns, count, generator=_generator(2), dtype=dtype)).Q
    return left @ torch.diag(0.7 ** torch.arange(count, dtype=dtype)) @ right.T


@pytest.mark.parametrize("shape", [(60, 50), (50, 60)])
def test_the_error_is_near_the_least_possible_one(shape: tuple[int, int]) -> None:
    matrix = _falling(*shape)
    values = torch.linalg.svdvals(matrix)
    best = float(torch.linalg.vector_norm(values[4:]))
    errors = {
        iterations: max(
            float(
                torch.linalg.norm(
                    randomized_svd(matrix, 4, generator=_generator(seed), iterations=iterations).matrix() - matrix
                )
            )
            for seed in range(20)
        )
        for iterations in (0, 1)
    }
    assert errors[1] < 1.01 * best  # the worst of 20 draws
    assert errors[1] < errors[0] < 1.5 * best


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_factors_are_orthonormal_and_values_those_of_the_matrix(dtype: torch.dtype) -> None:
    matrix = _falling(40, 30, dtype)
    found = randomized_svd(matrix, 5, generator=_generator())
    unit = torch.eye(5, dtype=dtype)
    assert torch.allclose(found.left.T @ found.left, unit, atol=1e-5)
    assert torch.allclose(found.right @ found.right.T, unit, atol=1e-5)
    assert torch.allclose(found.scale, torch.linalg.svdvals(matrix)[:5], rtol=1e-3)


def test_a_matrix_of_lower_rank_is_kept_exactly() -> None:
    matrix = torch.randn(30, 3, dtype=torch.float64) @ torch.randn(3, 40, dtype=torch.float64)
    for rank in (3, 6):
        found = randomized_svd(matrix, rank, generator=_generator())
        assert torch.allclose(found.matrix(), matrix, atol=1e-13)
    assert float(found.scale[3:].max()) < 1e-13


@pytest.mark.parametrize("rank", [7, 50])
def test_full_rank_loses_nothing_and_draws_nothing(rank: int) -> None:
    matrix = torch.randn(7, 20, dtype=torch.float64)
    generator = _generator()
    before = generator.get_state()
    found = randomized_svd(matrix, rank, generator=generator)
    assert torch.allclose(found.matrix(), matrix, atol=1e-14)
    assert found.scale.shape == (7,)
    assert torch.equal(generator.get_state(), before)


def test_zeros_stay_zeros_and_tiny_numbers_lose_no_more_than_large_ones() -> None:
    assert torch.equal(randomized_svd(torch.zeros(9, 8), 2, generator=_generator()).matrix(), torch.zeros(9, 8))
    matrix = _falling(30, 30, torch.float32)
    plain = randomized_svd(matrix, 4, generator=_generator()).matrix()
    # squares of such numbers vanish in float32
    tiny = randomized_svd(matrix * 2.0**-80, 4, generator=_generator()).matrix()
    assert torch.allclose(tiny * 2.0**80, plain, atol=1e-5)


def test_equal_seeds_give_equal_bits_whatever_the_global_generator_does() -> None:
    matrix = _falling(40, 30, torch.float32)
    first = randomized_svd(matrix, 3, generator=_generator(5))
    torch.rand(17)
    second = randomized_svd(matrix, 3, generator=_generator(5))
    other = randomized_svd(matrix, 3, generator=_generator(6))
    assert torch.equal(first.matrix(), second.matrix())
    assert not torch.equal(first.matrix(), other.matrix())


def test_the_product_is_left_scale_right() -> None:
    factors = Factors(
        left=torch.tensor([[1.0], [0.0]]), scale=torch.tensor([3.0]), right=torch.tensor([[0.0, 1.0, 0.0]])
    )
    assert factors.matrix().tolist() == [[0.0, 3.0, 0.0], [0.0, 0.0, 0.0]]


@pytest.mark.parametrize("options", [{"rank": 0}, {"rank": 1, "oversample": -1}, {"rank": 1, "iterations": -1}])
def test_counts_out_of_range_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(InvalidInputError, match="rank >= 1"):
        randomized_svd(torch.eye(3), generator=_generator(), **options)
