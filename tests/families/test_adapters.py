"""Every method of adapting, our own and PEFT's alike, keeps what the catalogue promises of it, on a small backbone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.vlm_bridge.adapters.tiny_adapted import learn, logits, some_batch, tiny_backbone
from tests.vlm_bridge.finetune.adapted_job import assert_same, unbroken_and_resumed
from vlm_bridge.adapters.adapt import adapt, load_adapter, merge_adapters
from vlm_bridge.adapters.catalogue import ADAPTERS
from vlm_bridge.adapters.parameter_groups import adapter_parameter_groups
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.backbone.protocol import VisionLanguageBackbone

TOLERANCE = 2e-5
"""Of logits near 0.5: float32 through two layers, where a method adds in another order or starts from an SVD."""


@pytest.fixture(params=sorted(ADAPTERS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def learned(name: str) -> tuple[InternVLBackbone, Tensor]:
    """An adapted backbone after a few steps, and its logits."""
    backbone = adapt(tiny_backbone(), name)
    learn(backbone)
    return backbone, logits(backbone)


def test_a_new_adapter_changes_no_output(name: str) -> None:
    plain = tiny_backbone()
    before = logits(plain)
    adapted = adapt(plain, name)
    assert isinstance(adapted, VisionLanguageBackbone)
    torch.testing.assert_close(logits(adapted), before, atol=TOLERANCE, rtol=0)


def test_only_tensors_of_the_language_model_learn_and_all_of_them_do(name: str) -> None:
    backbone = adapt(tiny_backbone(), name)
    plain = {value.data_ptr() for value in tiny_backbone().model.parameters()}
    learning = {key: value for key, value in backbone.model.named_parameters() if value.requires_grad}
    assert learning
    assert all("language_model" in key for key in learning)
    assert not plain & {value.data_ptr() for value in learning.values()}
    grouped = [
        value for group in adapter_parameter_groups(backbone.model, learning_rate=1.0) for value in group["params"]
    ]
    assert {id(value) for value in grouped} == {id(value) for value in learning.values()}
    assert len(grouped) == len(learning)
    start = {key: value.detach().clone() for key, value in learning.items()}
    learn(backbone, steps=4)
    still = [key for key, value in learning.items() if torch.equal(value, start[key])]
    assert not still


def test_learning_changes_answers_and_lowers_the_loss(name: str) -> None:
    backbone = adapt(tiny_backbone(), name)
    before = logits(backbone)
    losses = learn(backbone)
    assert losses[-1] < losses[0]
    assert (logits(backbone) - before).abs().max() > 100 * TOLERANCE


def test_a_loaded_adapter_answers_as_the_saved_one(name: str, tmp_path: Path) -> None:
    backbone, after = learned(name)
    backbone.model.save_pretrained(tmp_path)
    loaded = load_adapter(tiny_backbone(), tmp_path)
    torch.testing.assert_close(logits(loaded), after, atol=TOLERANCE, rtol=0)
    assert not any(value.requires_grad for value in loaded.model.parameters())


def test_merging_into_the_weights_changes_nothing_and_can_be_undone(name: str) -> None:
    backbone, after = learned(name)
    backbone.model.merge_adapter()
    torch.testing.assert_close(logits(backbone), after, atol=TOLERANCE, rtol=0)
    backbone.model.unmerge_adapter()
    torch.testing.assert_close(logits(backbone), after, atol=TOLERANCE, rtol=0)
    plain = merge_adapters(backbone)
    assert type(plain.model) is type(tiny_backbone().model)
    torch.testing.assert_close(logits(plain), after, atol=TOLERANCE, rtol=0)


def test_a_switched_off_adapter_leaves_the_model_as_it_was(name: str) -> None:
    before = logits(tiny_backbone())
    backbone, after = learned(name)
    with backbone.model.disable_adapter():
        same = torch.equal(logits(backbone), before)
    assert same == ADAPTERS[name].keeps_base
    torch.testing.assert_close(logits(backbone), after, atol=0, rtol=0)


def test_two_adapters_do_not_disturb_each_other(name: str, tmp_path: Path) -> None:
    if not ADAPTERS[name].keeps_base:
        pytest.skip("this method changes the frozen weights when an adapter is added")
    backbone, first = learned(name)
    backbone = adapt(backbone, name, adapter_name="second")
    torch.testing.assert_close(logits(backbone), first, atol=0, rtol=0)
    backbone.model.set_adapter("second")
    torch.testing.assert_close(logits(backbone), logits(tiny_backbone()), atol=TOLERANCE, rtol=0)
    learn(backbone, seed=1)
    second = logits(backbone)
    backbone.model.set_adapter("default")
    torch.testing.assert_close(logits(backbone), first, atol=0, rtol=0)
    backbone.model.save_pretrained(tmp_path)
    backbone.model.delete_adapter("default")
    torch.testing.assert_close(logits(backbone), second, atol=0, rtol=0)
    loaded = load_adapter(load_adapter(tiny_backbone(), tmp_path), tmp_path / "second", adapter_name="second")
    torch.testing.assert_close(logits(loaded), second, atol=TOLERANCE, rtol=0)


def test_answers_are_generated_with_the_adapter(name: str) -> None:
    backbone, after = learned(name)
    batch = some_batch(backbone)
    ids = backbone.generate(batch, do_sample=False, max_new_tokens=1)
    assert ids[:, 0].tolist() == after[:, -1].argmax(-1).tolist()


@pytest.mark.slow
def test_a_fine_tuning_run_that_is_resumed_ends_the_same(name: str, tmp_path: Path) -> None:
    unbroken, resumed = unbroken_and_resumed(tmp_path, name, "adamw")
    assert_same(resumed, unbroken)
