"""torch's Muon as it is set up here: the direction beside the exact polar factor, scales, and who trains what."""

from __future__ import annotations

from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.vlm_bridge.optim.small_network import small_network
from tests.vlm_bridge.tiny_models import tiny_internvl
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim.config import MuonConfig, OptimizerConfig
from vlm_bridge.optim.muon import make_muon, split_for_muon
from vlm_bridge.optim.parameter_roles import sort_parameters
from vlm_bridge.optim.polar_factor import polar_factor

PLAIN = MuonConfig(scale="original", momentum=0.0, nesterov=False)
BOTH = ("bfloat16", "float32")


def _update(gradient: Tensor, muon: MuonConfig = PLAIN) -> Tensor:
    """What a first step at rate 1 subtracts."""
    layer = nn.Linear(gradient.shape[1], gradient.shape[0], bias=False)
    optimizer = make_muon(sort_parameters(layer), OptimizerConfig(learning_rate=1.0, muon=muon))
    layer.weight.data.zero_()
    layer.weight.grad = gradient.clone()
    optimizer.step()
    return -layer.weight.detach()


@pytest.mark.parametrize("precision", BOTH)
@pytest.mark.parametrize("shape", [(64, 64), (32, 96), (24, 25)])
def test_newton_schulz_comes_near_the_polar_factor(shape: tuple[int, int], precision: Any) -> None:
    for seed in range(5):
        gradient = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        update, exact = _update(gradient, replace(PLAIN, precision=precision)), polar_factor(gradient).direction
        assert float(torch.nn.functional.cosine_similarity(update.flatten(), exact.flatten(), dim=0)) > 0.97
        left, _, right = torch.linalg.svd(gradient, full_matrices=False)
        ratios = torch.linalg.svdvals(gradient) / torch.linalg.norm(gradient)
        found = torch.diagonal(left.T @ update @ right.T)
        # five steps send a share of 1e-3 to 1 of the norm into [0.47, 1.20]; the products are in bfloat16
        assert (found[ratios > 1e-3] > 0.47 - 0.05).all()
        assert (torch.linalg.svdvals(update) < 1.20 + 0.05).all()


def test_more_of_the_spectrum_than_that_is_not_made_orthogonal() -> None:
    gradient = torch.diag(torch.tensor([1.0, 1e-4]))
    update = _update(gradient)
    assert 0.5 < float(update[0, 0]) < 1.25
    assert float(update[1, 1]) < 0.1  # 0.048 without rounding


def test_the_direction_does_not_depend_on_the_size_of_the_gradient_or_its_frame() -> None:
    gradient = torch.randn(20, 30)
    update = _update(gradient)
    assert torch.allclose(_update(1e4 * gradient), update, atol=0.05)
    left, right = torch.linalg.qr(torch.randn(20, 20)).Q, torch.linalg.qr(torch.randn(30, 30)).Q
    turned = _update(left @ gradient @ right)
    wanted = left @ update @ right
    assert float(torch.nn.functional.cosine_similarity(turned.flatten(), wanted.flatten(), dim=0)) > 0.99


@pytest.mark.parametrize(("shape", "original", "matched"), [((64, 16), 2.0, 1.6), ((16, 64), 1.0, 1.6)])
def test_both_scales(shape: tuple[int, int], original: float, matched: float) -> None:
    # sqrt(max(1, 64 / 16)) and 0.2 sqrt(64), on the same direction
    gradient = torch.randn(shape)
    first = _update(gradient)
    second = _update(gradient, MuonConfig(scale="match_rms_adamw", momentum=0.0, nesterov=False))
    assert torch.allclose(second / matched, first / original, atol=1e-5)
    # updates of about 0.2 per number, as AdamW's are said to be; less by what Newton-Schulz falls short of 1
    assert 0.15 < float(second.square().mean().sqrt()) < 0.22


