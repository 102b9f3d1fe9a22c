"""Groups for an optimiser: what learns is in them once, and the rates of their own are worth having."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.adapter_fit import final_error
from tests.vlm_bridge.adapters.tiny_adapted import learn, tiny_backbone
from vlm_bridge.adapters.adapt import adapt, load_adapter
from vlm_bridge.adapters.parameter_groups import adapter_parameter_groups
from vlm_bridge.errors import InvalidInputError


def test_matrices_decay_and_vectors_do_not() -> None:
    model: Any = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    model[0].bias.requires_grad_(False)
    groups = adapter_parameter_groups(model, learning_rate=0.1, weight_decay=0.2)
    assert [(group["name"], len(group["params"]), group["weight_decay"]) for group in groups] == [
        ("matrices", 1, 0.2),
        ("vectors", 2, 0.0),
    ]


def test_a_schedule_keeps_the_multiples() -> None:
    groups = adapter_parameter_groups(adapt(tiny_backbone(), "map").model, learning_rate=1e-3)
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    optimizer.step()
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([5e-4, 5e-3])


def test_a_model_in_which_nothing_learns_is_refused(tmp_path: Any) -> None:
    backbone = adapt(tiny_backbone(), "map")
    learn(backbone, steps=1)
    backbone.model.save_pretrained(tmp_path)
    with pytest.raises(InvalidInputError, match="trainable=True"):
        adapter_parameter_groups(load_adapter(tiny_backbone(), tmp_path).model, learning_rate=1e-3)


@pytest.mark.parametrize(("rate", "decay"), [(0.0, 0.0), (1.0, -0.1)])
def test_rates_out_of_range_are_refused(rate: float, decay: float) -> None:
    with pytest.raises(InvalidInputError, match="expected learning_rate > 0"):
        adapter_parameter_groups(nn.Linear(2, 2), learning_rate=rate, weight_decay=decay)


def test_at_a_low_rate_map_needs_a_higher_one_for_its_scalars() -> None:
    # Medians of four seeds at 3e-4: LoRA 1.4e-2, MAP 0.24 at the common rate and 2.5e-5 at ten times it.
    lora = final_error("lora", {}, 3e-4, seed=0)
    assert final_error("map", {"scalar_rate": 1.0}, 3e-4, seed=0) > 5 * lora
    assert final_error("map", {}, 3e-4, seed=0) < lora / 5
