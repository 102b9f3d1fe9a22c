"""The grid of a picture: against an oracle that looks at every grid, against transformers, and at the edges."""

from __future__ import annotations

import random

import pytest
from transformers.models.got_ocr2.image_processing_got_ocr2 import get_optimal_tiled_canvas

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.images.grid import choose_grid
from vlm_bridge.images.tile_batch import TilingConfig


def every_grid_looked_at(width: int, height: int, config: TilingConfig) -> tuple[int, int]:
    """The rule said another way: of the nearest grids, the last one with room, else the first."""
    grids = [
        (columns, tiles // columns)
        for tiles in range(config.min_tiles, config.max_tiles + 1)
        for columns in range(1, tiles + 1)
        if tiles % columns == 0
    ]
    distances = [abs(width / height - columns / rows) for columns, rows in grids]
    nearest = [grid for grid, distance in zip(grids, distances, strict=True) if distance == min(distances)]
    filled = [grid for grid in nearest[1:] if 2 * width * height > config.tile_size**2 * grid[0] * grid[1]]
    return filled[-1] if filled else nearest[0]


def random_sizes(count: int) -> list[tuple[int, int]]:
    """Sizes of all magnitudes; a third with a simple ratio, where several grids are equally near."""
    draw = random.Random(7)
    sizes = [(round(2 ** draw.uniform(0, 13)), round(2 ** draw.uniform(0, 13))) for _ in range(count - count // 3)]
    for _ in range(count // 3):
        scale = draw.randint(1, 1500)
        sizes.append((scale * draw.randint(1, 6), scale * draw.randint(1, 6)))
    return sizes


CONFIGS = [
    TilingConfig(),
    TilingConfig(min_tiles=3, max_tiles=7),
    TilingConfig(tile_size=28, max_tiles=4),
    TilingConfig(tile_size=30, min_tiles=5, max_tiles=40),
    TilingConfig(max_tiles=1),
    # Two grids of equally many tiles, both as near to 5 : 4.
    TilingConfig(min_tiles=2, max_tiles=2),
]


@pytest.mark.parametrize(
    "config", CONFIGS, ids=lambda config: f"{config.tile_size}-{config.min_tiles}-{config.max_tiles}"
)
def test_thousand_sizes_as_the_oracle_and_transformers_choose(config: TilingConfig) -> None:
    for width, height in random_sizes(1000):
        chosen = choose_grid(width, height, config)
        side = (config.tile_size, config.tile_size)
        assert chosen == every_grid_looked_at(width, height, config), (width, height)
        assert chosen == get_optimal_tiled_canvas((height, width), side, config.min_tiles, config.max_tiles)


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((448, 448), (1, 1)),
        # 2 x 2 tiles are 802,816 pixels, half of them 401,408: 633 x 633 = 400,689 is below, 634 x 634 above.
        ((633, 633), (1, 1)),
        ((634, 634), (2, 2)),
        # 3 x 3 begin above 903,168 pixels, that is at 951 x 951.
        ((950, 950), (2, 2)),
        ((951, 951), (3, 3)),
        ((900, 300), (3, 1)),
        ((300, 900), (1, 3)),
        ((1, 100_000), (1, 12)),
        ((100_000, 1), (12, 1)),
        ((1, 1), (1, 1)),
    ],
)
def test_known_sizes(size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert choose_grid(*size, TilingConfig()) == grid


def test_halfway_between_two_grids_the_first_stays_while_the_picture_is_small() -> None:
    # 1.25 lies halfway between 1:1 and 3:2 if at most 6 tiles are allowed, where 5:4 is not among the grids.
    config = TilingConfig(max_tiles=6)
    assert choose_grid(5, 4, config) == (1, 1)
    # 3 x 2 needs 602,112 pixels and more; 4 x 4 = 16 tiles are not allowed.
    assert choose_grid(5 * 200, 4 * 200, config) == (3, 2)


def test_more_than_half_as_many_pixels_is_meant() -> None:
    # 24.5 lies halfway between 24 and 25 tiles in a row; 490 x 20 = 9,800 pixels are exactly half of 25 x 28 x 28.
    config = TilingConfig(tile_size=28, max_tiles=25)
    assert choose_grid(490, 20, config) == (24, 1)
    assert choose_grid(539, 22, config) == (25, 1)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_picture_without_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidInputError, match="at least one pixel"):
        choose_grid(*size, TilingConfig())
