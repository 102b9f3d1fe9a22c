"""`conversation_lengths`: how many tokens each conversation takes, found without decoding its pictures."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image
from tqdm import tqdm

from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.finetune.records import ConversationDataset
from vlm_bridge.images.grid import choose_grid
from vlm_bridge.images.tile_batch import TilingConfig

_TOGETHER = 16


def conversation_lengths(
    backbone: VisionLanguageBackbone,
    dataset: ConversationDataset,
    *,
    max_tiles: int | None = None,
    progress: bool = False,
) -> list[int]:
    """Tokens of each conversation as `encode` makes them.

    Each is encoded with a square stand-in for its pictures; the tiles its pictures have more than that are counted from
    their sizes alone.
    """
    tiling = backbone.tiling
    if max_tiles is not None:
        tiling = replace(tiling, max_tiles=max_tiles, min_tiles=max(1, min(tiling.min_tiles, max_tiles)))
    side = tiling.tile_size
    stand_in = Image.new("RGB", (side, side))
    per_tile = backbone.parts().tokens_per_tile
    lengths: list[int] = []
    starts = range(0, len(dataset), _TOGETHER)
    for start in tqdm(starts, desc="measure records", disable=not progress, leave=False):
        numbers = range(start, min(start + _TOGETHER, len(dataset)))
        batch = backbone.encode(
            [dataset.without_pictures(number, stand_in) for number in numbers], to_answer=False, max_tiles=max_tiles
        )
        for number, tokens in zip(numbers, batch.attention.sum(dim=1).tolist(), strict=True):
            more = [_tiles(*size, tiling) - _tiles(side, side, tiling) for size in dataset.picture_sizes(number)]
            lengths.append(tokens + per_tile * sum(more))
    return lengths


def _tiles(width: int, height: int, tiling: TilingConfig) -> int:
    columns, rows = choose_grid(width, height, tiling)
    return columns * rows + (columns * rows > 1)
