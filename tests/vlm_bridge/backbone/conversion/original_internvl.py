"""InternVL in its own layout with small widths: what its own code computes, written out in plain torch, and how its
checkpoints lie on disk.

The computation is that of the published model (arXiv:2312.14238 and 2404.16821): a vision transformer of pre-normed
blocks with layer scale, whose queries and keys may be normed over the full width; a pixel shuffle of 2 by 2 patches; a
connector of norm, linear, GELU, linear; the visual tokens in the places of `<IMG_CONTEXT>`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import pre_tokenizers
from torch import Tensor, nn
from torch.nn.functional import gelu
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

SPECIAL = ("<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>")
MERGES = (("t", "h"), ("th", "e"), ("Ċ", "Ċ"))
WORDS = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in MERGES), "<|endoftext|>"]
VOCABULARY = {word: number for number, word in enumerate([*WORDS, *SPECIAL])}
_TEXT_CONFIGS = {"qwen2": Qwen2Config, "qwen3": Qwen3Config, "llama": LlamaConfig}


@dataclass(frozen=True, kw_only=True)
class OriginalSettings:
    """What tells the published models apart."""

    language: str = "qwen2"
    qk_norm: bool = True
    qkv_bias: bool = False
    rms_norm: bool = True
    select_layer: int = -1
    width: int = 16
    heads: int = 2
    layers: int = 2
    image_size: int = 56
    text_width: int = 32


class RmsNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, values: Tensor) -> Tensor:
        return self.weight * values / (values.square().mean(-1, keepdim=True) + 1e-6).sqrt()


class Attention(nn.Module):
    def __init__(self, settings: OriginalSettings) -> None:
        super().__init__()
        self.heads = settings.heads
        self.qkv = nn.Linear(settings.width, 3 * settings.width, bias=settings.qkv_bias)
        self.proj = nn.Linear(settings.width, settings.width)
        self.q_norm = RmsNorm(settings.width) if settings.qk_norm else nn.Identity()
        self.k_norm = RmsNorm(settings.width) if settings.qk_norm else nn.Identity()

    def forward(self, states: Tensor) -> Tensor:
        batch, count, width = states.shape
        query, key, value = self.qkv(states).reshape(batch, count, 3, width).unbind(2)
        query, key = self.q_norm(query), self.k_norm(key)
        query, key, value = (
            part.reshape(batch, count, self.heads, width // self.heads).transpose(1, 2) for part in (query, key, value)
        )
        weights = (query @ key.transpose(-1, -2) * (width // self.heads) ** -0.5).softmax(-1)
        return self.proj((weights @ value).transpose(1, 2).reshape(batch, count, width))


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 2 * width)
        self.fc2 = nn.Linear(2 * width, width)

    def forward(self, states: Tensor) -> Tensor:
        return self.fc2(gelu(self.fc1(states)))


class Block(nn.Module):
    def __init__(self, settings: OriginalSettings) -> None:
        super().__init__()
        norm = RmsNorm if settings.rms_norm else lambda width: nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(settings)
        self.mlp = Mlp(settings.width)
        self.norm1, self.norm2 = norm(settings.width), norm(settings.width)
        self.ls1 = nn.Parameter(torch.rand(settings.width))
        self.ls2 = nn.Parameter(torch.rand(settings.width))

    def forward(self, states: Tensor) -> Tensor:
        states = states + self.attn(self.norm1(states)) * self.ls1
        return states + self.mlp(self.norm2(states)) * self.ls2


class Embeddings(nn.Module):
    def __init__(self, settings: OriginalSettings) -> None:
        super().__init__()
        places = (settings.image_size // 14) ** 2 + 1
        self.class_embedding = nn.Parameter(torch.randn(1, 1, settings.width))
        self.position_embedding = nn.Parameter(torch.randn(1, places, settings.width))
        self.patch_embedding = nn.Conv2d(3, settings.width, 14, stride=14)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        return torch.cat([self.class_embedding.expand(len(pixels), -1, -1), patches], 1) + self.position_embedding


class Vision(nn.Module):
    def __init__(self, settings: OriginalSettings) -> None:
        super().__init__()
        self.embeddings = Embeddings(settings)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(Block(settings) for _ in range(settings.layers))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """States before the first block and after each."""
        states = [self.embeddings(pixels)]
        for block in self.encoder.layers:
            states.append(block(states[-1]))
        return states


class OriginalInternVL(nn.Module):
    def __init__(self, settings: OriginalSettings) -> None:
        super().__init__()
        self.settings = settings
        self.vision_model = Vision(settings)
        self.mlp1 = nn.Sequential(
            nn.LayerNorm(4 * settings.width),
            nn.Linear(4 * settings.width, settings.text_width),
            nn.GELU(),
            nn.Linear(settings.text_width, settings.text_width),
        )
        self.language_model = AutoModelForCausalLM.from_config(self._text_config(settings))

    @staticmethod
    def _text_config(settings: OriginalSettings) -> Any:
        return _TEXT_CONFIGS[settings.language](
            vocab_size=len(VOCABULARY),
            hidden_size=settings.text_width,
            num_hidden_layers=settings.layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=settings.text_width // 4,
            intermediate_size=64,
            max_position_embeddings=512,
            rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
            tie_word_embeddings=False,
        )

    def visual_tokens(self, pixels: Tensor) -> Tensor:
        """Four patches of a square side by side, channel after channel, through the connector."""
        patches = self.vision_model(pixels)[self.settings.select_layer][:, 1:]
        side = self.settings.image_size // 14
        grid = patches.reshape(len(pixels), side, side, -1)
        # The four patches of a square row by row, each with all its channels.
        shuffled = torch.cat([grid[:, row::2, column::2] for row in (0, 1) for column in (0, 1)], -1)
        return self.mlp1(shuffled.reshape(len(pixels), (side // 2) ** 2, -1))

    def forward(self, ids: Tensor, pixels: Tensor) -> Tensor:
        """Logits of one conversation."""
        embedded = self.language_model.get_input_embeddings()(ids).clone()
        visual = self.visual_tokens(pixels)
        embedded[ids == VOCABULARY["<IMG_CONTEXT>"]] = visual.reshape(-1, visual.shape[-1])
        return self.language_model(inputs_embeds=embedded).logits


def original_config(settings: OriginalSettings, model_type: str = "skywork_chat") -> dict[str, Any]:
    """`config.json` as the published checkpoints have it, with leftovers of training."""
    text = {
        "architectures": [{"qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}.get(settings.language, "Llama")],
        "model_type": settings.language,
        "vocab_size": len(VOCABULARY),
        "hidden_size": settings.text_width,
        "num_hidden_layers": settings.layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": settings.text_width // 4,
        "intermediate_size": 64,
        "max_position_embeddings": 512,
        "rope_theta": 5000.0,
        "rope_scaling": None,
        "eos_token_id": VOCABULARY["<|endoftext|>"],
        "tie_word_embeddings": False,
        "use_cache": False,
        "attn_implementation": "flash_attention_2",
        "temperature": 1.0,
        "top_k": 50,
    }
    vision = {
        "architectures": ["InternVisionModel"],
        "model_type": "intern_vit_6b",
        "hidden_size": settings.width,
        "num_hidden_layers": settings.layers,
        "num_attention_heads": settings.heads,
        "intermediate_size": 2 * settings.width,
        "image_size": settings.image_size,
        "patch_size": 14,
        "norm_type": "rms_norm" if settings.rms_norm else "layer_norm",
        "qk_normalization": settings.qk_norm,
        "qkv_bias": settings.qkv_bias,
        "layer_norm_eps": 1e-6,
        "drop_path_rate": 0.4,
        "use_flash_attn": True,
    }
    return {
        "architectures": ["SkyworkR1VChatModel"],
        "auto_map": {"AutoModel": "modeling_skywork_chat.SkyworkR1VChatModel"},
        "model_type": model_type,
        "llm_config": text,
        "vision_config": vision,
        "downsample_ratio": 0.5,
        "dynamic_image_size": True,
        "use_thumbnail": True,
        "min_dynamic_patch": 1,
        "max_dynamic_patch": 6,
        "force_image_size": settings.image_size,
        "ps_version": "v2",
        "select_layer": settings.select_layer,
        "template": "internvl2_5",
        "torch_dtype": "float32",
    }


def write_original(model: OriginalInternVL, folder: Path, *, shards: int = 3, **changes: Any) -> Path:
    """The checkpoint of `model` in `folder`, its weights over several files; `changes` are those of config.json."""
    folder.mkdir(parents=True)
    config = original_config(model.settings) | changes
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    # Code that must not run: it would leave a mark.
    (folder / "modeling_skywork_chat.py").write_text("raise SystemExit('code of the checkpoint was run')\n")
    write_weights(model.state_dict(), folder, shards)
    write_tokenizer(folder)
    return folder


def write_weights(tensors: dict[str, Tensor], folder: Path, shards: int) -> None:
    names = list(tensors)
    index: dict[str, str] = {}
    for number in range(shards):
        part = names[number * len(names) // shards : (number + 1) * len(names) // shards]
        file = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        save_file({name: tensors[name].contiguous() for name in part}, folder / file, metadata={"format": "pt"})
        index |= dict.fromkeys(part, file)
    content = {"metadata": {"total_size": sum(value.nbytes for value in tensors.values())}, "weight_map": index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(content))


def write_tokenizer(folder: Path) -> None:
    """Files of a tokenizer as Qwen2.5 had them before `tokenizer.json`: words, merges and added tokens apart."""
    added = {text: VOCABULARY[text] for text in ("<|endoftext|>", *SPECIAL)}
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    settings = {
        "tokenizer_class": "Qwen2Tokenizer",
        "added_tokens_decoder": {str(number): {"content": text, **flags} for text, number in added.items()},
        "additional_special_tokens": list(SPECIAL),
        "auto_map": {"AutoTokenizer": ["tokenization_skywork.SkyworkTokenizer", None]},
        "chat_template": "{{ 'of the original' }}",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 512,
    }
    words = {word: number for word, number in VOCABULARY.items() if word not in added}
    (folder / "vocab.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
    merges = "".join(f"{left} {right}\n" for left, right in MERGES)
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}", encoding="utf-8")
    (folder / "added_tokens.json").write_text(json.dumps(added))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
