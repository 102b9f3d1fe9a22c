"""SpecLoRA against its formula written out, with its kept directions, and as the plain LoRA it is turned into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn

from vlm_bridge.adapters.map_config import MapConfig
from vlm_bridge.adapters.parameter_groups import adapter_parameter_groups
from vlm_bridge.adapters.speclora_config import SpecLoraConfig
from vlm_bridge.adapters.speclora_linear import SpecLoraLinear
from vlm_bridge.adapters.speclora_to_lora import save_speclora_as_lora, speclora_to_lora
from vlm_bridge.adapters.spectrum import leading_directions
from vlm_bridge.errors import InvalidInputError


def layer(*, bias: bool = True) -> nn.Linear:
    """A rectangular layer, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Linear(24, 40, bias=bias)


def equal_values() -> nn.Linear:
    """A layer whose first five singular values are equal but for rounding: any rotation of their directions is one."""
    base = layer(bias=False)
    left, _, right = torch.linalg.svd(base.weight.detach(), full_matrices=False)
    values = torch.cat([torch.full((5,), 2.0), torch.linspace(1.0, 0.1, 19)])
    with torch.no_grad():
        base.weight.copy_(left * values @ right)
    return base


def adapted(base: nn.Linear | None = None, **settings: Any) -> tuple[Any, SpecLoraLinear]:
    """A model of one layer, and the layer."""
    options = {"r": 4, "directions": 3, **settings}
    model = get_peft_model(nn.Sequential(base or layer()), SpecLoraConfig(target_modules=["0"], **options))
    return model, model.base_model.model[0]


def disturb(found: SpecLoraLinear, name: str = "default") -> None:
    """Values as after learning."""
    with torch.no_grad():
        if name in found.speclo_scale:
            found.speclo_scale[name].uniform_(-0.4, 0.6)
        if name in found.speclo_B:
            found.speclo_B[name].normal_(std=0.01)


@pytest.mark.parametrize(("rank", "directions"), [(4, 3), (0, 3), (4, 0), (1, 1), (4, 99)])
def test_output_is_that_of_the_formula(rank: int, directions: int) -> None:
    base = layer()
    model, found = adapted(layer(), r=rank, directions=directions)
    inputs = torch.randn(7, 3, 24)
    assert torch.equal(model(inputs), base(inputs)), "unchanged at the start, bit for bit"
    disturb(found)
    left, values, right = torch.linalg.svd(base.weight.double(), full_matrices=False)
    if directions:
        kept = len(found.speclo_scale["default"])
        assert kept == min(directions, 24)
        values[:kept] *= 1 + found.speclo_scale["default"].double()
    weight = left * values @ right
    if rank:
        weight = weight + 32 / rank * found.speclo_B["default"].double() @ found.speclo_A["default"].double()
    expected = inputs.double() @ weight.T + base.bias
    torch.testing.assert_close(model(inputs).double(), expected, atol=1e-5, rtol=0)
    numbers = sum(value.numel() for value in model.parameters() if value.requires_grad)
    assert numbers == rank * (24 + 40) + min(directions, 24)


def test_without_a_low_rank_part_singular_values_are_scaled_and_nothing_else() -> None:
    _, found = adapted(r=0)
    disturb(found)
    before = torch.linalg.svdvals(layer().weight)
    before[:3] *= 1 + found.speclo_scale["default"].detach()
    after = torch.linalg.svdvals(layer().weight + found.get_delta_weight("default"))
    torch.testing.assert_close(after, before.sort(descending=True).values, atol=1e-5, rtol=0)


def test_the_gradient_of_a_factor_is_its_singular_value_times_what_its_directions_see() -> None:
    model, found = adapted(r=0)
    inputs, towards = torch.randn(5, 24), torch.randn(5, 40)
    (model(inputs) * towards).sum().backward()
    left, values, right = torch.linalg.svd(layer().weight, full_matrices=False)
    slope = towards.T @ inputs  # of the loss by the weight
    expected = values[:3] * torch.stack([left[:, i] @ slope @ right[i] for i in range(3)])
    torch.testing.assert_close(found.speclo_scale["default"].grad, expected.detach(), atol=1e-4, rtol=1e-4)


