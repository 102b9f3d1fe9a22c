"""Nearest neighbours against the full distance matrix, and the awkward sets."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import vision3d.scene.neighbours as neighbours
from vision3d.errors import InvalidInputError
from vision3d.scene.neighbours import k_nearest, mean_neighbour_distance


def clouds() -> st.SearchStrategy[torch.Tensor]:
    """Small clouds on a coarse grid, so that equal distances and equal places are common."""
    coordinate = st.integers(-2, 2).map(float)
    return st.lists(st.tuples(coordinate, coordinate, coordinate), min_size=1, max_size=25).map(torch.tensor)


@given(points=clouds(), k=st.integers(1, 30))
def test_distances_are_those_of_the_full_matrix(points: torch.Tensor, k: int) -> None:
    distances, rows = k_nearest(points, k)
    full = torch.cdist(points.double(), points.double())
    full.fill_diagonal_(float("inf"))
    columns = min(k, len(points) - 1)
    assert distances.shape == rows.shape == (len(points), columns)
    torch.testing.assert_close(distances.double(), full.sort(dim=1).values[:, :columns], rtol=0, atol=1e-6)
    torch.testing.assert_close(torch.gather(full, 1, rows), distances.double(), rtol=0, atol=1e-6)
    assert not (rows == torch.arange(len(points))[:, None]).any()
    assert all(len(set(row)) == len(row) for row in rows.tolist())


@given(points=clouds(), k=st.integers(1, 30))
def test_queries_may_find_every_point(points: torch.Tensor, k: int) -> None:
    queries = torch.tensor([[0.5, 0.25, 0.0], [-3, 1, 1]])
    distances, rows = k_nearest(points, k, queries)
    full = torch.cdist(queries.double(), points.double())
    columns = min(k, len(points))
    torch.testing.assert_close(distances.double(), full.sort(dim=1).values[:, :columns], rtol=0, atol=1e-6)
    torch.testing.assert_close(torch.gather(full, 1, rows), distances.double(), rtol=0, atol=1e-6)


def test_blocks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    points = torch.randn(100, 3)
    whole = k_nearest(points, 4)
    monkeypatch.setattr(neighbours, "_BLOCK_ROWS", 7)
    blocks = k_nearest(points, 4)
    assert torch.equal(whole[0], blocks[0])
    assert torch.equal(whole[1], blocks[1])


def test_many_points_at_one_place_are_one_anothers_neighbours() -> None:
    distances, rows = k_nearest(torch.zeros(50, 3), 3)
    assert (distances == 0).all()
    assert not (rows == torch.arange(50)[:, None]).any()


def test_mean_distance_by_hand() -> None:
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [3, 0, 0], [7, 0, 0]])
    # nearest two: 1, 3 | 1, 2 | 2, 3 | 4, 6
    assert mean_neighbour_distance(points, k=2).tolist() == [2, 1.5, 2.5, 5]
    assert mean_neighbour_distance(points[:2]).tolist() == [1, 1]


def test_single_points_and_empty_sets() -> None:
    assert k_nearest(torch.zeros(1, 3), 3)[0].shape == (1, 0)
    assert k_nearest(torch.zeros(0, 3), 3)[0].shape == (0, 0)
    assert k_nearest(torch.zeros(2, 3), 3, torch.zeros(0, 3))[0].shape == (0, 2)
    with pytest.raises(InvalidInputError, match="at least 2 points, found 1"):
        mean_neighbour_distance(torch.zeros(1, 3))


def test_bad_questions_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="found 0"):
        k_nearest(torch.zeros(2, 3), 0)
    with pytest.raises(InvalidInputError, match="finite points, found 1 of 2"):
        k_nearest(torch.tensor([[0.0, 0, 0], [float("nan"), 0, 0]]), 1)
    with pytest.raises(InvalidInputError, match="finite queries"):
        k_nearest(torch.zeros(2, 3), 1, torch.full((1, 3), float("inf")))
