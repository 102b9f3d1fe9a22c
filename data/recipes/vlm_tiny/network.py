"""The network of the small backbone: InternVL as transformers builds it, at the size that two CPU cores can train."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from transformers import InternVLConfig, InternVLForConditionalGeneration, InternVLVisionConfig, Qwen2Config

from data.recipes.vlm_tiny.exchange import SIDE
from data.recipes.vlm_tiny.vocabulary import COLOURS, WHAT

PATCH = 16
TOKENS_PER_TILE = (SIDE // PATCH // 2) ** 2
FINE = 4
"""Each patch predicts so many by so many labels."""


def build(words: int, image_token: int, end: int, pad: int) -> Any:
    """An untrained InternVL of about 9 million parameters."""
    vision = InternVLVisionConfig(
        hidden_size=256, num_hidden_layers=7, num_attention_heads=4, intermediate_size=1024, image_size=[SIDE, SIDE],
        patch_size=[PATCH, PATCH], norm_type="rms_norm", use_qk_norm=True, layer_scale_init_value=0.1,
    )  # fmt: skip
    text = Qwen2Config(
        vocab_size=words, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=704, max_position_embeddings=4096, rope_theta=10_000.0, bos_token_id=None, eos_token_id=end,
        pad_token_id=pad, tie_word_embeddings=True,
    )  # fmt: skip
    config = InternVLConfig(
        vision_config=vision, text_config=text, image_token_id=image_token, image_seq_length=TOKENS_PER_TILE,
        downsample_ratio=0.5, tie_word_embeddings=True,
    )  # fmt: skip
    return InternVLForConditionalGeneration(config)


class DenseHeads(nn.Module):
    """Reads from the patch features what each of 4 x 4 places in a patch shows, and its colour.

    They teach the vision tower to see in detail and are not part of the backbone.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.what = nn.Linear(width, len(WHAT) * FINE**2)
        self.colour = nn.Linear(width, len(COLOURS) * FINE**2)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [tile name row column] of both, four places to each side of a patch."""
        return self._map(self.what(self.norm(patches))), self._map(self.colour(self.norm(patches)))

    def _map(self, values: Tensor) -> Tensor:
        tiles, patches, _ = values.shape
        side = round(patches**0.5)
        cut = values.view(tiles, side, side, -1, FINE, FINE)
        return cut.permute(0, 3, 1, 4, 2, 5).reshape(tiles, -1, side * FINE, side * FINE)


def coarse_labels(labels: Tensor) -> Tensor:
    """Labels [tile height width] at the places of the dense heads."""
    side = SIDE // PATCH * FINE
    return interpolate(labels[:, None].float(), (side, side), mode="nearest-exact")[:, 0].long()


def patch_features(model: Any, pixels: Tensor) -> Tensor:
    """What the vision tower gives for each patch, [tile patch width]."""
    return model.model.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:]


def window_features(model: Any, pixels: Tensor, place: Tensor) -> Tensor:
    """The same for windows [window 3 height width] whose first patch lies at row and column `place` of its picture."""
    tower = model.model.vision_tower
    embeddings = tower.embeddings
    patches = embeddings.patch_embeddings(pixels)
    side, grid = round(patches.shape[1] ** 0.5), SIDE // PATCH
    steps = torch.arange(side, device=pixels.device)
    rows, columns = place[:, 0, None, None] + steps[:, None], place[:, 1, None, None] + steps
    positions = embeddings.position_embeddings[0]
    there = positions[1:][(rows * grid + columns).flatten(1)]
    first = (embeddings.cls_token + positions[:1]).expand(len(pixels), -1, -1)
    states = tower.encoder(torch.cat([first, patches + there], 1)).last_hidden_state
    return tower.layernorm(states)[:, 1:]


def parameter_count(model: nn.Module) -> int:
    """All parameters, shared ones once."""
    return sum(parameter.numel() for parameter in model.parameters())


def no_decay(name: str, parameter: torch.Tensor) -> bool:
    """Whether a parameter is a scale, a bias or an embedding."""
    return parameter.ndim < 2 or "embed" in name or "cls_token" in name or "position" in name
