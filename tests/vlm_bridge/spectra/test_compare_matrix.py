"""Numbers of one matrix: worked by hand, and laws of singular values."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.spectra.compare_matrix import compare_matrix


def _matrix(rows: int, columns: int, seed: int) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _rotation(size: int, seed: int) -> Tensor:
    return torch.linalg.qr(_matrix(size, size, seed)).Q


def test_a_plane_turned_by_a_known_angle_is_found() -> None:
    before = torch.diag(torch.tensor([5.0, 1.0, 0.5], dtype=torch.float64))
    angle = math.radians(30)
    turn = torch.eye(3, dtype=torch.float64)
    turn[0, 0] = turn[2, 2] = math.cos(angle)
    turn[0, 2], turn[2, 0] = -math.sin(angle), math.sin(angle)
    found = compare_matrix("w", before, turn @ before, top=1).found
    assert found.value_share == pytest.approx(0, abs=1e-12)
    (overlap,) = found.overlaps
    assert overlap.left_angle == pytest.approx(30)
    assert overlap.left == pytest.approx(math.cos(angle) ** 2)
    assert overlap.right_angle == pytest.approx(0, abs=1e-5)
    assert found.matched[0] == pytest.approx(math.cos(angle))
    assert found.intruders == 0


def test_a_new_strong_direction_is_an_intruder() -> None:
    before = torch.diag(torch.tensor([3.0, 2.0, 0.0, 0.0], dtype=torch.float64))
    up = torch.tensor([[0.0, 0, 1, 1]], dtype=torch.float64).T / math.sqrt(2)
    before = before[:, :2]  # so that no direction before points where the new one does
    found = compare_matrix("w", before, before + 9 * up @ torch.ones(1, 2, dtype=torch.float64), top=1).found
    assert found.intruders == 1
    assert found.effective_rank == pytest.approx(1)


@given(seed=st.integers(0, 10**6), rows=st.integers(2, 9), columns=st.integers(2, 9))
def test_values_never_account_for_more_than_the_change(seed: int, rows: int, columns: int) -> None:
    before = _matrix(rows, columns, seed)
    after = before + 0.3 * _matrix(rows, columns, seed + 1)
    compared = compare_matrix("w", before, after, top=3)
    shift = (compared.after - compared.before).square().sum()
    assert shift <= (after - before).square().sum() * (1 + 1e-9)  # Hoffman and Wielandt
    assert 0 <= compared.found.value_share <= 1
    assert 1 - 1e-9 <= compared.found.stable_rank <= compared.found.effective_rank**2 + 1e-9
    assert compared.found.effective_rank <= min(rows, columns) + 1e-9


@given(seed=st.integers(0, 10**6))
def test_turning_both_models_alike_changes_no_number(seed: int) -> None:
    before = _matrix(6, 5, seed)
    after = before + 0.2 * _matrix(6, 5, seed + 1)
    left, right = _rotation(6, seed + 2), _rotation(5, seed + 3)
    one = compare_matrix("w", before, after, top=2).found
    other = compare_matrix("w", left @ before @ right, left @ after @ right, top=2).found
    for name in ("relative_change", "value_share", "leading_ratio", "leading_energy", "effective_rank", "norm"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-6, abs=1e-9), name
    assert one.overlaps[-1].left == pytest.approx(other.overlaps[-1].left, abs=1e-6)


@given(seed=st.integers(0, 10**6), factors=st.lists(st.floats(0.5, 2.0), min_size=4, max_size=4))
def test_a_change_of_values_alone_is_all_values(seed: int, factors: list[float]) -> None:
    left, right = _rotation(6, seed)[:, :4], _rotation(4, seed + 1)
    values = torch.tensor([8.0, 4.0, 2.0, 1.0], dtype=torch.float64)
    new = values * torch.tensor(factors, dtype=torch.float64)
    ordered = bool((new[:-1] >= new[1:]).all())
    found = compare_matrix("w", left * values @ right, left * new @ right, top=4).found
    if found.relative_change > 1e-6:
        assert found.value_share == pytest.approx(1, abs=1e-6) if ordered else found.value_share <= 1


def test_noise_has_no_preferred_direction() -> None:
    before = _matrix(60, 50, 0)
    found = compare_matrix("w", before, before + 1e-3 * _matrix(60, 50, 1), top=25).found
    assert found.leading_energy / found.expected_energy == pytest.approx(1, abs=0.2)


def test_equal_and_broken_matrices() -> None:
    matrix = _matrix(4, 3, 0)
    found = compare_matrix("w", matrix, matrix.clone()).found
    assert found.relative_change == 0
    assert found.overlaps == ()
    with pytest.raises(InvalidInputError, match="finite"):
        compare_matrix("w", matrix, matrix * math.nan)
    with pytest.raises(InvalidInputError, match="top"):
        compare_matrix("w", matrix, matrix, top=0)
