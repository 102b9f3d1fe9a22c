"""Configurations of published checkpoints, with all that training left in them, become those of transformers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import InternVLForConditionalGeneration

from vlm_bridge.backbone.conversion.config_table import convert_config, expected_shapes, original_tiling
from vlm_bridge.backbone.conversion.key_table import original_name, target_names
from vlm_bridge.images.tile_batch import TilingConfig

LEFT_OVER = {
    "_name_or_path": "Qwen2.5", "add_cross_attention": False, "bad_words_ids": None, "diversity_penalty": 0.0,
    "do_sample": False, "early_stopping": False, "id2label": {"0": "LABEL_0"}, "length_penalty": 1.0, "max_length": 20,
    "num_beams": 1, "output_attentions": False, "pruned_heads": {}, "return_dict": True, "temperature": 1.0,
    "tie_encoder_decoder": False, "top_k": 50, "top_p": 1.0, "torch_dtype": "bfloat16", "torchscript": False,
    "transformers_version": "4.37.2", "typical_p": 1.0, "use_bfloat16": True,
    "attn_implementation": "flash_attention_2",
}  # fmt: skip
"""What `to_dict` of the transformers of its time wrote besides."""


def skywork_r1v3() -> dict[str, Any]:
    """As published: InternViT-6B with 45 layers over Qwen2.5-32B."""
    text = {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "attention_dropout": 0.0, "bos_token_id": 151643,
        "eos_token_id": 151643, "hidden_act": "silu", "hidden_size": 5120, "initializer_range": 0.02,
        "intermediate_size": 27648, "max_position_embeddings": 32768, "max_window_layers": 64,
        "num_attention_heads": 40, "num_hidden_layers": 64, "num_key_value_heads": 8, "rms_norm_eps": 1e-6,
        "rope_scaling": {"factor": 2.0, "rope_type": "dynamic", "type": "dynamic"}, "rope_theta": 1000000.0,
        "sliding_window": None, "use_sliding_window": False, "use_cache": False, "tie_word_embeddings": False,
        "vocab_size": 151674,
    }  # fmt: skip
    vision = {
        "architectures": ["InternVisionModel"], "model_type": "intern_vit_6b", "attention_dropout": 0.0,
        "drop_path_rate": 0.4, "dropout": 0.0, "hidden_act": "gelu", "hidden_size": 3200, "image_size": 448,
        "initializer_factor": 0.1, "initializer_range": 1e-10, "intermediate_size": 12800, "layer_norm_eps": 1e-6,
        "norm_type": "rms_norm", "num_attention_heads": 25, "num_channels": 3, "num_hidden_layers": 45,
        "patch_size": 14, "qk_normalization": True, "qkv_bias": False, "use_flash_attn": True,
    }  # fmt: skip
    return {
        "model_type": "skywork_chat", "llm_config": text | LEFT_OVER, "vision_config": vision | LEFT_OVER,
        "downsample_ratio": 0.5, "dynamic_image_size": True, "force_image_size": 448, "max_dynamic_patch": 12,
        "min_dynamic_patch": 1, "pad2square": False, "ps_version": "v2", "select_layer": -1, "use_thumbnail": True,
        "freeze_vision": False, "freeze_llm": False, "freeze_adapter": False,
    }  # fmt: skip


def test_the_model_has_the_size_of_the_published_one() -> None:
    config = convert_config(skywork_r1v3(), image_token_id=151667, eos_token_id=151645)
    assert config.image_seq_length == 256  # 32 x 32 patches, a quarter of them
    with torch.device("meta"):
        model = InternVLForConditionalGeneration(config)
    connector = sum(value.numel() for value in model.model.multi_modal_projector.parameters())
    # Norm of 4 x 3200, then 12800 -> 5120 -> 5120 with biases.
    assert connector == 2 * 12800 + 12800 * 5120 + 5120 + 5120**2 + 5120
    vision = sum(value.numel() for value in model.model.vision_tower.parameters())
    total = sum(value.numel() for value in model.parameters())
    assert 5.4e9 < vision < 5.6e9  # published as 5.5 billion
    assert 38.3e9 < total < 38.5e9  # published as 38.4 billion
    shapes = expected_shapes(model)
    assert len(shapes) == len(dict(model.named_parameters()))
    assert all(name in target_names(original_name(name)) for name in shapes)


def test_what_changes_an_answer_is_kept_and_what_training_left_is_not() -> None:
    config = convert_config(skywork_r1v3(), image_token_id=151667, eos_token_id=151645)
    text = config.text_config.to_dict()
    assert text["rope_parameters"]["rope_theta"] == 1000000.0
    assert text["rope_parameters"]["rope_type"] == "dynamic"
    assert text["rope_parameters"]["factor"] == 2.0
    assert text["eos_token_id"] == 151645
    assert text["use_cache"] is True
    assert config.tie_word_embeddings is False
    for name in ("temperature", "top_k", "use_bfloat16", "attn_implementation", "pruned_heads"):
        assert name not in text
    assert config.vision_config.to_dict()["initializer_range"] == 1e-10


def test_the_end_of_a_vocabulary_without_turns_stays() -> None:
    config = convert_config(skywork_r1v3(), image_token_id=5, eos_token_id=None)
    assert config.text_config.eos_token_id == 151643


def test_a_language_model_is_known_by_its_architecture() -> None:
    original = skywork_r1v3()
    del original["llm_config"]["model_type"]
    assert convert_config(original, image_token_id=5, eos_token_id=None).text_config.model_type == "qwen2"


@pytest.mark.parametrize(
    ("change", "tiling"),
    [
        ({}, TilingConfig(tile_size=448, min_tiles=1, max_tiles=12)),
        ({"max_dynamic_patch": 6, "min_dynamic_patch": 2}, TilingConfig(tile_size=448, min_tiles=2, max_tiles=6)),
        ({"dynamic_image_size": False, "use_thumbnail": False}, TilingConfig(tile_size=448, max_tiles=1)),
    ],
)
def test_tiles_of_the_original(change: dict[str, Any], tiling: TilingConfig) -> None:
    assert original_tiling(skywork_r1v3() | change) == tiling
