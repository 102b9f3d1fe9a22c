"""InternVL's own configuration as transformers' one; what transformers computes otherwise is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import InternVLConfig, InternVLVisionConfig, LlamaConfig, PreTrainedConfig, Qwen2Config, Qwen3Config

from vlm_bridge.backbone.conversion.key_table import name_on_disk
from vlm_bridge.errors import BackboneError, InvalidInputError
from vlm_bridge.images.tile_batch import TilingConfig

TEXT_CONFIGS: dict[str, type[PreTrainedConfig]] = {"qwen2": Qwen2Config, "qwen3": Qwen3Config, "llama": LlamaConfig}
"""Language models that a backbone may have."""
_ARCHITECTURES = {"Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3", "LlamaForCausalLM": "llama"}
_QK_NORM_EPS = 1e-6
"""Of transformers' norms of queries and keys, whatever the configuration says."""
_VISION_NAMES = {
    "hidden_size": "hidden_size",
    "num_hidden_layers": "num_hidden_layers",
    "num_attention_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "image_size": "image_size",
    "patch_size": "patch_size",
}
_VISION_DEFAULTS: dict[str, tuple[str, Any]] = {
    "num_channels": ("num_channels", 3),
    "qkv_bias": ("attention_bias", False),
    "qk_normalization": ("use_qk_norm", True),
    "norm_type": ("norm_type", "rms_norm"),
    "hidden_act": ("hidden_act", "gelu"),
    "layer_norm_eps": ("layer_norm_eps", 1e-6),
    "initializer_range": ("initializer_range", 0.02),
}
"""Original name -> name in transformers, and what the original takes where nothing is said."""


def convert_config(
    original: dict[str, Any], *, image_token_id: int, eos_token_id: int | None, tied: bool = False
) -> InternVLConfig:
    """The configuration of the converted model; `eos_token_id` takes the place of the language model's where given,
    and `tied` says that the checkpoint has no head of its own.

    Raises:
        BackboneError: something is missing, or cannot be had in transformers.
    """
    vision, text = _section(original, "vision_config"), _section(original, "llm_config")
    _check_computation(original, vision)
    vision_config = _vision_config(vision)
    text_config = _text_config(text)
    if eos_token_id is not None:
        text_config.eos_token_id = eos_token_id
    ratio = float(original.get("downsample_ratio", 0.5))
    patches = int(vision["image_size"]) // int(vision["patch_size"])
    config = InternVLConfig(
        vision_config=vision_config,
        text_config=text_config,
        image_token_id=image_token_id,
        image_seq_length=int(patches**2 * ratio**2),
        downsample_ratio=ratio,
        vision_feature_layer=int(original.get("select_layer", -1)),
        vision_feature_select_strategy="default",
        projector_hidden_act="gelu",
        tie_word_embeddings=tied,
    )
    text_config.tie_word_embeddings = tied
    config.architectures = ["InternVLForConditionalGeneration"]
    return config


def original_tiling(original: dict[str, Any]) -> TilingConfig:
    """How the original model cuts its pictures.

    Raises:
        BackboneError: in a way that transformers cannot.
    """
    side = int(_section(original, "vision_config")["image_size"])
    if not original.get("dynamic_image_size", True):
        return TilingConfig(tile_size=side, max_tiles=1)
    if not original.get("use_thumbnail", True):
        raise _refused("use_thumbnail", "true, as transformers adds a thumbnail to several tiles", "false")
    fewest, most = original.get("min_dynamic_patch", 1), original.get("max_dynamic_patch", 12)
    try:
        return TilingConfig(tile_size=side, min_tiles=int(fewest), max_tiles=int(most))
    except InvalidInputError as error:
        raise BackboneError(f"config.json: {error}") from error


def expected_shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Name on disk -> shape of each tensor that the converted model reads; `model` may be without storage."""
    return {name_on_disk(name): tuple(value.shape) for name, value in model.named_parameters()}


def _section(original: dict[str, Any], name: str) -> dict[str, Any]:
    section = original.get(name)
    if not isinstance(section, dict):
        raise BackboneError(f"config.json: expected {name}, found none. Download the checkpoint again.")
    return section


def _check_computation(original: dict[str, Any], vision: dict[str, Any]) -> None:
    missing = [name for name in _VISION_NAMES if not isinstance(vision.get(name), int)]
    if missing:
        raise _refused(f"vision_config.{missing[0]}", "a whole number", repr(vision.get(missing[0])))
    if original.get("ps_version", "v1") != "v2":
        raise _refused("ps_version", "'v2', the pixel shuffle of transformers", repr(original.get("ps_version", "v1")))
    forced = original.get("force_image_size") or vision["image_size"]
    if forced != vision["image_size"]:
        raise _refused("force_image_size", f"the {vision['image_size']} of vision_config.image_size", repr(forced))
    eps = vision.get("layer_norm_eps", _QK_NORM_EPS)
    if vision.get("qk_normalization", True) and eps != _QK_NORM_EPS:
        raise _refused("vision_config.layer_norm_eps", f"{_QK_NORM_EPS} where queries and keys are normed", repr(eps))
    patches, rest = divmod(vision["image_size"], vision["patch_size"])
    if rest or (patches * float(original.get("downsample_ratio", 0.5))) % 1:
        raise _refused(
            "vision_config.image_size",
            f"whole patches of {vision['patch_size']}, a whole number of them after shuffling",
            repr(vision["image_size"]),
        )


def _vision_config(vision: dict[str, Any]) -> InternVLVisionConfig:
    values = {new: vision[old] for old, new in _VISION_NAMES.items()}
    values |= {new: vision.get(old, default) for old, (new, default) in _VISION_DEFAULTS.items()}
    norms = ("rms_norm", "layer_norm")
    if values["norm_type"] not in norms:
        raise _refused("vision_config.norm_type", " or ".join(norms), repr(values["norm_type"]))
    try:
        return InternVLVisionConfig(**values)
    except StrictDataclassError as error:
        raise BackboneError(f"config.json: expected a vision_config of InternVL, found another: {error}") from error


def _text_config(text: dict[str, Any]) -> PreTrainedConfig:
    named = [_ARCHITECTURES.get(str(name)) for name in text.get("architectures") or ()]
    kind = text.get("model_type") or next(filter(None, named), None)
    if kind not in TEXT_CONFIGS:
        raise _refused("llm_config.model_type", " or ".join(TEXT_CONFIGS), repr(kind))
    known = {field.name for field in dataclasses.fields(TEXT_CONFIGS[kind])}
    known -= {field.name for field in dataclasses.fields(PreTrainedConfig)}
    known |= {"rope_theta", "rope_scaling"}
    values = {name: value for name, value in text.items() if name in known and name != "tie_word_embeddings"}
    try:
        # The originals say use_cache false, left over from training.
        return TEXT_CONFIGS[kind].from_dict(values | {"use_cache": True})
    except StrictDataclassError as error:
        raise BackboneError(f"config.json: expected an llm_config of {kind}, found another: {error}") from error


def _refused(name: str, expected: str, found: str) -> BackboneError:
    return BackboneError(
        f"config.json: expected {name} to be {expected}, found {found}. This checkpoint cannot be converted."
    )
