"""MLorc beside torch's AdamW and a Lion written out here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.vlm_bridge.optim.small_network import regression_gradients
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim.mlorc import MLorc, MLorcConfig

SHAPES = [(24, 16), (16, 24)]


def _start(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype))


def _train(optimizer: torch.optim.Optimizer, gradient: Callable[[Tensor, int], Tensor], steps: int) -> list[Tensor]:
    """The weights after each step."""
    (weight,) = optimizer.param_groups[0]["params"]
    seen = []
    for number in range(steps):
        weight.grad = gradient(weight, number)
        optimizer.step()
        seen.append(weight.detach().clone())
    return seen


def _lion(weights: Tensor, gradient: Callable[[Tensor, int], Tensor], steps: int) -> Tensor:
    """Lion as the paper's algorithm 2 has it: rate 0.01, betas 0.95 and 0.98, decay 0.1."""
    mean = torch.zeros_like(weights)
    for number in range(steps):
        now = gradient(weights, number)
        weights = weights - 0.01 * (torch.sign(0.95 * mean + 0.05 * now) + 0.1 * weights)
        mean = 0.98 * mean + 0.02 * now
    return weights


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("config", [{"rank": 16, "store": "factors"}, {"rank": 99, "store": "factors"}, {"rank": 0}])
def test_at_full_rank_it_is_torchs_adamw(shape: tuple[int, int], config: dict) -> None:
    gradient = regression_gradients(shape)
    theirs = _train(torch.optim.AdamW([_start(shape)], lr=0.01, weight_decay=0.1), gradient, 50)
    ours = _train(MLorc([_start(shape)], 0.01, weight_decay=0.1, config=MLorcConfig(**config)), gradient, 50)
    assert max(float((a - b).abs().max()) for a, b in zip(theirs, ours, strict=True)) <= 1e-12


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("config", [{"rank": 16, "store": "factors"}, {"rank": 0}])
def test_at_full_rank_it_is_lion(shape: tuple[int, int], config: dict) -> None:
    gradient = regression_gradients(shape)
    optimizer = MLorc([_start(shape)], 0.01, weight_decay=0.1, config=MLorcConfig(variant="lion", **config))
    ours = _train(optimizer, gradient, 50)[-1]
    assert float((_lion(_start(shape).detach(), gradient, 50) - ours).abs().max()) <= 1e-12


@pytest.mark.parametrize("rank", [1, 2, 4, 8])
def test_the_first_step_is_adamws_at_every_rank(rank: int) -> None:
    gradient = regression_gradients((24, 16))
    theirs = _train(torch.optim.AdamW([_start((24, 16))], lr=0.01), gradient, 2)
    optimizer = MLorc([_start((24, 16))], 0.01, weight_decay=0.01, config=MLorcConfig(rank=rank, store="factors"))
    ours = _train(optimizer, gradient, 2)
    assert float((theirs[0] - ours[0]).abs().max()) < 1e-15
    assert float((theirs[1] - ours[1]).abs().max()) > 1e-5  # the second one has a compressed past


def test_gradients_of_one_direction_lose_nothing_at_rank_one() -> None:
    # mean and square are then of rank 1 for ever
    direction = torch.outer(torch.linspace(-1, 2, 24).double(), torch.linspace(0.5, 3, 16).double())
    theirs, ours = (
        _train(optimizer, lambda _, number: (1 + number % 3) * direction, 40)[-1]
        for optimizer in (
            torch.optim.AdamW([_start((24, 16))], lr=0.01, weight_decay=0.0),
            MLorc([_start((24, 16))], 0.01, config=MLorcConfig(rank=1)),
        )
    )
    assert float((theirs - ours).abs().max()) < 1e-12


def test_second_moments_are_never_negative() -> None:
    gradient = regression_gradients((24, 16), torch.float32)
    for seed in range(3):
        weight = _start((24, 16), torch.float32)
        optimizer = MLorc([weight], 0.01, config=MLorcConfig(rank=2, seed=seed))
        plain, repaired = 0, 0.0
        for number in range(30):
            weight.grad = gradient(weight, number)
            optimizer.step()
            state = optimizer.state[weight]
            product = (state["square_left"] * state["square_scale"]) @ state["square_right"]
            plain += int((product < 0).sum())
            repaired = min(repaired, float(optimizer.moments(weight)["square"].min()))
        assert plain > 0  # the factors alone are negative somewhere
        assert repaired == 0.0


def test_the_repair_comes_before_the_gradient_is_taken_in() -> None:
    weight = nn.Parameter(torch.zeros(2, 2, dtype=torch.float64))
    optimizer = MLorc([weight], 1.0, eps=0.0, config=MLorcConfig(rank=2, store="factors"))
    past = {"mean": torch.full((2, 2), 0.1).double(), "square": torch.tensor([[1.0, -0.2], [0.5, -0.4]]).double()}
    optimizer.state[weight]["step"] = 1
    for name, moment in past.items():
        left, scale, right = torch.linalg.svd(moment)
        optimizer.state[weight] |= {f"{name}_left": left, f"{name}_scale": scale, f"{name}_right": right}
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
    # both negatives become (0.2 + 0.4) / 2; step 2: m = 0.09 / (1 - 0.81), v = 0.999 v / (1 - 0.998001)
    square = torch.tensor([[1.0, 0.3], [0.5, 0.3]], dtype=torch.float64)
    expected = -(0.09 / 0.19) / (0.999 * square / 0.001999).sqrt()
    assert torch.allclose(weight.detach(), expected, rtol=1e-9)


