"""`TilingConfig`: how a backbone wants its pictures cut; `TileBatch`: the tiles of several pictures in a row."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from vlm_bridge.errors import InvalidInputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class TilingConfig:
    """How pictures are cut; stored with each backbone."""

    tile_size: int = 448
    """Side of a square tile, pixels."""
    min_tiles: int = 1
    """Fewest tiles of a picture, the thumbnail not counted."""
    max_tiles: int = 12
    """Most tiles of a picture, the thumbnail not counted."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Subtracted from channels 0-1."""
    std: tuple[float, float, float] = IMAGENET_STD
    """Divides channels afterwards."""

    def __post_init__(self) -> None:
        if self.tile_size < 1 or not 1 <= self.min_tiles <= self.max_tiles:
            raise InvalidInputError(
                f"Tiling: expected tile_size >= 1 and 1 <= min_tiles <= max_tiles, found {self.tile_size}, "
                f"{self.min_tiles} and {self.max_tiles}. Change them."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TileBatch:
    """Tiles of several pictures. A picture of several tiles is followed by its thumbnail, which counts as a tile."""

    pixels: Float[Tensor, "tile 3 height width"]
    """Normalised as the backbone's `TilingConfig` says."""
    counts: tuple[int, ...]
    """Tiles of each picture, in order; they add up to the tiles in `pixels`."""

    def __post_init__(self) -> None:
        if sum(self.counts) != len(self.pixels) or any(count < 1 for count in self.counts):
            raise InvalidInputError(
                f"Tiles: expected counts of 1 and more that add up to {len(self.pixels)} tiles, found {self.counts}. "
                "Count the tiles of each picture."
            )
