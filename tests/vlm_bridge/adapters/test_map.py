"""MAP against its formula written out, and the laws that follow from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel, get_peft_model
from torch import Tensor, nn

from vlm_bridge.adapters.map_config import MapConfig
from vlm_bridge.adapters.map_linear import MapLinear, product_norm
from vlm_bridge.adapters.parameter_groups import adapter_parameter_groups
from vlm_bridge.errors import BackboneError, InvalidInputError

HOSTS = ("lora", "pissa", "olora")


def layer(*, bias: bool = True, seed: int = 0) -> nn.Linear:
    """A rectangular layer, so that a mixed-up transpose shows."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Linear(24, 40, bias=bias)


def adapted(base: nn.Linear | None = None, **settings: Any) -> tuple[Any, MapLinear]:
    """A model of one layer, and the layer."""
    model = get_peft_model(nn.Sequential(base or layer()), MapConfig(target_modules=["0"], **{"r": 4, **settings}))
    return model, model.base_model.model[0]


def disturb(found: MapLinear, name: str = "default") -> None:
    """Values as after learning: alpha a few percent off, beta some percent of the norm."""
    norm = found.kept_norm[name]
    unit = 1.0 if found.scalars[name] == "relative" else norm
    with torch.no_grad():
        found.lomap_alpha[name] += 0.03 * unit
        found.lomap_beta[name] += 0.07 * unit
        found.lomap_B[name] += 0.1 * torch.randn_like(found.lomap_B[name])
        found.lomap_A[name] += 0.1 * torch.randn_like(found.lomap_A[name])


def dense_weight(base: nn.Linear, found: MapLinear, name: str = "default") -> Tensor:
    """The formula, with matrices of full size, in double precision; `base` is the layer before."""
    kept = base.weight.double()
    if name in found.lomap_start_A:
        kept = kept - found.lomap_start_B[name].double() @ found.lomap_start_A[name].double()
    low = found.lomap_B[name].double() @ found.lomap_A[name].double()
    alpha, beta = found.lomap_alpha[name].double(), found.lomap_beta[name].double()
    if found.scalars[name] == "relative":
        alpha, beta = kept.norm() * (1 + alpha), kept.norm() * beta
    return alpha * kept / kept.norm() + beta * low / low.norm()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("scalars", ["raw", "relative"])
@pytest.mark.parametrize("host", HOSTS)
def test_output_is_that_of_the_dense_formula(host: str, scalars: str, bias: bool) -> None:
    base = layer(bias=bias)
    model, found = adapted(layer(bias=bias), host=host, scalars=scalars)
    inputs = torch.randn(7, 3, 24)
    assert torch.equal(model(inputs), base(inputs)), "unchanged at the start, bit for bit"
    disturb(found)
    expected = nn.functional.linear(
        inputs.double(), dense_weight(base, found), None if base.bias is None else base.bias.double()
    )
    torch.testing.assert_close(model(inputs).double(), expected, atol=1e-5, rtol=0)
    delta = dense_weight(base, found) - base.weight.double()
    torch.testing.assert_close(found.get_delta_weight("default").double(), delta, atol=1e-6, rtol=0)


@pytest.mark.parametrize("host", HOSTS)
def test_gradients_are_those_of_the_dense_formula(host: str) -> None:
    model, found = adapted(layer().double(), host=host)
    model.double()
    disturb(found)
    inputs, towards = torch.randn(5, 24).double(), torch.randn(5, 40).double()
    learning = [value for value in model.parameters() if value.requires_grad]
    assert len(learning) == 4
    ours = torch.autograd.grad((model(inputs) * towards).sum(), learning)
    weight = dense_weight(layer(), found)
    theirs = torch.autograd.grad((inputs @ weight.T * towards).sum(), learning)
    for own, other in zip(ours, theirs, strict=True):
        # the norm of W is kept in float32, 6e-8 of it; the rest is double
        torch.testing.assert_close(own, other, atol=0, rtol=1e-6)


