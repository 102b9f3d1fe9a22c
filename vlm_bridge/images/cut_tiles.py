"""`cut_tiles`: pictures as normalised square tiles, each large one followed by its thumbnail.

The tiles are those of transformers' `GotOcr2ImageProcessorPil` with `crop_to_patches`, value for value. They are cut
here because only late releases have that class, and under names that changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from vlm_bridge.images.grid import choose_grid
from vlm_bridge.images.rgb import to_rgb
from vlm_bridge.images.tile_batch import TileBatch, TilingConfig


def cut_tiles(images: Sequence[Image.Image], config: TilingConfig) -> TileBatch:
    """Tiles of each picture, row by row from the top left, in float32 on the CPU.

    A picture is stretched (bicubic, its ratio not kept) to the grid that `choose_grid` names and cut there. Where this
    gives more than one tile, the whole picture in one tile comes last. No pictures give no tiles.

    Example:
        >>> batch = cut_tiles([Image.new("L", (90, 40))], TilingConfig(tile_size=28, max_tiles=4))
        >>> batch.counts, tuple(batch.pixels.shape)
        ((3,), (3, 3, 28, 28))

    Raises:
        InvalidInputError: a picture is empty, damaged, or has colours that cannot be made RGB.
    """
    counts = []
    pixels = [torch.empty(0, 3, config.tile_size, config.tile_size)]
    for image in images:
        tiles = [_normalised(tile, config) for tile in _tiles(to_rgb(image), config)]
        counts.append(len(tiles))
        pixels.append(torch.stack(tiles))
    return TileBatch(pixels=torch.cat(pixels), counts=tuple(counts))


def _tiles(image: Image.Image, config: TilingConfig) -> Iterator[Image.Image]:
    side = config.tile_size
    columns, rows = choose_grid(image.width, image.height, config)
    stretched = image.resize((columns * side, rows * side), Image.Resampling.BICUBIC)
    for row in range(rows):
        for column in range(columns):
            left, top = column * side, row * side
            yield stretched.crop((left, top, left + side, top + side))
    if columns * rows > 1:
        yield image.resize((side, side), Image.Resampling.BICUBIC)


def _normalised(tile: Image.Image, config: TilingConfig) -> Float[Tensor, "3 height width"]:
    channels = torch.from_numpy(np.array(tile, dtype=np.float32)).permute(2, 0, 1) / 255
    mean, std = torch.tensor(config.mean), torch.tensor(config.std)
    return (channels - mean[:, None, None]) / std[:, None, None]
