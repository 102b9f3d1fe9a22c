"""`PromptBatch`: conversations as token ids of equal length, with the tiles of their pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from vlm_bridge.images.tile_batch import TileBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptBatch:
    """Rows are conversations. Padded on the left to be answered, on the right to be learned from."""

    ids: Int[Tensor, "row token"]
    """Token ids; an image stands as start, one context token per visual token, end."""
    attention: Bool[Tensor, "row token"]
    """False where a row is padded."""
    answers: Bool[Tensor, "row token"]
    """True for the tokens an assistant says, its end of turn included: what the loss is taken of."""
    tiles: TileBatch | None
    """Tiles of all pictures, in the order of rows and then of their turns; None where there are none."""

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> PromptBatch:
        """The batch on another device, its pixels in `dtype` where given."""
        tiles = self.tiles and replace(self.tiles, pixels=self.tiles.pixels.to(device, dtype))
        return PromptBatch(
            ids=self.ids.to(device), attention=self.attention.to(device), answers=self.answers.to(device), tiles=tiles
        )