def test_bfloat16_autocast_stays_within_its_rounding() -> None:
    base = layer()
    for host in HOSTS:
        model, found = adapted(layer(), host=host)
        disturb(found)
        inputs = torch.randn(16, 24)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model(inputs)
        assert output.dtype == torch.bfloat16
        expected = inputs.double() @ dense_weight(base, found).T + base.bias
        # bfloat16 has 8 bits: 2^-8 of values up to 2, a few times over
        torch.testing.assert_close(output.double(), expected, atol=0.03, rtol=0)


def test_a_bfloat16_model_keeps_its_scalars_in_float32() -> None:
    model, found = adapted(layer().bfloat16())
    assert found.lomap_alpha["default"].dtype == found.lomap_beta["default"].dtype == torch.float32
    inputs = torch.randn(5, 24).bfloat16()
    assert torch.equal(model(inputs), layer().bfloat16()(inputs))
    disturb(found)
    assert model(inputs).dtype == torch.bfloat16
    model.to(torch.bfloat16)
    assert model(inputs).isfinite().all()


@given(scale_up=st.floats(0.01, 100), scale_down=st.floats(0.01, 100))
def test_lengths_of_a_and_b_do_not_matter_and_get_no_gradient(scale_up: float, scale_down: float) -> None:
    torch.manual_seed(0)
    model, found = adapted()
    disturb(found)
    inputs = torch.randn(6, 24)
    before = model(inputs)
    up, down = found.lomap_B["default"], found.lomap_A["default"]
    model(inputs).square().sum().backward()
    for matrix in (up, down):
        assert matrix.grad is not None
        size = matrix.grad.norm() * matrix.norm()
        assert size > 1e-3
        assert abs((matrix.grad * matrix).sum()) < 1e-5 * size
    with torch.no_grad():
        up *= scale_up
        down *= scale_down
    torch.testing.assert_close(model(inputs), before, atol=1e-5, rtol=0)


def test_lengths_are_alpha_and_beta() -> None:
    _, found = adapted()
    disturb(found)
    with torch.no_grad():
        found.lomap_beta["default"].fill_(-0.5)  # negative turns the direction around
    base = layer().weight
    alpha, beta = found.lomap_alpha["default"].item(), found.lomap_beta["default"].item()
    kept = alpha / base.norm() * base
    low = base + found.get_delta_weight("default") - kept
    assert low.norm().item() == pytest.approx(0.5, rel=1e-4)
    cosine = (base * low).sum() / (base.norm() * low.norm()) * torch.tensor(beta).sign()
    whole = (base + found.get_delta_weight("default")).norm() ** 2
    assert whole.item() == pytest.approx(alpha**2 + beta**2 + 2 * alpha * beta * cosine.item(), rel=1e-5)


@pytest.mark.parametrize("rank", [1, 3, 20])
def test_the_norm_of_a_product_is_the_dense_one(rank: int) -> None:
    up, down = torch.randn(40, rank).double(), torch.randn(rank, 24).double()
    up[:, -1] = up[:, 0]  # dependent columns
    assert product_norm(up, down).item() == pytest.approx((up @ down).norm().item(), rel=1e-10)


def test_nothing_of_rank_zero_breaks_loss_or_gradient() -> None:
    model, found = adapted()
    with torch.no_grad():
        found.lomap_B["default"].zero_()
        found.lomap_beta["default"].fill_(0.1)
    model(torch.randn(5, 24)).square().sum().backward()
    assert all(value.grad.isfinite().all() for value in model.parameters() if value.requires_grad)


