"""A small backbone to adapt, a batch for it, and a few steps of learning."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from tests.vlm_bridge.tiny_models import tiny_internvl, tiny_tokenizer
from vlm_bridge.adapters.parameter_groups import adapter_parameter_groups
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.images.tile_batch import TilingConfig
from vlm_bridge.prompts.conversation import ask
from vlm_bridge.prompts.prompt_batch import PromptBatch

LEARNING_RATE, STEPS = 1e-2, 6
"""Enough to change logits by more than a hundredth with every method, and to stay far from divergence."""


def tiny_backbone() -> InternVLBackbone:
    """One of two layers over Qwen2, with biases at q, k and v; always with the same weights."""
    return InternVLBackbone(tiny_internvl(), tiny_tokenizer(), TilingConfig(tile_size=28, max_tiles=1))


def some_batch(backbone: InternVLBackbone) -> PromptBatch:
    """A question about a picture and a shorter one about none, so with padding."""
    pixels = torch.randint(0, 256, (28, 28, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    picture = Image.fromarray(pixels.numpy())
    return backbone.encode([ask("what is this?", picture), ask("and so?")], to_answer=True)


def logits(backbone: InternVLBackbone) -> Tensor:
    """Of `some_batch`, where there is no padding; without dropout."""
    backbone.model.eval()
    batch = some_batch(backbone)
    with torch.no_grad():
        return torch.where(batch.attention.bool()[..., None], backbone.forward(batch).logits, 0.0)


def learn(backbone: InternVLBackbone, *, steps: int = STEPS, seed: int = 0) -> list[float]:
    """Losses of a few steps towards random words; the model is left in evaluation mode."""
    backbone.model.train()
    batch = some_batch(backbone)
    rows, length = batch.ids.shape
    targets = torch.randint(0, 256, (rows * length,), generator=torch.Generator().manual_seed(seed))
    optimizer = torch.optim.AdamW(adapter_parameter_groups(backbone.model, learning_rate=LEARNING_RATE))
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(backbone.forward(batch).logits.flatten(0, 1), targets)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    backbone.model.eval()
    return losses
