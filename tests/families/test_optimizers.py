"""What every optimiser must do, whichever it is. New members of OPTIMIZERS are tested by being listed there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments

from tests.vlm_bridge.finetune.adapted_job import assert_same, unbroken_and_resumed
from tests.vlm_bridge.optim.small_network import small_network, word_loss
from tests.vlm_bridge.tiny_models import tiny_internvl
from vlm_bridge.connector.freeze_policy import PRESETS, apply_policy, check_optimizer
from vlm_bridge.finetune.training_state import pack_optimizer, unpack_optimizer
from vlm_bridge.optim.catalogue import OPTIMIZERS, make_optimizer, trainer_optimizer
from vlm_bridge.optim.config import OptimizerConfig
from vlm_bridge.optim.mlorc import MLorcConfig
from vlm_bridge.optim.parameter_roles import ParameterHints
from vlm_bridge.prompts.new_rows import check_no_decay

CONFIG = OptimizerConfig(learning_rate=3e-3, mlorc=MLorcConfig(rank=2))
DECAYING = OptimizerConfig(learning_rate=3e-3, weight_decay=0.5, mlorc=MLorcConfig(rank=2))
UNUSED = ("unused.weight", "unused.bias")


@pytest.fixture(params=list(OPTIMIZERS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def _values(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def _advance(model: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    for number in range(first, last):
        optimizer.zero_grad()
        word_loss(model, number).backward()
        optimizer.step()


def _fill(model: nn.Module, number: float) -> None:
    for value in model.parameters():
        value.grad = torch.full_like(value, number)


def test_a_step_changes_what_has_a_gradient_and_nothing_else(name: str) -> None:
    model = small_network()
    model.norm.bias.requires_grad_(False)
    before = _values(model)
    _advance(model, make_optimizer(model, name, DECAYING), 0, 1)
    changed = {key for key, value in model.named_parameters() if not torch.equal(value, before[key])}
    assert changed == set(before) - {*UNUSED, "norm.bias"}
    assert all(torch.isfinite(value).all() for value in model.parameters())


def test_each_parameter_is_held_once(name: str) -> None:
    model = small_network()
    held = [id(value) for group in make_optimizer(model, name).param_groups for value in group["params"]]
    assert sorted(held) == sorted(id(value) for value in model.parameters())


def test_the_loss_falls(name: str) -> None:
    model = small_network()
    first = word_loss(model).item()
    _advance(model, make_optimizer(model, name, CONFIG), 0, 60)
    assert word_loss(model).item() < 0.9 * first


def test_a_state_packed_as_in_a_checkpoint_goes_on_bit_for_bit(name: str) -> None:
    through = small_network()
    optimizer = make_optimizer(through, name, DECAYING)
    _advance(through, optimizer, 0, 3)
    tensors, values = pack_optimizer(optimizer)
    kept = {key: value.clone() for key, value in tensors.items()}
    again = small_network()
    again.load_state_dict(through.state_dict())
    _advance(through, optimizer, 3, 6)
    resumed = make_optimizer(again, name, DECAYING)
    unpack_optimizer(resumed, kept, json.loads(json.dumps(values)))
    torch.rand(5)  # a new process has another global random state
    _advance(again, resumed, 3, 6)
    for key, value in through.named_parameters():
        assert torch.equal(value, again.get_parameter(key)), key


def test_an_own_state_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    model = small_network()
    optimizer = make_optimizer(model, name, CONFIG)
    _advance(model, optimizer, 0, 2)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "state.pt")
    _advance(model, optimizer, 2, 4)
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    again = small_network()
    again.load_state_dict(saved["model"])
    resumed = make_optimizer(again, name, OptimizerConfig(learning_rate=0.7))  # the saved rate wins
    resumed.load_state_dict(saved["optimizer"])
    _advance(again, resumed, 2, 4)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_zero_gradients_move_nothing(name: str) -> None:
    model = small_network()
    before = _values(model)
    optimizer = make_optimizer(model, name, CONFIG)
    for _ in range(2):
        _fill(model, 0.0)
        optimizer.step()
    assert all(torch.equal(value, before[key]) for key, value in model.named_parameters())


def test_weight_decay_shrinks_tensors_and_leaves_vectors_and_named_ones(name: str) -> None:
    model = small_network()
    before = _values(model)
    optimizer = make_optimizer(model, name, DECAYING, without_decay={"embedding.weight"})
    check_no_decay(optimizer, model.embedding.weight)
    _fill(model, 0.0)
    optimizer.step()
    for key, value in model.named_parameters():
        still = value.ndim < 2 or key == "embedding.weight"
        wanted = before[key] * (1 if still else 1 - 3e-3 * 0.5)  # by rate times decay, of no other scale
        assert torch.allclose(value, wanted, rtol=1e-6, atol=0), key


def test_a_closure_is_called_once_with_gradients_on(name: str) -> None:
    model = small_network()
    optimizer = make_optimizer(model, name, CONFIG)
    calls = []

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = word_loss(model)
        loss.backward()
        calls.append(loss.item())
        return loss

    before = _values(model)
    with torch.no_grad():
        loss = optimizer.step(closure)
    assert calls == [loss.item()]
    assert not torch.equal(model.wide.weight, before["wide.weight"])


def test_a_schedule_reaches_every_group(name: str) -> None:
    moved: dict[float, dict[str, Tensor]] = {}
    for factor in (1.0, 0.5, 0.0):
        model = small_network()
        optimizer = make_optimizer(model, name, CONFIG)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step, factor=factor: factor if step else 1.0)
        _advance(model, optimizer, 0, 1)
        schedule.step()
        before = _values(model)
        _advance(model, optimizer, 1, 2)
        moved[factor] = {key: value - before[key] for key, value in _values(model).items()}
    for key, step in moved[1.0].items():
        assert torch.allclose(moved[0.5][key], 0.5 * step, rtol=1e-3, atol=1e-6), key
        assert not moved[0.0][key].any(), key


@pytest.mark.parametrize("policy", ["connector_only", "sft_default", "sft_all"])
def test_it_holds_just_what_a_freeze_policy_lets_learn(name: str, policy: str) -> None:
    model = tiny_internvl(layers=1)
    parts = _Parts(model)
    apply_policy(parts, PRESETS[policy])
    check_optimizer(make_optimizer(model, name), parts, PRESETS[policy])


class _Parts:
    def __init__(self, model: Any) -> None:
        self.vision = model.model.vision_tower
        self.connector = model.model.multi_modal_projector
        self.language = nn.ModuleList([model.model.language_model, model.lm_head])


class _Learner(nn.Module):
    """As transformers' Trainer wants a model: it gives its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.network = small_network()

    def forward(self, number: Tensor) -> dict[str, Tensor]:
        return {"loss": word_loss(self.network, int(number[0]))}


