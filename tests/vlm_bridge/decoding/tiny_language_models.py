"""Language models of some 20,000 random weights, whose heads are 16 wide: 8 frequencies to perturb."""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    DynamicCache,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tests.vlm_bridge.tiny_models import tiny_internvl

WORDS = 60
BASE = 1e6
_KINDS = {
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
    "llama": (LlamaConfig, LlamaForCausalLM),
}
KINDS = (*_KINDS, "internvl")


def tiny_language_model(kind: str = "qwen2", seed: int = 0, **settings: Any) -> Any:
    """A model that reads ids 0 to 59. Its weights are large, so that its words are sure and differ between branches."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "internvl":
            model: Any = tiny_internvl(seed=seed)
            for weight in model.model.language_model.parameters():
                weight.data.mul_(8) if weight.ndim == 2 else None
            return model
        config, family = _KINDS[kind]
        options = {
            "vocab_size": WORDS,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": BASE},
            "initializer_range": 0.3,
            "bos_token_id": None,
            "eos_token_id": None,
            "pad_token_id": 0,
        }
        return family(config(**(options | settings))).eval()


def random_ids(rows: int, tokens: int, seed: int = 1) -> torch.Tensor:
    """Ids from 1 on, so that none is padding."""
    return torch.randint(1, WORDS, (rows, tokens), generator=torch.Generator().manual_seed(seed))


def padded(prompts: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Prompts of different lengths as `generate` takes them, padded on the left with 0."""
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.stack([torch.nn.functional.pad(prompt, (longest - len(prompt), 0)) for prompt in prompts])
    kept = torch.stack([torch.arange(longest) >= longest - len(prompt) for prompt in prompts])
    return {"input_ids": ids, "attention_mask": kept.long()}


def cache_bytes(cache: DynamicCache) -> int:
    """Bytes of all keys and values."""
    tensors = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]  # type: ignore[attr-defined]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if tensor is not None)
