"""Names of InternVL's own tensors, and of the same tensors in transformers.

Names of transformers are those on disk. The language model has the same ones in both; the vision tower packs queries,
keys and values of a layer into the rows of one tensor, which transformers keeps apart.
"""

from __future__ import annotations

import re

_STEMS = {
    "vision_model.embeddings.class_embedding": "vision_tower.embeddings.cls_token",
    "vision_model.embeddings.position_embedding": "vision_tower.embeddings.position_embeddings",
    "vision_model.embeddings.patch_embedding": "vision_tower.embeddings.patch_embeddings.projection",
    "mlp1.0": "multi_modal_projector.layer_norm",
    "mlp1.1": "multi_modal_projector.linear_1",
    "mlp1.3": "multi_modal_projector.linear_2",
}
_LAYER_STEMS = {
    "attn.proj": "attention.projection_layer",
    "attn.q_norm": "attention.q_norm",
    "attn.k_norm": "attention.k_norm",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "ls1": "lambda_1",
    "ls2": "lambda_2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_PACKED = "attn.qkv"
_UNPACKED = tuple(f"attention.{letter}_proj" for letter in "qkv")
_STEMS_BACK = {new: old for old, new in _STEMS.items()}
_LAYER_STEMS_BACK = {new: old for old, new in _LAYER_STEMS.items()} | dict.fromkeys(_UNPACKED, _PACKED)
_LAYER = re.compile(r"vision_model\.encoder\.layers\.(\d+)\.(.+)")
_LAYER_BACK = re.compile(r"vision_tower\.encoder\.layer\.(\d+)\.(.+)")
_MEMORY_PREFIXES = {
    "lm_head.": "language_model.lm_head.",
    "model.language_model.": "language_model.model.",
    "model.": "",
}
_BUFFER = "rotary_emb.inv_freq"
"""Computed, not learned; some old checkpoints hold it."""


def target_names(original: str) -> tuple[str, ...]:
    """Names on disk of what the tensor `original` becomes: one, three for packed queries, keys and values (its rows in
    three equal blocks), or none if the name is unknown.

    Example:
        >>> target_names("vision_model.encoder.layers.3.attn.qkv.weight")[1]
        'vision_tower.encoder.layer.3.attention.k_proj.weight'
        >>> target_names("mlp1.3.bias")
        ('multi_modal_projector.linear_2.bias',)
    """
    if original.startswith(("language_model.model.", "language_model.lm_head.")):
        return (original,)
    stem, ending = _split_ending(original)
    if stem in _STEMS:
        return (_STEMS[stem] + ending,)
    hit = _LAYER.fullmatch(stem)
    if hit is None:
        return ()
    new = _UNPACKED if hit[2] == _PACKED else (_LAYER_STEMS[hit[2]],) if hit[2] in _LAYER_STEMS else ()
    return tuple(f"vision_tower.encoder.layer.{hit[1]}.{name}{ending}" for name in new)


def original_name(target: str) -> str:
    """Name of the original tensor that `target`, a name on disk, comes from; empty if the name is unknown."""
    if target.startswith(("language_model.model.", "language_model.lm_head.")):
        return target
    stem, ending = _split_ending(target)
    if stem in _STEMS_BACK:
        return _STEMS_BACK[stem] + ending
    hit = _LAYER_BACK.fullmatch(stem)
    if hit is None or hit[2] not in _LAYER_STEMS_BACK:
        return ""
    return f"vision_model.encoder.layers.{hit[1]}.{_LAYER_STEMS_BACK[hit[2]]}{ending}"


def name_on_disk(name: str) -> str:
    """Name on disk of a parameter of `InternVLForConditionalGeneration`.

    Example:
        >>> name_on_disk("model.language_model.norm.weight")
        'language_model.model.norm.weight'
    """
    for prefix, on_disk in _MEMORY_PREFIXES.items():
        if name.startswith(prefix):
            return on_disk + name.removeprefix(prefix)
    return name


def is_computed(original: str) -> bool:
    """Whether the tensor `original` holds nothing learned and is left out."""
    return original.endswith(_BUFFER)


def _split_ending(name: str) -> tuple[str, str]:
    for ending in (".weight", ".bias"):
        if name.endswith(ending):
            return name.removesuffix(ending), ending
    return name, ""
