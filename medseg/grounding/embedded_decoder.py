"""`EmbeddedMaskDecoder`: SAM's prompt encoder and mask decoder over a small encoder, the size two CPU cores can train.

Differences from SAM: the map has stride 8 and comes from a convolutional pyramid, maps of stride 4 and 2 enter the
enlargement as in SAM 2, a map of every pixel may sharpen the mask (filters of the mask token's state over it are added
to the enlarged logits), and a head says whether the picture shows the target at all (SAM 2's object score).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import interpolate

from medseg.grounding.mask_decoder import DecodedMasks, EncodedPictures
from medseg.grounding.picture_fit import PictureFit
from medseg.grounding.pyramid_encoder import PyramidEncoder
from medseg.grounding.sam_door import build_mask_decoder, build_prompt_encoder, decode_tokens, dense_prompts

_STRIDE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedDecoderConfig:
    """Shape of the embedded decoder; stored with its weights."""

    side: int = 256
    """Pixels along each side of the picture it reads."""
    width: int = 128
    """Of the map and of prompt vectors; a multiple of 16."""
    channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    """Of the encoder's maps of stride 2, 4, 8, 16, 32."""
    blocks: tuple[int, ...] = (1, 1, 2, 2, 1)
    """Residual blocks at each."""
    depth: int = 2
    """Layers of the two-way transformer."""
    sharp: int = 0
    """Channels of the map of every pixel that sharpens masks; 0 leaves masks at half the side."""


class EmbeddedMaskDecoder(nn.Module):
    """The embedded member of the family; see `MaskDecoder`."""

    def __init__(self, config: EmbeddedDecoderConfig = EmbeddedDecoderConfig()) -> None:
        super().__init__()
        self.config = config
        self.fit = PictureFit(side=config.side)
        self.prompt_width = config.width
        self.encoder = PyramidEncoder(config.channels, config.blocks, config.width, config.sharp)
        grid = config.side // _STRIDE
        self.prompt_encoder: Any = build_prompt_encoder(config.width, grid, config.side)
        self.mask_decoder = build_mask_decoder(config.width, depth=config.depth, mlp_width=4 * config.width)
        self.object_head = nn.Linear(config.width, 1)
        self.sharp_filters = nn.Linear(config.width, config.sharp) if config.sharp else None
        if self.sharp_filters is not None:  # masks begin as they are without it
            nn.init.zeros_(self.sharp_filters.weight)
            nn.init.zeros_(self.sharp_filters.bias)

    def encode(self, pictures: Float[Tensor, "picture 3 side side"]) -> EncodedPictures:
        """Maps of stride 8, 4, 2 and perhaps 1; any side that is a multiple of 32 goes through."""
        embedding, fine = self.encoder(pictures)
        return EncodedPictures(embedding=embedding, fine=fine)

    def decode(
        self,
        encoded: EncodedPictures,
        picture: Int[Tensor, " token"],
        prompts: Float[Tensor, "token width"],
        previous: Float[Tensor, "token h w"] | None = None,
    ) -> DecodedMasks:
        """One mask per token, of half the picture's side; of its full side where they are sharpened."""
        grid = encoded.embedding.shape[-2:]
        if not len(picture):
            none = prompts.new_zeros(0)
            return DecodedMasks(
                logits=prompts.new_zeros((0, *encoded.fine[-1].shape[-2:])), overlap=none, object_logits=none
            )
        self.prompt_encoder.image_embedding_size = tuple(grid)
        dense = dense_prompts(self.prompt_encoder, _to_mask_input(previous, grid), len(picture))
        logits, overlap, states = decode_tokens(
            self.mask_decoder,
            encoded.embedding[picture] + dense,
            self.prompt_encoder.get_dense_pe(),
            prompts[:, None],
            tuple(fine[picture] for fine in encoded.fine[:2]),
        )
        if self.sharp_filters is not None:
            sharp = encoded.fine[2]
            enlarged = interpolate(logits[:, None], sharp.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
            logits = enlarged + torch.einsum("tc,tchw->thw", self.sharp_filters(states[:, 1]), sharp[picture])
        return DecodedMasks(logits=logits, overlap=overlap, object_logits=self.object_head(states[:, 0])[:, 0])


def _to_mask_input(previous: Tensor | None, grid: torch.Size) -> Tensor | None:
    if previous is None:
        return None
    return interpolate(previous[:, None], (4 * grid[0], 4 * grid[1]), mode="bilinear", align_corners=False)[:, 0]
