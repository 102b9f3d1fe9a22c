"""Muon in float32 beside torch's own, and when it is taken."""

from __future__ import annotations

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Muon

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim import muon as muon_module
from vlm_bridge.optim.config import MuonConfig, OptimizerConfig
from vlm_bridge.optim.float32_muon import Float32Muon, newton_schulz
from vlm_bridge.optim.muon import make_muon
from vlm_bridge.optim.parameter_roles import sort_parameters

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def _trained(make: Any, shape: tuple[int, int], steps: int = 12, **settings: Any) -> tuple[Tensor, Any]:
    generator = torch.Generator().manual_seed(0)
    weight = nn.Parameter(torch.randn(shape, generator=generator))
    wanted, mix = torch.randn(shape, generator=generator), torch.randn(shape[1], shape[1], generator=generator)
    optimizer = make([weight], **settings)
    for _ in range(steps):
        optimizer.zero_grad()
        ((weight - wanted) @ mix).square().mean().backward()
        optimizer.step()
    return weight.detach(), optimizer


@pytest.mark.parametrize("scale", ["original", "match_rms_adamw", "spectral_unclamped"])
@pytest.mark.parametrize("shape", [(48, 16), (16, 48), (24, 24)])
@pytest.mark.parametrize("nesterov", [True, False])
def test_it_goes_the_way_of_torchs_muon(scale: str, shape: tuple[int, int], nesterov: bool) -> None:
    settings = {"lr": 0.02, "weight_decay": 0.1, "momentum": 0.9, "nesterov": nesterov, "adjust_lr_fn": scale}
    ours, _ = _trained(Float32Muon, shape, **settings)
    theirs, _ = _trained(Muon, shape, **settings)
    start, _ = _trained(Float32Muon, shape, steps=0, **settings)
    # torch's products are in bfloat16, of eight bits
    assert float((ours - theirs).norm() / (theirs - start).norm()) < 0.05


def test_each_singular_value_goes_through_the_polynomial() -> None:
    generator = torch.Generator().manual_seed(1)
    left = torch.linalg.qr(torch.randn(12, 12, generator=generator, dtype=torch.float64)).Q
    right = torch.linalg.qr(torch.randn(20, 20, generator=generator, dtype=torch.float64)).Q[:12]
    values = torch.logspace(0, -3, 12, dtype=torch.float64)
    matrix = left @ torch.diag(values) @ right
    a, b, c = COEFFICIENTS
    wanted = values / values.norm()
    for _ in range(5):
        wanted = a * wanted + b * wanted**3 + c * wanted**5
    for one, turned in ((matrix, False), (matrix.T, True)):
        found = newton_schulz(one, coefficients=COEFFICIENTS, steps=5, eps=1e-7)
        found = found.T if turned else found
        assert torch.allclose(left.T @ found @ right.T, torch.diag(wanted), atol=1e-9)


def test_a_zero_gradient_moves_nothing_and_an_absent_one_keeps_no_state() -> None:
    weight, other = nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.ones(4, 3))
    optimizer = Float32Muon([weight, other], lr=0.1, weight_decay=0.0)
    weight.grad = torch.zeros(3, 4)
    optimizer.step()
    assert torch.equal(weight, torch.ones(3, 4))
    assert other not in optimizer.state


def test_a_checkpoint_of_torchs_muon_goes_on_in_float32() -> None:
    settings = {"lr": 0.02, "weight_decay": 0.1}
    weight, theirs = _trained(Muon, (8, 6), **settings)
    again = nn.Parameter(weight.clone())
    ours = Float32Muon([again], **settings)
    ours.load_state_dict(theirs.state_dict())
    momentum = theirs.state[theirs.param_groups[0]["params"][0]]["momentum_buffer"]
    assert torch.equal(ours.state[again]["momentum_buffer"], momentum)
    again.grad = torch.ones(8, 6)
    ours.step()
    assert not torch.equal(again, weight)


def test_half_precision_weights_stay_in_theirs() -> None:
    weight = nn.Parameter(torch.ones(4, 4, dtype=torch.bfloat16))
    optimizer = Float32Muon([weight], lr=0.1)
    weight.grad = torch.eye(4, dtype=torch.bfloat16)
    optimizer.step()
    assert weight.dtype == torch.bfloat16
    assert bool(torch.isfinite(weight).all())
    assert float(weight.detach()[0, 0]) < 1


def test_a_closure_is_called_once_and_its_loss_given_back() -> None:
    weight, calls = nn.Parameter(torch.ones(2, 2)), []
    optimizer = Float32Muon([weight], lr=0.1)

    def closure() -> Tensor:
        calls.append(torch.is_grad_enabled())
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert float(optimizer.step(closure)) == 4.0
    assert calls == [True]


@pytest.mark.parametrize(
    ("precision", "native", "wanted"),
    [("auto", True, Muon), ("auto", False, Float32Muon), ("bfloat16", False, Muon), ("float32", True, Float32Muon)],
)
def test_it_is_taken_where_the_processor_has_no_bfloat16(
    monkeypatch: pytest.MonkeyPatch, precision: Any, native: bool, wanted: type
) -> None:
    monkeypatch.setattr(muon_module, "cpu_has_bfloat16", lambda: native)
    config = OptimizerConfig(muon=MuonConfig(precision=precision))
    optimizer = make_muon(sort_parameters(nn.Linear(4, 3)), config)
    assert type(optimizer.members[0]) is wanted  # type: ignore[attr-defined]


def test_an_unknown_precision_is_refused() -> None:
    # The checker of types in these tests would refuse the word before the setting does.
    settings: Any = SimpleNamespace(**asdict(MuonConfig()) | {"precision": "float16"})
    with pytest.raises(InvalidInputError, match="auto, bfloat16 or float32, found 'float16'"):
        MuonConfig.__post_init__(settings)