def test_bfloat16_autocast_stays_within_its_rounding() -> None:
    model, found = adapted()
    disturb(found)
    inputs = torch.randn(16, 24)
    exact = model(inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(inputs)
    assert output.dtype == torch.bfloat16
    # bfloat16 has 8 bits: 2^-8 of values up to 4, a few times over
    torch.testing.assert_close(output.float(), exact, atol=0.06, rtol=0)


@pytest.mark.parametrize("sparing", [True, False])
def test_saved_directions_outlive_a_decomposition_that_would_find_others(
    sparing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, found = adapted(equal_values())
    disturb(found)
    inputs = torch.randn(6, 24)
    model.save_pretrained(tmp_path)

    def another_machine(weight: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        left, values, right = leading_directions(weight, count=5)
        turn = torch.linalg.qr(torch.randn(5, 5)).Q
        left, right = left @ turn, turn.T @ right
        torch.testing.assert_close((left * values) @ right, (left * 2.0) @ right, atol=1e-4, rtol=0)
        return left[:, :count].contiguous(), values[:count].contiguous(), right[:count].contiguous()

    monkeypatch.setattr("vlm_bridge.adapters.speclora_linear.leading_directions", another_machine)
    fresh, other = adapted(equal_values())
    assert torch.equal(fresh(inputs), equal_values()(inputs))
    with torch.no_grad():
        for own, saved in ((other.speclo_scale, found.speclo_scale), (other.speclo_B, found.speclo_B)):
            own["default"].copy_(saved["default"])
        other.speclo_A["default"].copy_(found.speclo_A["default"])
    assert (fresh(inputs) - model(inputs)).abs().max() > 0.1, "the same factors on other directions are another change"
    loaded: Any = PeftModel.from_pretrained(nn.Sequential(equal_values()), str(tmp_path), low_cpu_mem_usage=sparing)
    assert torch.equal(loaded(inputs), model(inputs))


def test_two_adapters_add_up_and_unmerging_gives_the_very_weights_back() -> None:
    base = layer()
    model, found = adapted()
    disturb(found)
    model.add_adapter("other", SpecLoraConfig(target_modules=["0"], r=0, directions=5))
    disturb(found, "other")
    model.base_model.set_adapter(["default", "other"])
    inputs = torch.randn(6, 24)
    together = model(inputs)
    change = found.get_delta_weight("default") + found.get_delta_weight("other")
    torch.testing.assert_close(together, inputs @ (base.weight + change).T + base.bias, atol=1e-5, rtol=0)
    for _ in range(3):
        model.merge_adapter()
        torch.testing.assert_close(model(inputs), together, atol=1e-5, rtol=0)
        model.unmerge_adapter()
        assert torch.equal(found.base_layer.weight, base.weight)
    model.delete_adapter("default")
    assert set(found.r) == set(found.speclo_right) == {"other"}


@pytest.mark.parametrize(("rank", "directions"), [(4, 3), (0, 3), (4, 0)])
def test_it_is_a_plain_lora_of_both_ranks_together(rank: int, directions: int, tmp_path: Path) -> None:
    def network() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return nn.ModuleDict({"wide": nn.Linear(24, 40), "narrow": nn.Linear(24, 2, bias=False)})

    config = SpecLoraConfig(target_modules=["wide", "narrow"], r=rank, directions=directions)
    model: Any = get_peft_model(network(), config, adapter_name="mine")
    for name in ("wide", "narrow"):
        disturb(model.base_model.model[name], "mine")
    lora, tensors = speclora_to_lora(model, "mine")
    assert tensors["base_model.model.wide.lora_A.weight"].shape == (rank + directions, 24)
    assert tensors["base_model.model.narrow.lora_B.weight"].shape == (2, rank + min(directions, 2))
    assert type(lora) is LoraConfig
    save_speclora_as_lora(model, tmp_path / "lora", "mine")
    loaded: Any = PeftModel.from_pretrained(network(), str(tmp_path / "lora"))
    assert type(loaded.peft_config["default"]) is LoraConfig
    inputs = torch.randn(6, 24)
    for name in ("wide", "narrow"):
        ours, plain = model.base_model.model[name], loaded.base_model.model[name]
        torch.testing.assert_close(plain(inputs), ours(inputs), atol=1e-5, rtol=0)
        assert (ours(inputs) - network()[name](inputs)).abs().max() > 0.05  # pyright: ignore[reportIndexIssue]
    with pytest.raises(InvalidInputError, match="new or empty folder"):
        save_speclora_as_lora(model, tmp_path / "lora", "mine")


def test_what_is_no_speclora_is_not_turned_into_a_lora() -> None:
    model, _ = adapted()
    with pytest.raises(InvalidInputError, match="adapter 'other', found adapters"):
        speclora_to_lora(model, "other")
    other: Any = get_peft_model(nn.Sequential(layer()), MapConfig(target_modules=["0"], r=2))
    with pytest.raises(InvalidInputError, match="of MapTuner"):
        speclora_to_lora(other)


def test_three_factors_find_what_a_low_rank_part_cannot() -> None:
    base = layer(bias=False)
    left, values, right = torch.linalg.svd(base.weight.detach(), full_matrices=False)
    values[:3] *= torch.tensor([1.5, 1.2, 0.7])
    wanted = left * values @ right
    errors = {}
    for name, (rank, directions) in {"factors": (0, 3), "low rank": (1, 0)}.items():
        model, found = adapted(layer(bias=False), r=rank, directions=directions)
        optimizer = torch.optim.Adam(adapter_parameter_groups(model, learning_rate=2e-2))
        for _ in range(400):
            inputs = torch.randn(32, 24)
            optimizer.zero_grad()
            (model(inputs) - inputs @ wanted.T).square().mean().backward()
            optimizer.step()
        change = wanted - base.weight
        errors[name] = ((found.get_delta_weight("default") - change).norm() / change.norm()).item()
    assert errors["factors"] < 1e-3
    assert errors["low rank"] > 0.3


def test_factors_learn_at_their_own_rate() -> None:
    model, found = adapted(spectral_rate=4.0)
    groups = {group["name"]: group for group in adapter_parameter_groups(model, learning_rate=0.5, weight_decay=0.1)}
    assert [id(value) for value in groups["rate x 4"]["params"]] == [id(found.speclo_scale["default"])]
    assert (groups["rate x 4"]["lr"], groups["rate x 4"]["weight_decay"]) == (2.0, 0.0)


@pytest.mark.parametrize("settings", [{"r": 0, "directions": 0}, {"directions": -1}, {"r": -1}, {"spectral_rate": 0.0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="expected"):
        SpecLoraConfig(target_modules=["0"], **settings)


def test_the_sampled_decomposition_of_a_large_weight_is_near_the_exact_one_and_repeats() -> None:
    torch.manual_seed(1)
    tail = torch.randn(1100, 1100) / 1100**0.5  # singular values up to 2
    head = torch.linalg.qr(torch.randn(1100, 4)).Q, torch.linalg.qr(torch.randn(1100, 4)).Q
    weight = tail + head[0] * torch.tensor([40.0, 30.0, 20.0, 10.0]) @ head[1].T
    state = torch.random.get_rng_state()
    left, values, right = leading_directions(weight, 4)
    assert torch.equal(torch.random.get_rng_state(), state), "the caller's random numbers go on as before"
    torch.testing.assert_close(values, torch.linalg.svdvals(weight)[:4], atol=0, rtol=1e-4)
    torch.testing.assert_close(left.T @ weight @ right.T, torch.diag(values), atol=1e-3, rtol=0)
    torch.manual_seed(5)
    assert all(torch.equal(*pair) for pair in zip(leading_directions(weight, 4), (left, values, right), strict=True))