def test_two_active_adapters_add_up_and_merge_in_any_order() -> None:
    base = layer()
    model, found = adapted(layer())
    disturb(found)
    model.add_adapter("other", MapConfig(target_modules=["0"], r=2, host="pissa"))
    disturb(found, "other")
    model.base_model.set_adapter(["default", "other"])
    inputs = torch.randn(6, 24)
    together = model(inputs)
    change = sum(dense_weight(base, found, name) - base.weight.double() for name in ("default", "other"))
    expected = inputs.double() @ (base.weight.double() + change).T + base.bias
    torch.testing.assert_close(together.double(), expected, atol=1e-5, rtol=0)
    for order in (["default", "other"], ["other", "default"]):
        for _ in range(3):
            for name in order:
                model.merge_adapter([name])
            torch.testing.assert_close(model(inputs), together, atol=1e-5, rtol=0)
            model.unmerge_adapter()
            assert torch.equal(found.base_layer.weight, base.weight)


def test_dropout_acts_on_the_low_rank_part_alone() -> None:
    model, found = adapted(dropout=0.5)
    inputs = torch.randn(6, 24)
    model.train()
    assert torch.equal(model(inputs), layer()(inputs)), "beta is 0"
    disturb(found)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


@pytest.mark.parametrize("sparing", [True, False])
@pytest.mark.parametrize("host", HOSTS)
def test_what_was_saved_is_read_again(host: str, sparing: bool, tmp_path: Path) -> None:
    model, found = adapted(host=host, scalars="relative", dropout=0.1, rank_pattern={"0": 3})
    disturb(found)
    inputs = torch.randn(6, 24)
    model.eval()
    model.save_pretrained(tmp_path)
    loaded: Any = PeftModel.from_pretrained(nn.Sequential(layer()), str(tmp_path), low_cpu_mem_usage=sparing)
    assert torch.equal(loaded(inputs), model(inputs))
    config = loaded.peft_config["default"]
    assert isinstance(config, MapConfig)
    assert (config.host, config.scalars, config.scalar_rate) == (host, "relative", 1.0)
    assert loaded.base_model.model[0].r == {"default": 3}


def test_scalars_learn_at_their_own_rate_without_decay() -> None:
    model, found = adapted(scalar_rate=5.0)
    groups = {group["name"]: group for group in adapter_parameter_groups(model, learning_rate=0.1, weight_decay=0.2)}
    scalars = groups["rate x 5"]
    assert {id(value) for value in scalars["params"]} == {
        id(found.lomap_alpha["default"]), id(found.lomap_beta["default"])
    }  # fmt: skip
    assert (scalars["lr"], scalars["weight_decay"]) == (0.5, 0.0)
    assert (groups["matrices"]["lr"], groups["matrices"]["weight_decay"]) == (0.1, 0.2)
    optimizer = torch.optim.AdamW(list(groups.values()))
    start = found.lomap_beta["default"].item()
    model(torch.randn(5, 24)).square().sum().backward()
    optimizer.step()
    assert abs(found.lomap_beta["default"].item() - start) == pytest.approx(0.5, rel=1e-3), (
        "Adam's first step is its rate"
    )


def test_broken_weights_are_not_merged_safely() -> None:
    model, found = adapted()
    with torch.no_grad():
        found.lomap_A["default"].fill_(float("nan"))
    with pytest.raises(InvalidInputError, match="finite weights"):
        model.merge_adapter(safe_merge=True)
    assert torch.equal(found.base_layer.weight, layer().weight)


@pytest.mark.parametrize(
    "settings",
    [{"r": 0}, {"host": "corda"}, {"scalars": "log"}, {"scalar_rate": 0.0}, {"dropout": 1.0}, {"bias": "all"}],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="expected"):
        MapConfig(target_modules=["0"], **settings)


def test_weights_without_a_direction_are_refused() -> None:
    base = layer()
    nn.init.zeros_(base.weight)
    with pytest.raises(BackboneError, match="something is left over"):
        adapted(base)
    low = layer()
    with torch.no_grad():
        low.weight.copy_(torch.ones(40, 1) @ torch.ones(1, 24))
    with pytest.raises(BackboneError, match="something is left over"):
        adapted(low, host="pissa")
