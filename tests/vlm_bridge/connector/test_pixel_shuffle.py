"""Four neighbours become one: which ones, shown by their coordinates, and as transformers does it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import InternVLModel

from tests.vlm_bridge.tiny_models import tiny_internvl
from vlm_bridge.connector.pixel_shuffle import pixel_shuffle
from vlm_bridge.errors import InvalidInputError

INTERNVL: InternVLModel = tiny_internvl().model


def test_each_cell_holds_the_four_cells_of_its_square() -> None:
    width, height = 6, 4
    coordinates = torch.stack(torch.meshgrid(torch.arange(width), torch.arange(height), indexing="ij"), dim=-1)
    shuffled = pixel_shuffle(coordinates[None].float())
    assert tuple(shuffled.shape) == (1, 3, 2, 8)
    for i in range(3):
        for j in range(2):
            square = [[2 * i, 2 * j], [2 * i, 2 * j + 1], [2 * i + 1, 2 * j], [2 * i + 1, 2 * j + 1]]
            assert shuffled[0, i, j].reshape(4, 2).int().tolist() == square


@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 5),
    st.sampled_from([1, 0.5, 0.25]),
)
def test_random_grids_equal_transformers(tiles: int, columns: int, rows: int, dim: int, ratio: float) -> None:
    side = round(1 / ratio)
    # transformers cuts channels before it puts them together, so it needs as many as the square has.
    features = torch.randn(tiles, columns * side, rows * side, dim * side)
    assert torch.equal(pixel_shuffle(features, ratio), INTERNVL.pixel_shuffle(features, ratio))


def test_views_that_do_not_lie_in_a_row_are_taken_too() -> None:
    features = torch.randn(2, 8, 4, 4).transpose(1, 3)
    assert torch.equal(pixel_shuffle(features), pixel_shuffle(features.contiguous()))


@pytest.mark.parametrize(("size", "ratio"), [((3, 4), 0.5), ((4, 3), 0.5), ((4, 4), 0.4), ((4, 4), 2), ((4, 4), 0)])
def test_grid_that_has_no_such_squares_is_refused(size: tuple[int, int], ratio: float) -> None:
    with pytest.raises(InvalidInputError, match="Pixel shuffle"):
        pixel_shuffle(torch.zeros(1, *size, 4), ratio)
