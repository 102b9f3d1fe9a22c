"""The probe on losses whose curvature is known, on a network by finite differences, and on an InternVL."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from tests.vlm_bridge.optim.small_network import small_network, word_loss
from tests.vlm_bridge.tiny_models import tiny_internvl
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim.muon_probe import largest_curvature, probe_metrics, probe_muon, probe_table


def _layer(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
    layer.weight.data.copy_(weight)
    return layer


def test_a_quadratic_is_measured_as_worked_by_hand() -> None:
    # f = 1/2 <W, Q W>, Q = diag(4, 1), W = diag(1, -2): G = diag(4, -2), O = diag(1, -1)
    curvature = torch.diag(torch.tensor([4.0, 1.0], dtype=torch.float64))
    layer = _layer(torch.diag(torch.tensor([1.0, -2.0])))
    (probe,) = probe_muon(layer, lambda: 0.5 * (layer.weight * (curvature @ layer.weight)).sum())
    assert probe.shape == (2, 2)
    assert probe.curvature_along_step == pytest.approx(5)  # 4 + 1
    assert probe.curvature_along_gradient == pytest.approx((4 * 16 + 1 * 4) / 20)
    assert probe.largest_curvature == pytest.approx(4, rel=1e-3)
    assert probe.norm_ratio == pytest.approx(36 / 20)
    assert probe.stable_rank == pytest.approx(20 / 16)
    assert probe.curvature_ratio == pytest.approx(5 / 4, rel=1e-3)
    assert probe.advantage == pytest.approx(1.8 / 1.25, rel=1e-3)
    assert probe.muon_is_better


def test_an_isotropic_loss_is_gradient_descents() -> None:
    layer = _layer(torch.randn(8, 8))
    (probe,) = probe_muon(layer, lambda: 0.5 * layer.weight.square().sum())
    assert probe.curvature_ratio == pytest.approx(8, rel=1e-3)  # the rank, which K reaches for orthogonal G only
    assert not probe.muon_is_better
    assert probe.advantage < 1


def test_a_concave_direction_is_said_to_be_one() -> None:
    layer = _layer(torch.eye(3))
    (probe,) = probe_muon(layer, lambda: -layer.weight.square().sum())
    assert probe.curvature_along_step == pytest.approx(-6)
    assert probe.largest_curvature == pytest.approx(2)  # its absolute value
    assert "concave" in probe_table([probe])


def test_a_linear_loss_has_no_curvature_and_a_flat_one_no_gradient() -> None:
    layer = _layer(torch.eye(3))
    (linear,) = probe_muon(layer, lambda: layer.weight.sum())
    assert linear.curvature_along_step == linear.largest_curvature == 0
    assert math.isnan(linear.curvature_ratio)
    assert linear.gradient.rank == 1
    (flat,) = probe_muon(layer, lambda: 0.0 * layer.weight.square().sum())
    assert flat.gradient.rank == 0
    assert math.isnan(flat.norm_ratio)
    assert not flat.muon_is_better


def test_the_curvature_of_a_network_is_that_of_finite_differences() -> None:
    model = small_network(torch.float64)
    probes = {one.name: one for one in probe_muon(model, lambda: word_loss(model), iterations=300)}
    assert set(probes) == {"wide.weight", "narrow.weight"}  # the unused layer is not reached, the head is no matrix
    for name, probe in probes.items():
        weight, width = model.get_parameter(name), 1e-4
        losses = []
        for sign in (1, 0, -1):
            with torch.no_grad():
                weight.add_(probe.gradient.direction, alpha=sign * width)
                losses.append(float(word_loss(model)))
                weight.sub_(probe.gradient.direction, alpha=sign * width)
        along = (losses[0] - 2 * losses[1] + losses[2]) / width**2
        assert probe.curvature_along_step == pytest.approx(along, rel=1e-4)


def _words() -> Tensor:
    return torch.arange(5)[None]


def test_the_largest_curvature_is_the_largest_eigenvalue() -> None:
    model = small_network(torch.float64)
    words, weight = _words(), model.narrow.weight

    def loss(values: Tensor) -> Tensor:
        return torch.func.functional_call(model, {"narrow.weight": values}, words).logsumexp(-1).sum()

    hessian = torch.autograd.functional.hessian(loss, weight.detach()).reshape(weight.numel(), -1)
    (probe,) = probe_muon(model, lambda: loss(weight), names=["narrow.weight"], iterations=500)
    assert probe.largest_curvature == pytest.approx(float(torch.linalg.eigvalsh(hessian).abs().max()), rel=1e-2)


def test_power_iteration_sees_eigenvalues_of_either_sign() -> None:
    weights = torch.tensor([[3.0, -3.0, 1.0]], dtype=torch.float64)
    found = largest_curvature(lambda vector: weights * vector, weights, generator=torch.Generator().manual_seed(0))
    assert found == pytest.approx(3, rel=1e-3)


def test_an_internvl_is_probed_and_stays_as_it_was() -> None:
    model = tiny_internvl()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    state = torch.get_rng_state()
    words = torch.arange(40, 52)[None]
    name = "model.language_model.layers.0.self_attn.q_proj.weight"
    probes = probe_muon(model, lambda: model(input_ids=words, labels=words).loss, names=[name], iterations=5)
    assert [one.name for one in probes] == [name]
    assert all(math.isfinite(value) for value in probe_metrics(probes).values())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())
    assert all(value.grad is None for value in model.parameters())


def test_the_table_and_the_metrics_say_the_same() -> None:
    curved = torch.diag(torch.tensor([4.0, 1.0], dtype=torch.float64))
    model = nn.ModuleDict({"low": _layer(torch.diag(torch.tensor([1.0, -2.0]))), "flat": _layer(torch.randn(8, 8))})

    def loss() -> Tensor:
        low, flat = model["low"].weight, model["flat"].weight
        return 0.5 * (low * (curved @ low)).sum() + 0.5 * flat.square().sum()

    probes = probe_muon(model, loss)
    table = probe_table(probes).splitlines()
    assert table[2].startswith("| low.weight | 2 x 2 | 5 | 4 |")
    assert table[2].endswith("| better |")
    assert table[3].endswith("| worse |")
    assert table[-1] == "J/L <= K in 1 of 2 matrices"
    assert probe_metrics(probes)["muon_better_share"] == 0.5


def test_names_that_are_no_matrices_and_losses_of_other_models_are_refused() -> None:
    model = small_network()
    for names in (["wide.bias"], ["missing"], []):
        with pytest.raises(InvalidInputError, match="names of matrices"):
            probe_muon(model, lambda: word_loss(model), names=names)
    other = small_network()
    with pytest.raises(InvalidInputError, match="depends on none"):
        probe_muon(model, lambda: word_loss(other))