def test_transformers_trainer_trains_with_it(name: str, tmp_path: Path) -> None:
    model, before = _Learner(), _values(_Learner())
    arguments = TrainingArguments(
        output_dir=str(tmp_path), max_steps=4, per_device_train_batch_size=1, lr_scheduler_type="linear", use_cpu=True,
        report_to="none", disable_tqdm=True, save_strategy="no", logging_strategy="no", dataloader_pin_memory=False,
        remove_unused_columns=False,
    )  # fmt: skip
    data: Any = [{"number": number} for number in range(8)]
    trainer = Trainer(model, arguments, train_dataset=data, optimizer_cls_and_kwargs=trainer_optimizer(name, CONFIG))
    trainer.train()
    rates = {group["lr"] for group in trainer.optimizer.param_groups}
    assert rates == {0.0}  # the linear schedule is at its end
    changed = {key for key, value in model.named_parameters() if not torch.equal(value, before[key])}
    assert changed == {key for key in before if "unused" not in key}


@pytest.mark.parametrize("adapter", [None, "map"])
def test_a_fine_tuning_run_that_is_resumed_ends_the_same(name: str, adapter: str | None, tmp_path: Path) -> None:
    """Whole weights, and factors and scalars of an adapter that learn at rates of their own."""
    unbroken, resumed = unbroken_and_resumed(tmp_path, adapter, name)
    assert_same(resumed, unbroken)


def test_rates_of_single_parameters_reach_it(name: str) -> None:
    model = small_network()
    hints = ParameterHints(rates={"wide.weight": 10.0})
    optimizer = make_optimizer(model, name, DECAYING, hints=hints)
    own = [group for group in optimizer.param_groups if any(one is model.wide.weight for one in group["params"])]
    assert [(group["lr"], group["weight_decay"], len(group["params"])) for group in own] == [(3e-2, 0.0, 1)]
