"""What MLorc keeps between steps: its size, going on from it, replicas, and updates while gradients come in."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.vlm_bridge.optim.small_network import small_network, word_loss
from vlm_bridge.optim.mlorc import MLorc, MLorcConfig
from vlm_bridge.optim.state_size import factor_numbers, state_bytes, state_numbers


def _step(weight: nn.Parameter, optimizer: torch.optim.Optimizer, number: int) -> None:
    gradient = torch.randn(weight.shape, generator=torch.Generator().manual_seed(number))
    weight.grad = gradient.to(weight.dtype)
    optimizer.step()


@pytest.mark.parametrize(("variant", "moments"), [("adamw", 2), ("lion", 1)])
@pytest.mark.parametrize("shape", [(64, 256), (256, 64), (128, 128)])
def test_the_state_has_the_size_of_the_formula(variant: str, moments: int, shape: tuple[int, int]) -> None:
    weight = nn.Parameter(torch.zeros(shape))
    optimizer = MLorc([weight], config=MLorcConfig(variant=variant))
    _step(weight, optimizer, 0)
    numbers = factor_numbers(*shape, 4, moments=moments)
    assert numbers == moments * (4 * sum(shape) + 4)
    assert state_numbers(optimizer) == numbers
    assert state_bytes(optimizer) == 4 * numbers  # nothing larger is held on to


def test_wide_matrices_keep_below_two_percent_of_adamw_and_narrow_ones_do_not() -> None:
    shares = {}
    for shape in ((1024, 512), (256, 256)):
        weights = [nn.Parameter(torch.zeros(shape)) for _ in range(2)]
        ours, theirs = MLorc(weights[:1]), torch.optim.AdamW(weights[1:])
        for weight, optimizer in zip(weights, (ours, theirs), strict=True):
            _step(weight, optimizer, 0)
        shares[shape] = state_bytes(ours) / state_bytes(theirs)
    assert shares[(1024, 512)] == pytest.approx((4 * 1536 + 4) / (1024 * 512))  # 1.2 %
    assert shares[(256, 256)] == pytest.approx((4 * 512 + 4) / 256**2)  # 3.1 %: the formula, and above 2 %


def test_whole_momenta_are_kept_where_factors_are_no_smaller() -> None:
    weight = nn.Parameter(torch.zeros(6, 8))  # 4 * (6 + 8 + 1) > 6 * 8
    optimizer = MLorc([weight])
    _step(weight, optimizer, 0)
    assert state_numbers(optimizer) == 2 * 6 * 8
    forced = MLorc([weight], config=MLorcConfig(store="factors"))
    _step(weight, forced, 0)
    assert state_numbers(forced) == factor_numbers(6, 8, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("state_dtype", [None, "float32", "bfloat16"])
def test_a_saved_run_goes_on_bit_for_bit(dtype: torch.dtype, state_dtype: str | None, tmp_path: Path) -> None:
    config = MLorcConfig(rank=2, state_dtype=state_dtype)
    weight = nn.Parameter(torch.ones(40, 30, dtype=dtype))
    optimizer = MLorc([weight], 0.01, config=config)
    for number in range(3):
        _step(weight, optimizer, number)
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    again = nn.Parameter(weight.detach().clone())
    for number in range(3, 6):
        _step(weight, optimizer, number)
    resumed = MLorc([again], 0.01, config=config)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    torch.rand(5)  # another process has another global random state
    for number in range(3, 6):
        _step(again, resumed, number)
    assert torch.equal(again, weight)
    kept = torch.bfloat16 if state_dtype == "bfloat16" else torch.float32
    assert {value.dtype for value in resumed.state[again].values() if isinstance(value, Tensor)} == {kept}


def test_a_loaded_state_is_a_copy() -> None:
    weight, other = nn.Parameter(torch.ones(40, 30)), nn.Parameter(torch.ones(40, 30))
    optimizer, second = MLorc([weight], config=MLorcConfig(rank=0)), MLorc([other], config=MLorcConfig(rank=0))
    _step(weight, optimizer, 0)
    second.load_state_dict(optimizer.state_dict())
    before = optimizer.state[weight]["mean"].clone()
    _step(other, second, 1)
    assert torch.equal(optimizer.state[weight]["mean"], before)


def test_replicas_of_one_seed_stay_equal_and_others_do_not() -> None:
    seeds = (5, 5, 6)
    weights = [nn.Parameter(torch.ones(40, 30)) for _ in seeds]
    optimizers = [
        MLorc([weight], 0.01, config=MLorcConfig(rank=2, seed=seed))
        for weight, seed in zip(weights, seeds, strict=True)
    ]
    for number in range(5):
        for place, (weight, optimizer) in enumerate(zip(weights, optimizers, strict=True)):
            torch.rand(place)  # each process draws on its own
            _step(weight, optimizer, number)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_matrices_of_one_optimizer_draw_differently() -> None:
    weights = [nn.Parameter(torch.ones(40, 30)) for _ in range(2)]
    optimizer = MLorc(weights, 0.01, config=MLorcConfig(rank=2))
    for number in range(3):
        for weight in weights:
            weight.grad = torch.randn(40, 30, generator=torch.Generator().manual_seed(number))
        optimizer.step()
    assert not torch.equal(weights[0], weights[1])


def test_moving_in_backward_does_the_same_and_keeps_one_gradient_alive() -> None:
    usual, hooked = small_network(), small_network()
    config = MLorcConfig(rank=2)
    first, second = (MLorc(model.parameters(), 0.01, config=config) for model in (usual, hooked))
    alive: list[int] = []
    for value in hooked.parameters():  # before ours: hooks are called in the order of their registration
        value.register_post_accumulate_grad_hook(
            lambda _: alive.append(sum(one.grad is not None for one in hooked.parameters()))
        )
    schedule = torch.optim.lr_scheduler.LambdaLR(second, lambda step: 0.5**step)
    other = torch.optim.lr_scheduler.LambdaLR(first, lambda step: 0.5**step)
    for number in range(3):
        first.zero_grad()
        word_loss(usual, number).backward()
        first.step()
        other.step()
        with second.moving_in_backward():
            word_loss(hooked, number).backward()
        second.step()  # nothing left to do
        schedule.step()
    assert max(alive) == 1
    for (name, value), wanted in zip(hooked.named_parameters(), usual.parameters(), strict=True):
        assert torch.equal(value, wanted), name
    word_loss(hooked).backward()  # outside, gradients stay
    assert hooked.wide.weight.grad is not None


def test_a_deep_copy_goes_on_by_itself() -> None:
    weight = nn.Parameter(torch.ones(40, 30))
    optimizer = MLorc([weight], 0.01)
    _step(weight, optimizer, 0)
    twin = copy.deepcopy(optimizer)
    (again,) = twin.param_groups[0]["params"]
    _step(again, twin, 1)
    _step(weight, optimizer, 1)
    assert again is not weight
    assert torch.equal(again, weight)
