"""A whole tiny InternVL backbone that knows the tokens of grounded answers, and pictures to show it."""

from __future__ import annotations

from typing import Literal

import torch
from PIL import Image

from tests.vlm_bridge.tiny_models import tiny_internvl, tiny_tokenizer
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.images.tile_batch import TilingConfig
from vlm_bridge.prompts.new_rows import add_tokens_to_model
from vlm_bridge.prompts.special_tokens import SpecialTokens


def tiny_backbone(language: Literal["qwen2", "qwen3", "llama"] = "qwen2", seed: int = 0) -> InternVLBackbone:
    """Weights of the language model are large: its words are sure, and are many."""
    model, tokenizer = tiny_internvl(language, seed), tiny_tokenizer()
    for weight in model.model.language_model.parameters():
        weight.data.mul_(8) if weight.ndim == 2 else None
    add_tokens_to_model(model, tokenizer, SpecialTokens())
    return InternVLBackbone(model, tokenizer, TilingConfig(tile_size=28, max_tiles=4))


def picture(width: int = 40, height: int = 90, seed: int = 0) -> Image.Image:
    """Noise; of 40 x 90 pixels, it is two tiles and a thumbnail."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (height, width, 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(pixels.numpy())
