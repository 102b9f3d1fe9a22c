"""Names of tensors: there and back, for every tensor of a model in either layout."""

from __future__ import annotations

import pytest
from safetensors import safe_open

from tests.vlm_bridge.backbone.conversion.original_internvl import OriginalInternVL, OriginalSettings
from tests.vlm_bridge.tiny_models import tiny_internvl
from vlm_bridge.backbone.conversion.key_table import is_computed, name_on_disk, original_name, target_names

VARIANTS = [OriginalSettings(), OriginalSettings(qk_norm=False, qkv_bias=True, rms_norm=False, language="qwen3")]


@pytest.mark.parametrize("settings", VARIANTS)
def test_every_original_name_comes_back(settings: OriginalSettings) -> None:
    names = list(OriginalInternVL(settings).state_dict())
    for name in names:
        new = target_names(name)
        assert len(new) == (3 if ".qkv." in name else 1), name
        assert {original_name(target) for target in new} == {name}
    # No two tensors become one.
    every = [target for name in names for target in target_names(name)]
    assert len(every) == len(set(every))


@pytest.mark.parametrize("language", ["qwen2", "qwen3", "llama"])
def test_every_name_of_transformers_has_an_original(language) -> None:
    for name in tiny_internvl(language).state_dict():
        on_disk = name_on_disk(name)
        assert on_disk in target_names(original_name(on_disk)), name


def test_names_on_disk_are_those_transformers_writes(tmp_path) -> None:
    model = tiny_internvl()
    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert set(file.keys()) == {name_on_disk(name) for name in model.state_dict()}


@pytest.mark.parametrize(
    "name",
    ["", "mlp1.2.weight", "vision_model.encoder.layers.x.ls1", "vision_model.encoder.layers.0.attn.qk.weight",
     "vision_model.embeddings", "language_model.base_model.model.weight", "lora.weight"],
)  # fmt: skip
def test_other_names_are_unknown(name: str) -> None:
    assert target_names(name) == ()
    assert original_name(name) == ""


def test_only_frequencies_are_computed() -> None:
    assert is_computed("language_model.model.layers.0.self_attn.rotary_emb.inv_freq")
    assert not is_computed("language_model.model.norm.weight")
