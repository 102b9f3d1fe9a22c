"""Which layers of a backbone are adapted, what is refused, and adapters that go on learning after they were saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.vlm_bridge.adapters.tiny_adapted import learn, logits, tiny_backbone
from tests.vlm_bridge.tiny_models import tiny_internvl, tiny_tokenizer
from vlm_bridge.adapters.adapt import adapt, language_layers, load_adapter, merge_adapters
from vlm_bridge.adapters.map_linear import MapLinear
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.backbone.load import load_backbone, save_backbone
from vlm_bridge.connector.freeze_policy import PRESETS, apply_policy
from vlm_bridge.errors import BackboneError, InvalidInputError
from vlm_bridge.images.tile_batch import TilingConfig

ALL = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def adapted_names(backbone: InternVLBackbone) -> set[str]:
    return {name for name, module in backbone.model.named_modules() if isinstance(module, MapLinear)}


def test_all_linear_layers_of_the_language_model_but_its_head_are_adapted() -> None:
    backbone = adapt(tiny_backbone(), "map")
    names = adapted_names(backbone)
    assert len(names) == 2 * len(ALL), "two layers of seven matrices"
    assert all(".language_model.layers." in name for name in names), "vision has layers called q_proj too"
    assert {name.rpartition(".")[2] for name in names} == ALL


def test_the_connector_is_adapted_where_asked_for() -> None:
    names = adapted_names(adapt(tiny_backbone(), "map", connector=True))
    assert sorted(name.rpartition(".")[2] for name in names if ".multi_modal_projector." in name) == [
        "linear_1", "linear_2",
    ]  # fmt: skip
    assert len(names) == 2 * len(ALL) + 2


def test_layers_are_chosen_by_their_last_names() -> None:
    names = adapted_names(adapt(tiny_backbone(), "map", layers=("q_proj", "v_proj"), r=2))
    assert {name.rpartition(".")[2] for name in names} == {"q_proj", "v_proj"}
    assert len(names) == 4


@pytest.mark.parametrize("layers", [("lm_head",), ("q_proj", "linear_1"), ()])
def test_unknown_layers_are_refused(layers: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError, match="expected names of layers among down_proj"):
        adapt(tiny_backbone(), "map", layers=layers)


@pytest.mark.parametrize("language", ["qwen3", "llama"])
def test_other_language_models_are_adapted_too(language: Any) -> None:
    backbone = InternVLBackbone(tiny_internvl(language), tiny_tokenizer(), TilingConfig(tile_size=28, max_tiles=1))
    before = logits(backbone)
    backbone = adapt(backbone, "map")
    assert len(adapted_names(backbone)) == 2 * len(ALL)
    assert torch.equal(logits(backbone), before)


def test_the_layers_of_an_adapted_backbone_are_those_of_the_plain_one() -> None:
    plain = tiny_backbone()
    expected = language_layers(plain, connector=True)
    assert language_layers(adapt(plain, "lora", connector=True), connector=True) == expected


@pytest.mark.parametrize(
    ("name", "settings", "what"),
    [
        ("lara", {}, "expected one of lora, rslora"),
        ("map", {"lora_alpha": 3}, "found lora_alpha"),
        ("map", {"target_modules": ["q_proj"]}, "expected layers="),
        ("map", {"r": 0}, "expected ranks of 1 and more"),
    ],
)
def test_unknown_methods_and_settings_are_refused(name: str, settings: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidInputError, match=what):
        adapt(tiny_backbone(), name, **settings)


def test_a_second_adapter_needs_a_new_name_and_the_same_method() -> None:
    backbone = adapt(tiny_backbone(), "map")
    with pytest.raises(InvalidInputError, match="found 'default' by map beside default"):
        adapt(backbone, "map")
    with pytest.raises(InvalidInputError, match="found 'second' by speclora beside default \\(LOMAP\\)"):
        adapt(backbone, "speclora", adapter_name="second")


def test_a_loaded_adapter_learns_on_where_asked_to(tmp_path: Path) -> None:
    backbone = adapt(tiny_backbone(), "speclora", connector=True)
    learn(backbone)
    backbone.model.save_pretrained(tmp_path)
    loaded = load_adapter(tiny_backbone(), tmp_path, trainable=True)
    learn(backbone, seed=3)
    learn(loaded, seed=3)
    torch.testing.assert_close(logits(loaded), logits(backbone), atol=1e-5, rtol=0)


def test_a_merged_backbone_is_saved_and_read_as_a_whole(tmp_path: Path) -> None:
    backbone = adapt(tiny_backbone(), "map", connector=True)
    learn(backbone)
    after = logits(backbone)
    with pytest.raises(BackboneError, match="Merge its adapters first"):
        save_backbone(backbone, tmp_path / "whole")
    save_backbone(merge_adapters(backbone), tmp_path / "whole")
    torch.testing.assert_close(logits(load_backbone(tmp_path / "whole", device="cpu")), after, atol=1e-5, rtol=0)
    with pytest.raises(BackboneError, match="expected an adapted backbone"):
        merge_adapters(tiny_backbone())


def test_folders_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="expected the folder of an adapter"):
        load_adapter(tiny_backbone(), tmp_path)
    narrow = adapt(tiny_backbone(), "map")
    narrow.model.save_pretrained(tmp_path)
    with pytest.raises(InvalidInputError, match="expected a new name"):
        load_adapter(narrow, tmp_path)
    wide = tiny_backbone()
    for layer in wide.model.model.language_model.layers:
        layer.mlp.up_proj = torch.nn.Linear(32, 48, bias=False)
        layer.mlp.gate_proj = torch.nn.Linear(32, 48, bias=False)
        layer.mlp.down_proj = torch.nn.Linear(48, 32, bias=False)
    with pytest.raises(BackboneError, match="expected an adapter that fits this model"):
        load_adapter(wide, tmp_path)
    assert not any(isinstance(module, MapLinear) for module in wide.model.modules())
    several = adapt(wide, "map")
    before = logits(several)
    with pytest.raises(BackboneError, match="expected an adapter that fits this model"):
        load_adapter(several, tmp_path, adapter_name="narrow")
    assert list(several.model.peft_config) == ["default"]
    assert torch.equal(logits(several), before)


def test_a_model_that_cannot_be_adapted_is_left_as_it_was() -> None:
    backbone = tiny_backbone()
    before = logits(backbone)
    odd = backbone.model.model.language_model.layers[1].mlp
    kept = odd.down_proj
    odd.down_proj = torch.nn.Linear(64, 32, bias=False, device="meta")
    with pytest.raises(BackboneError, match=r"layers\.1\.mlp\.down_proj: expected loaded weights"):
        adapt(backbone, "map")
    assert not any(isinstance(module, MapLinear) for module in backbone.model.modules())
    odd.down_proj = kept
    assert torch.equal(logits(adapt(backbone, "lora")), before)


def test_what_peft_refuses_is_said_in_our_way() -> None:
    odd: dict[str, Any] = {"init_lora_weights": "orthogonal", "r": 3}  # needs an even rank
    with pytest.raises(BackboneError, match="lora: expected an adapter that fits this model"):
        adapt(tiny_backbone(), "lora", **odd)
    backbone = adapt(tiny_backbone(), "lora")
    before = logits(backbone)
    with pytest.raises(BackboneError, match="lora: expected an adapter that fits this model"):
        adapt(backbone, "lora", **odd, adapter_name="second")
    assert list(backbone.model.peft_config) == ["default"]
    assert torch.equal(logits(backbone), before)
    with pytest.raises(InvalidInputError, match="Adapter lora: expected settings it takes"):
        adapt(tiny_backbone(), "lora", use_dora=True, megatron_config={"a": 1})


def test_parts_of_an_adapted_backbone_hold_the_adapters() -> None:
    backbone = adapt(tiny_backbone(), "map")
    learning = sum(value.numel() for value in backbone.model.parameters() if value.requires_grad)
    count = sum(value.numel() for value in backbone.parts().language.parameters() if value.requires_grad)
    assert count == learning > 0
    assert apply_policy(backbone.parts(), PRESETS["nothing"]).learning == 0, "a policy is to be applied before adapting"
