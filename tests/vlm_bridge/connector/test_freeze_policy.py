"""What learns under each policy: by name, after one step of a tiny InternVL."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from transformers import InternVLForConditionalGeneration

from tests.vlm_bridge.tiny_models import tiny_internvl
from vlm_bridge.connector.freeze_policy import PRESETS, FreezePolicy, apply_policy, check_optimizer, for_rl
from vlm_bridge.errors import BackboneError, InvalidInputError

CONNECTOR_NAMES = {
    f"model.multi_modal_projector.{layer}.{kind}"
    for layer in ("layer_norm", "linear_1", "linear_2")
    for kind in ("weight", "bias")
}
ALL = FreezePolicy(vision=True, connector=True, language=True)


@dataclass(frozen=True)
class Parts:
    vision: nn.Module
    connector: nn.Module
    language: nn.Module


def parts_of(model: InternVLForConditionalGeneration) -> Parts:
    language = nn.ModuleDict({"decoder": model.model.language_model, "head": model.lm_head})
    return Parts(vision=model.model.vision_tower, connector=model.model.multi_modal_projector, language=language)


def one_step(model: InternVLForConditionalGeneration, optimizer: torch.optim.Optimizer) -> set[str]:
    """Names of the tensors that changed."""
    before = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    ids = torch.tensor([[1, model.config.image_token_id, 2, 3, 4]])
    model(input_ids=ids, pixel_values=torch.randn(1, 3, 28, 28), labels=ids).loss.backward()
    optimizer.step()
    return {name for name, tensor in model.named_parameters() if not torch.equal(tensor, before[name])}


def learning(model: nn.Module) -> list[nn.Parameter]:
    return [tensor for tensor in model.parameters() if tensor.requires_grad]


def intended_names(model: nn.Module, policy: FreezePolicy) -> set[str]:
    beginnings = {
        "model.vision_tower.": policy.vision,
        "model.multi_modal_projector.": policy.connector,
        "model.language_model.": policy.language,
        "lm_head.": policy.language,
    }
    return {
        name
        for name, _ in model.named_parameters()
        if any(learns and name.startswith(beginning) for beginning, learns in beginnings.items())
    }


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("preset", sorted(set(PRESETS) - {"nothing"}))
def test_one_step_changes_exactly_what_the_preset_says(preset: str, tied: bool) -> None:
    model, policy = tiny_internvl(tied=tied), PRESETS[preset]
    count = apply_policy(parts_of(model), policy)
    optimizer = torch.optim.AdamW(learning(model), lr=1e-2, weight_decay=0)
    check_optimizer(optimizer, parts_of(model), policy)
    changed = one_step(model, optimizer)
    assert changed == intended_names(model, policy)
    # A head tied to the embeddings is one tensor, under the name of the embeddings.
    assert ("lm_head.weight" in changed) == (policy.language and not tied)
    assert count.learning == sum(tensor.numel() for tensor in learning(model))
    assert count.total == sum(tensor.numel() for tensor in model.parameters())


def test_connector_only_changes_exactly_its_six_tensors() -> None:
    model = tiny_internvl()
    count = apply_policy(parts_of(model), PRESETS["connector_only"])
    assert one_step(model, torch.optim.AdamW(learning(model))) == CONNECTOR_NAMES
    # 2 * 64 + 64 * 32 + 32 + 32 * 32 + 32, for four patch features of 16 numbers and a language width of 32.
    assert (count.vision, count.connector, count.language) == (0, 3264, 0)


def test_nothing_learns_under_nothing() -> None:
    model = tiny_internvl()
    assert apply_policy(parts_of(model), PRESETS["nothing"]).learning == 0
    assert not learning(model)


def test_policies_follow_each_other_without_a_trace() -> None:
    model = tiny_internvl()
    for preset in ("connector_only", "rl_all", "language_only"):
        apply_policy(parts_of(model), PRESETS[preset])
    names = {name for name, tensor in model.named_parameters() if tensor.requires_grad}
    assert names == intended_names(model, PRESETS["language_only"])


def test_counts_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        count = apply_policy(parts_of(tiny_internvl()), PRESETS["connector_only"])
    assert f"vision 0, connector 3264, language 0; together 3264 of {count.total}" in caplog.text


def test_optimizer_without_a_tensor_is_refused_by_name() -> None:
    model, policy = tiny_internvl(), PRESETS["connector_only"]
    apply_policy(parts_of(model), policy)
    optimizer = torch.optim.SGD(learning(model)[1:], lr=1)
    with pytest.raises(BackboneError, match=r"exactly the 6 tensors .* found 5: missing 1 \(connector.layer_norm.weig"):
        check_optimizer(optimizer, parts_of(model), policy)


def test_optimizer_with_frozen_tensors_is_refused_by_name() -> None:
    model, policy = tiny_internvl(), PRESETS["connector_only"]
    apply_policy(parts_of(model), policy)
    stray, head = nn.Parameter(torch.zeros(3, 5)), model.lm_head.weight
    optimizer = torch.optim.SGD([*learning(model), head, stray], lr=1)
    with pytest.raises(BackboneError, match=r"too many 2 \(language.head.weight, of no part, of shape \(3, 5\)\)"):
        check_optimizer(optimizer, parts_of(model), policy)


def test_tensors_that_learn_beside_the_policy_are_named_by_the_caller() -> None:
    model, policy = tiny_internvl(), PRESETS["connector_only"]
    apply_policy(parts_of(model), policy)
    beside = [nn.Parameter(torch.zeros(3, 5)), model.lm_head.weight.requires_grad_(True)]
    optimizer = torch.optim.SGD(learning(model) + beside[:1], lr=1)
    check_optimizer(optimizer, parts_of(model), policy, also=beside)
    with pytest.raises(BackboneError, match=r"missing 1 \(of no part, of shape \(7,\)\)"):
        check_optimizer(optimizer, parts_of(model), policy, also=[*beside, nn.Parameter(torch.ones(7))])


def test_optimizer_made_before_the_policy_is_refused() -> None:
    model = tiny_internvl()
    optimizer = torch.optim.SGD(model.parameters(), lr=1)
    apply_policy(parts_of(model), PRESETS["sft_default"])
    with pytest.raises(BackboneError, match=r"too many 3\d \(vision\..*, \.\.\.\)"):
        check_optimizer(optimizer, parts_of(model), PRESETS["sft_default"])


def test_policy_that_was_not_applied_is_noticed() -> None:
    model = tiny_internvl().requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1)
    with pytest.raises(BackboneError, match="without gradient"):
        check_optimizer(optimizer, parts_of(model), ALL)


def test_copy_of_the_model_is_another_model() -> None:
    model, copy = tiny_internvl(), tiny_internvl()
    optimizer = torch.optim.SGD(copy.parameters(), lr=1)
    with pytest.raises(BackboneError, match=r"missing.*too many"):
        check_optimizer(optimizer, parts_of(model), ALL)


def test_parts_that_share_a_tensor_are_refused() -> None:
    model = tiny_internvl()
    model.model.multi_modal_projector.linear_2.weight = model.model.language_model.layers[0].self_attn.q_proj.weight
    with pytest.raises(BackboneError, match=r"both connector.linear_2.weight and language.decoder.layers.0"):
        apply_policy(parts_of(model), ALL)


def test_quantised_part_may_rest_but_not_learn() -> None:
    model = tiny_internvl()
    model.lm_head.weight = nn.Parameter(torch.zeros(270, 32, dtype=torch.uint8), requires_grad=False)
    apply_policy(parts_of(model), PRESETS["connector_only"])
    names = {name for name, tensor in model.named_parameters() if tensor.requires_grad}
    with pytest.raises(BackboneError, match=r"uint8 in language.head.weight"):
        apply_policy(parts_of(model), ALL)
    assert {name for name, tensor in model.named_parameters() if tensor.requires_grad} == names


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_reinforcement_learning_refuses_a_frozen_connector(preset: str) -> None:
    policy = PRESETS[preset]
    if policy.connector:
        assert for_rl(policy) is policy
    else:
        with pytest.raises(InvalidInputError, match=r"2507\.06167"):
            for_rl(policy)
