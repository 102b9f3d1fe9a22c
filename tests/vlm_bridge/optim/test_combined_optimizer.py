"""Several optimisers as one, beside the same ones run by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim.combined_optimizer import CombinedOptimizer


def _pair() -> tuple[nn.Parameter, nn.Parameter]:
    return nn.Parameter(torch.linspace(-1, 1, 12).view(4, 3)), nn.Parameter(torch.ones(3))


def _members(matrix: nn.Parameter, vector: nn.Parameter) -> list[torch.optim.Optimizer]:
    return [torch.optim.Muon([matrix], lr=0.1), torch.optim.AdamW([vector], lr=0.01)]


def _loss(matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    return (matrix @ vector - 2).square().sum()


def test_it_does_what_its_members_do() -> None:
    together, apart = _pair(), _pair()
    combined, members = CombinedOptimizer(_members(*together)), _members(*apart)
    for _ in range(4):
        combined.zero_grad()
        _loss(*together).backward()
        combined.step()
        for member in members:
            member.zero_grad()
        _loss(*apart).backward()
        for member in members:
            member.step()
    assert all(torch.equal(one, other) for one, other in zip(together, apart, strict=True))


def test_a_learning_rate_reaches_the_members_before_and_after_loading() -> None:
    values = _pair()
    combined = CombinedOptimizer(_members(*values))
    for _ in range(2):
        for group in combined.param_groups:
            group["lr"] *= 0.5
        assert [group["lr"] for member in combined.members for group in member.param_groups] == [
            group["lr"] for group in combined.param_groups
        ]
        combined.load_state_dict(combined.state_dict())
    assert [group["lr"] for group in combined.param_groups] == [0.025, 0.0025]
    assert all(member.state is combined.state for member in combined.members)


def test_a_copy_is_independent_and_goes_on_alike() -> None:
    values = _pair()
    combined = CombinedOptimizer(_members(*values))
    _loss(*values).backward()
    combined.step()
    twin = copy.deepcopy(combined)
    others = [value for group in twin.param_groups for value in group["params"]]
    for optimizer, pair in ((combined, values), (twin, others)):
        optimizer.zero_grad()
        _loss(*pair).backward()
        optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(values, others, strict=True))
    assert others[0] is not values[0]


def test_schedules_that_ask_the_defaults_are_answered() -> None:
    assert CombinedOptimizer(_members(*_pair())).defaults["lr"] == 0.1


def test_a_loss_scale_acts_on_all_members() -> None:
    values = _pair()
    combined = CombinedOptimizer(_members(*values))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    before = [value.detach().clone() for value in values]
    scaler.scale(_loss(*values) * float("inf")).backward()
    scaler.step(combined)  # left out: gradients overflow
    scaler.update()
    assert all(torch.equal(one, other) for one, other in zip(values, before, strict=True))
    combined.zero_grad()
    scaler.scale(_loss(*values)).backward()
    scaler.step(combined)
    assert not any(torch.equal(one, other) for one, other in zip(values, before, strict=True))


def test_groups_that_come_later_are_refused() -> None:
    combined = CombinedOptimizer(_members(*_pair()))
    with pytest.raises(InvalidInputError, match="another one of 1"):
        combined.add_param_group({"params": [nn.Parameter(torch.ones(2))]})


def test_no_members_and_members_with_a_past_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="found 0 members"):
        CombinedOptimizer([])
    values = _pair()
    members = _members(*values)
    _loss(*values).backward()
    members[0].step()
    with pytest.raises(InvalidInputError, match="have made steps"):
        CombinedOptimizer(members)
