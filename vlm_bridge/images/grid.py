"""`choose_grid`: into how many columns and rows of square tiles a picture is cut."""

from __future__ import annotations

from functools import lru_cache

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.images.tile_batch import TilingConfig


def choose_grid(width: int, height: int, config: TilingConfig) -> tuple[int, int]:
    """Columns and rows whose ratio is nearest to that of a picture of `width` x `height` pixels.

    Grids are tried from few tiles to many, those of equally many from narrow to wide. Where a later one is exactly as
    near, it is taken only if the picture has more than half as many pixels as the grid: a small picture is not blown
    up. Ratios are compared in float64, as transformers does, so that both choose alike.

    Example:
        >>> choose_grid(1000, 500, TilingConfig())
        (2, 1)
        >>> choose_grid(4000, 2000, TilingConfig())
        (4, 2)

    Raises:
        InvalidInputError: the picture has no pixel.

    Source:
        InternVL 1.5 (arXiv:2404.16821), section 3.3. Its code tries equally many tiles in no fixed order; ours is that
        of the image processor of transformers.
    """
    if width < 1 or height < 1:
        raise InvalidInputError(f"Picture: expected at least one pixel, found {width} x {height}. Leave it out.")
    ratio = width / height
    best, nearest = (1, 1), float("inf")
    for columns, rows in _grids(config.min_tiles, config.max_tiles):
        distance = abs(ratio - columns / rows)
        roomy = width * height > 0.5 * config.tile_size**2 * columns * rows
        if distance < nearest or (distance == nearest and roomy):
            best, nearest = (columns, rows), distance
    return best


@lru_cache(maxsize=64)
def _grids(min_tiles: int, max_tiles: int) -> list[tuple[int, int]]:
    """Every grid of allowed size, by tiles and then by columns."""
    grids = [
        (columns, rows)
        for columns in range(1, max_tiles + 1)
        for rows in range(1, max_tiles // columns + 1)
        if columns * rows >= min_tiles
    ]
    return sorted(grids, key=lambda grid: grid[0] * grid[1])
