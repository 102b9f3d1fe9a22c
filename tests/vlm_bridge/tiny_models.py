"""Tiny models of the true architecture: a byte-level BPE tokenizer as Qwen2's, and an InternVL of some 50,000 random
weights, built in memory."""

from __future__ import annotations

from typing import Any, Literal

import torch
from tokenizers import pre_tokenizers
from transformers import (
    AddedToken,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLVisionConfig,
    LlamaConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen2Tokenizer,
    Qwen3Config,
)

STRUCTURE = ("<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>")
"""Special tokens of the tiny tokenizer beside `<|endoftext|>`, which pads and ends text."""
THINK = ("<think>", "</think>")
"""Added tokens that are not special, as in Qwen3: decoding keeps them, and `split_special_tokens` does not see them."""
MERGES = (("t", "h"), ("th", "e"), ("Ċ", "Ċ"), ("Ġ", "Ġ"), ("i", "n"))
"""So that words of several bytes exist, and two newlines are another token than one and one."""
_TEXT_CONFIGS = {"qwen2": Qwen2Config, "qwen3": Qwen3Config, "llama": LlamaConfig}


def tiny_tokenizer() -> Qwen2Tokenizer:
    """A tokenizer of 256 bytes, five merges, `<|endoftext|>` and the tokens above; it lacks those of grounded answers.

    It has the names that `InternVLProcessor` asks a tokenizer for.
    """
    words = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in MERGES), "<|endoftext|>"]
    options: dict[str, Any] = {"merges": list(MERGES)}  # pairs, where the signature of transformers says texts
    tokenizer = Qwen2Tokenizer(
        vocab={word: number for number, word in enumerate(words)},
        **options,
        extra_special_tokens={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
    )
    tokenizer.add_tokens([AddedToken(text, special=True, normalized=False) for text in STRUCTURE])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in THINK])
    return tokenizer


def tiny_internvl(
    language: Literal["qwen2", "qwen3", "llama"] = "qwen2",
    seed: int = 0,
    *,
    image_size: int = 28,
    qk_norm: bool = True,
    rms_norm: bool = True,
    tied: bool = False,
    layers: int = 2,
) -> InternVLForConditionalGeneration:
    """An InternVL for `tiny_tokenizer` on the CPU in float32, in evaluation mode; equal seeds give equal weights.

    A tile has side `image_size` (a multiple of 28) and is `(image_size / 28) ** 2` visual tokens. `tied` makes the head
    and the embeddings one tensor, which InternVL3 of 8B and more is not.
    """
    tokenizer = tiny_tokenizer()
    vision = InternVLVisionConfig(
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=image_size,
        patch_size=14,
        norm_type="rms_norm" if rms_norm else "layer_norm",
        use_qk_norm=qk_norm,
    )
    config = InternVLConfig(
        vision_config=vision,
        text_config=_text_config(language, tokenizer, layers, tied),
        image_token_id=tokenizer.added_tokens_encoder["<IMG_CONTEXT>"],
        image_seq_length=(image_size // 28) ** 2,
        tie_word_embeddings=tied,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return InternVLForConditionalGeneration(config).eval()


def _text_config(language: str, tokenizer: Qwen2Tokenizer, layers: int, tied: bool) -> PreTrainedConfig:
    head = {"head_dim": 8} if language == "qwen3" else {}
    return _TEXT_CONFIGS[language](
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=tokenizer.added_tokens_encoder["<|im_end|>"],
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=tied,
        **head,
    )