def test_weight_decay_is_by_the_rate_without_the_scale() -> None:
    layer = nn.Linear(64, 64, bias=False)
    before = layer.weight.detach().clone()
    config = OptimizerConfig(learning_rate=0.1, weight_decay=0.5)
    optimizer = make_muon(sort_parameters(layer), config)
    layer.weight.grad = torch.zeros(64, 64)
    optimizer.step()
    assert torch.allclose(layer.weight, 0.95 * before)


def test_weight_decay_bounds_the_spectral_norm() -> None:
    layer = nn.Linear(16, 16, bias=False)
    optimizer = make_muon(sort_parameters(layer), OptimizerConfig(learning_rate=0.1, weight_decay=1.0, muon=PLAIN))
    first = float(torch.linalg.matrix_norm(layer.weight.detach(), 2))
    pull = torch.randn(16, 16)
    for _ in range(100):
        layer.weight.grad = pull.clone()  # always the same way
        optimizer.step()
    # fixed point of w <- (1 - 0.1) w + 0.1 u is u, which is at most 1.2
    assert 0.5 < float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) < max(first, 1.25)


def test_an_internvl_is_split_and_nothing_is_lost() -> None:
    model = tiny_internvl(tied=True)
    split = split_for_muon(sort_parameters(model))
    assert {one.name for one in (*split.muon, *split.adamw)} == {name for name, _ in model.named_parameters()}
    assert len(split.muon) + len(split.adamw) == len(list(model.parameters()))
    assert all(one.parameter.ndim == 2 for one in split.muon)
    left = {one.name.split(".")[-2] for one in split.adamw if one.parameter.ndim == 2}
    assert left == {"embed_tokens"}
    optimizer = make_muon(sort_parameters(model), OptimizerConfig(weight_decay=0.1))
    kinds = [{"ns_steps" in group for group in member.param_groups} for member in optimizer.members]
    assert kinds == [{True}, {False}]
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))


def test_both_parts_may_have_rates_of_their_own() -> None:
    muon = MuonConfig(scale="original", other_learning_rate=3e-4)
    optimizer = make_muon(sort_parameters(small_network()), OptimizerConfig(learning_rate=0.02, muon=muon))
    assert [group["lr"] for group in optimizer.param_groups] == [0.02, 3e-4, 3e-4]
    same = make_muon(sort_parameters(small_network()), OptimizerConfig(learning_rate=0.02))
    assert {group["lr"] for group in same.param_groups} == {0.02}


class _Factors(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.ones(3, 4))
        self.layer = nn.Linear(3, 2)


def test_a_matrix_of_an_unknown_module_must_be_named() -> None:
    with pytest.raises(InvalidInputError, match=r"1 of other modules \(table\)"):
        split_for_muon(sort_parameters(_Factors()))
    as_matrix = split_for_muon(sort_parameters(_Factors(), overrides={"table": "matrix"}))
    assert [one.name for one in as_matrix.muon] == ["table", "layer.weight"]
    as_vector = split_for_muon(sort_parameters(_Factors(), overrides={"table": "vector"}))
    assert [one.name for one in as_vector.muon] == ["layer.weight"]


def test_without_matrices_or_with_deep_ones_it_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="found 0"):
        split_for_muon(sort_parameters(nn.Embedding(3, 4)))
    with pytest.raises(InvalidInputError, match="mixer"):
        split_for_muon(sort_parameters(small_network(), overrides={"mixer.weight": "matrix"}))


@pytest.mark.parametrize("options", [{"momentum": 1.0}, {"iterations": 0}, {"other_learning_rate": -1.0}])
def test_settings_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(InvalidInputError, match="Muon: expected"):
        MuonConfig(**options)


def test_an_unknown_scale_is_refused() -> None:
    # The checker of types in these tests would refuse the word before the setting does.
    settings: Any = SimpleNamespace(**asdict(MuonConfig()) | {"scale": "magic"})
    with pytest.raises(InvalidInputError, match="original or match_rms_adamw, found 'magic'"):
        MuonConfig.__post_init__(settings)