def test_the_fit_gets_better_with_the_rank() -> None:
    # Medians over seeds, since single ones scatter. Isotropic gradients are the worst case for low rank.
    generator = torch.Generator().manual_seed(0)
    inputs, truth = torch.randn(400, 24, generator=generator), torch.randn(24, 16, generator=generator)
    outputs = inputs @ truth + torch.randn(400, 16, generator=generator)
    medians = []
    for rank in (1, 4, 0):
        losses = []
        for seed in range(3):
            weight = nn.Parameter(torch.zeros(24, 16))
            optimizer = MLorc([weight], 0.02, config=MLorcConfig(rank=rank, seed=seed))
            for number in range(60):
                chosen = torch.randint(0, 400, (8,), generator=torch.Generator().manual_seed(1000 * seed + number))
                weight.grad = inputs[chosen].T @ (inputs[chosen] @ weight.detach() - outputs[chosen]) / 8
                optimizer.step()
            losses.append(float((weight.detach() - truth).square().mean()))
        medians.append(sorted(losses)[1])
    assert medians[0] > medians[1] > medians[2]


def test_kernels_are_matrices_of_their_first_dimension_whatever_their_layout() -> None:
    gradients = torch.randn(3, 12, 8, 3, 3)
    plain = nn.Parameter(torch.ones(12, 8, 3, 3))
    turned = nn.Parameter(torch.ones(12, 8, 3, 3).to(memory_format=torch.channels_last))
    flat = nn.Parameter(torch.ones(12, 72))
    optimizer = MLorc([plain, turned, flat], 0.01, config=MLorcConfig(rank=99, store="factors"))
    for gradient in gradients:
        plain.grad, turned.grad, flat.grad = gradient.clone(), gradient.clone(), gradient.flatten(1).clone()
        optimizer.step()
    assert optimizer.state[plain]["mean_right"].shape == (12, 72)
    assert torch.allclose(plain, turned, atol=1e-6)
    assert torch.allclose(plain.flatten(1), flat, atol=1e-6)


def test_vectors_are_adamws_under_lion_too_unless_said_otherwise() -> None:
    vectors = {choice: nn.Parameter(torch.ones(3)) for choice in ("adamw", "variant")}
    theirs = nn.Parameter(torch.ones(3))
    optimizers = [torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.0)]
    optimizers += [
        MLorc([vectors[choice]], 0.1, config=MLorcConfig(variant="lion", vectors=choice)) for choice in vectors
    ]
    for gradient in (torch.tensor([1.0, -2.0, 0.0]), torch.tensor([0.5, 3.0, 0.0])):
        for value in (theirs, *vectors.values()):
            value.grad = gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert torch.allclose(vectors["adamw"], theirs, atol=1e-6)
    # Lion: down and up by the rate; then 0.95 * 0.02 * (1, -2) + 0.05 * (0.5, 3) is positive for both
    assert torch.allclose(vectors["variant"], torch.tensor([0.8, 1.0, 1.0]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_gradient_that_is_not_finite_is_refused_before_anything_moves(bad: float) -> None:
    first, second = _start((8, 6)), _start((9, 6))
    before = first.detach().clone()
    optimizer = MLorc([first, second], 0.1)
    first.grad, second.grad = torch.ones(8, 6).double(), torch.ones(9, 6).double()
    second.grad[3, 4] = bad
    with pytest.raises(InvalidInputError, match=r"parameter 1 of shape \(9, 6\)"):
        optimizer.step()
    assert torch.equal(first.detach(), before)


def test_sparse_gradients_are_refused() -> None:
    embedding = nn.Embedding(5, 4, sparse=True)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(InvalidInputError, match="dense"):
        MLorc(embedding.parameters()).step()


@pytest.mark.parametrize(
    "options", [{"lr": -1.0}, {"betas": (0.9, 1.0)}, {"eps": -1.0}, {"weight_decay": -0.1}, {"betas": (-0.1, 0.9)}]
)
def test_numbers_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(InvalidInputError, match="MLorc: expected"):
        MLorc([_start((3, 2))], **options)


@pytest.mark.parametrize("options", [{"rank": -1}, {"oversample": -1}, {"seed": -1}, {"iterations": -1}])
def test_settings_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(InvalidInputError, match="rank, oversample"):
        MLorcConfig(**options)


@pytest.mark.parametrize("options", [{"variant": "magic"}, {"state_dtype": "float16"}])
def test_unknown_words_are_refused(options: dict) -> None:
    # The checker of types in these tests would refuse the word before the setting does.
    settings: Any = SimpleNamespace(**asdict(MLorcConfig()) | options)
    with pytest.raises(InvalidInputError, match="Choose among them"):
        MLorcConfig.__post_init__(settings)
