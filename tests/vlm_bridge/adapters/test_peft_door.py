"""PEFT and transformers take our methods for their own, and layers that cannot be adapted are refused by name."""

from __future__ import annotations

import copy
import enum
import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftConfig, PeftType, get_peft_model
from torch import nn

from tests.vlm_bridge.adapters.tiny_adapted import learn, logits, some_batch, tiny_backbone
from vlm_bridge.adapters.adapt import adapt
from vlm_bridge.adapters.catalogue import make_adapter_config
from vlm_bridge.adapters.map_linear import MAP_TYPE, MapConfig, MapTuner
from vlm_bridge.adapters.peft_door import TunerConfig, check_peft_version, register_tuner
from vlm_bridge.adapters.speclora_linear import SPECLORA_TYPE, SpecLoraConfig
from vlm_bridge.errors import BackboneError, InvalidInputError, MissingExtraError

OURS = ("map", "speclora")


@pytest.mark.parametrize("version", ["0.19.1", "0.22.0", "1.0", "0.17.0"])
def test_versions_that_were_not_tried_are_refused(version: str) -> None:
    with pytest.raises(MissingExtraError, match=rf"found {version}\. Run: pip install"):
        check_peft_version(version)


@pytest.mark.parametrize("version", ["0.20.0", "0.21.2", "0.21.3.dev0"])
def test_versions_that_were_tried_are_welcome(version: str) -> None:
    check_peft_version(version)


@pytest.mark.parametrize("member", [MAP_TYPE, SPECLORA_TYPE])
def test_our_methods_are_members_of_the_enum_like_any_other(member: Any) -> None:
    assert isinstance(member, PeftType)
    assert isinstance(member, enum.Enum)
    assert member is PeftType(member.value) is PeftType[member.name] is getattr(PeftType, member.name)
    assert member in list(PeftType)
    assert list(PeftType).count(member) == 1
    assert member == member.value
    assert {member: 1}[member.value] == 1
    rebuild, values = member.__reduce_ex__(2)[:2]  # what pickling writes down
    assert rebuild(*values) is member
    assert copy.deepcopy(member) is member
    assert PeftType.LORA is PeftType("LORA"), "the others are as before"
    assert len(set(PeftType)) == len(list(PeftType)) == len(PeftType.__members__)


def test_registering_again_is_harmless_and_another_method_of_that_name_is_refused() -> None:
    count = len(PeftType)
    assert register_tuner(MapConfig, MapTuner) is MAP_TYPE
    assert len(PeftType) == count

    class Other(TunerConfig):
        method = "lomap"

    with pytest.raises(InvalidInputError, match="expected a name that is free"):
        register_tuner(Other, MapTuner)


def test_settings_are_found_again_by_pefts_own_reader(tmp_path: Path) -> None:
    for config in (
        MapConfig(target_modules=["q_proj"], host="pissa", r=3),
        SpecLoraConfig(target_modules="a|b", directions=5),
    ):
        config.save_pretrained(str(tmp_path))
        assert PeftConfig.from_pretrained(str(tmp_path)) == config


@pytest.mark.parametrize("name", OURS)
def test_transformers_loads_a_saved_adapter_itself(name: str, tmp_path: Path) -> None:
    backbone = adapt(tiny_backbone(), name)
    learn(backbone)
    backbone.model.save_pretrained(tmp_path)
    plain = tiny_backbone()
    plain.model.load_adapter(str(tmp_path))
    torch.testing.assert_close(logits(plain), logits(backbone), atol=1e-6, rtol=0)
    plain.model.disable_adapters()
    assert torch.equal(logits(plain), logits(tiny_backbone()))


@pytest.mark.parametrize("name", OURS)
def test_gradients_are_the_same_where_activations_are_computed_twice(name: str) -> None:
    backbone = adapt(tiny_backbone(), name)
    learn(backbone, steps=2)
    gradients = []
    for twice in (False, True):
        if twice:
            backbone.model.gradient_checkpointing_enable({"use_reentrant": False})
        backbone.model.train()
        backbone.model.zero_grad()
        backbone.forward(some_batch(backbone)).logits.square().mean().backward()
        gradients.append([value.grad for value in backbone.model.parameters() if value.requires_grad])
    assert all(value is not None for value in gradients[0])
    for own, other in zip(*gradients, strict=True):
        torch.testing.assert_close(own, other, atol=1e-7, rtol=1e-5)


class EightBit(nn.Linear):
    """What a quantised layer looks like: a linear layer with a pass of its own."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input)


def refused_layers() -> dict[str, nn.Module]:
    whole = nn.Linear(8, 8)
    whole.weight = nn.Parameter(torch.zeros(8, 8, dtype=torch.int8), requires_grad=False)
    packed = nn.Linear(8, 8)
    packed.weight = nn.Parameter(torch.zeros(32, 1))

    class Params4bit(nn.Parameter):
        pass

    marked = nn.Linear(8, 8)
    marked.weight = Params4bit(torch.zeros(8, 8))
    return {
        "own pass": EightBit(8, 8),
        "integers": whole,
        "packed": packed,
        "tensor of its own": marked,
        "convolution": nn.Conv1d(8, 8, 1),
        "embedding": nn.Embedding(8, 8),
        "not loaded": nn.Linear(8, 8, device="meta"),
    }


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("kind", sorted(refused_layers()))
def test_quantised_and_other_layers_are_refused_by_name(kind: str, name: str) -> None:
    model = nn.ModuleDict({"first": nn.ModuleDict({"odd": refused_layers()[kind]})})
    with pytest.raises(BackboneError, match=r"first\.odd: expected .* found"):
        get_peft_model(model, make_adapter_config(name, target_modules=["odd"]))


@pytest.mark.parametrize("name", OURS)
def test_a_head_tied_to_the_embedding_is_refused(name: str) -> None:
    model = tiny_backbone().model
    model.lm_head.weight = model.get_input_embeddings().weight
    with pytest.raises(BackboneError, match="lm_head: expected weights of this layer's own"):
        get_peft_model(model, make_adapter_config(name, target_modules=["lm_head"]))


@pytest.mark.skipif(importlib.metadata.version("peft") < "0.21", reason="PEFT 0.20 freezes by parts of names")
@pytest.mark.parametrize("name", OURS)
def test_other_tensors_whose_names_resemble_ours_stay_frozen(name: str) -> None:
    model = nn.ModuleDict({"lomap_like": nn.Linear(8, 8), "speclo_like": nn.Linear(8, 8), "taken": nn.Linear(8, 8)})
    adapted = get_peft_model(model, make_adapter_config(name, target_modules=["taken"]))
    learning = [key for key, value in adapted.named_parameters() if value.requires_grad]
    assert learning
    assert all(".taken." in key for key in learning)
