"""Perturbed frequencies: numbers worked by hand, the limits of the mixture, and the decay they bring."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import LlamaConfig, Qwen2Config

from vlm_bridge.decoding.config import PcdConfig, Transition
from vlm_bridge.decoding.rope_frequencies import (
    frequency_mix,
    perturbed_frequencies,
    plain_frequencies,
    rope_base,
)
from vlm_bridge.errors import BackboneError

LLAMA, QWEN = 5e5, 1e6
HEAD = 128


def _own(base: float) -> torch.Tensor:
    return plain_frequencies(base, HEAD // 2).float()


def test_transition_goes_from_nearly_one_to_two_minus_e_to_the_alpha() -> None:
    share = frequency_mix(64, 0.2)
    assert share[0].item() == pytest.approx(2 - math.exp(0.2 / 64))  # x = 1 / 64
    assert share[0] == pytest.approx(0.9969, abs=1e-4)
    assert share[-1] == pytest.approx(0.7786, abs=1e-4)
    assert (share.diff() < 0).all()


def test_other_transitions_agree_at_the_ends() -> None:
    assert frequency_mix(4, 0.4, "linear").tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert frequency_mix(4, 0.4, "step").tolist() == pytest.approx([1, 1, 0.6, 0.6])


@pytest.mark.parametrize(("base", "slowest", "perturbed"), [(LLAMA, 2.46e-6, 4.7e-3), (QWEN, 1.24e-6, 2.4e-3)])
def test_slowest_pair_of_published_models(base: float, slowest: float, perturbed: float) -> None:
    own = _own(base)
    assert own[-1].item() == pytest.approx(slowest, rel=0.01)
    assert perturbed_frequencies(own, base, PcdConfig())[-1].item() == pytest.approx(perturbed, rel=0.03)


def test_first_pair_is_never_moved_and_the_others_turn_faster() -> None:
    own = _own(QWEN)
    moved = perturbed_frequencies(own, QWEN, PcdConfig())
    assert moved[0] == own[0] == 1
    assert (moved[1:] > own[1:]).all()


@pytest.mark.parametrize("transition", ["exp", "linear", "step"])
def test_alpha_zero_leaves_every_bit(transition: Transition) -> None:
    own = _own(LLAMA)
    moved = perturbed_frequencies(own, LLAMA, PcdConfig(alpha=0.0, transition=transition))
    assert torch.equal(moved, own)


def test_a_base_below_one_counts_as_one() -> None:
    """Base 10,000 times 1e-5 is 0.1; base 1 turns every pair by one radian per token."""
    own = plain_frequencies(1e4, 4).float()
    moved = perturbed_frequencies(own, 1e4, PcdConfig(base_ratio=1e-5))
    share = frequency_mix(4, 0.2).float()
    torch.testing.assert_close(moved, share * own + (1 - share))


def _attention(frequencies: torch.Tensor, distance: torch.Tensor) -> torch.Tensor:
    return (distance[:, None].double() * frequencies.double()).cos().mean(1)


@pytest.mark.parametrize("base", [LLAMA, QWEN])
def test_contrast_slows_the_decay_of_attention(base: float) -> None:
    """The paper's simulation in closed form: both branches see near tokens, only the plain one far ones."""
    own = _own(base)
    moved = perturbed_frequencies(own, base, PcdConfig())
    near, far = torch.arange(1, 17), torch.arange(512, 16385)
    assert (_attention(own, near) - _attention(moved, near)).abs().max() < 0.06
    plain, local = _attention(own, far), _attention(moved, far)
    contrasted = 2 * plain - local  # beta 1
    assert (contrasted - plain).mean() > 0
    assert local.abs().mean() < 0.2 < plain.mean()


def test_values_of_the_simulation_at_single_distances() -> None:
    distances = torch.tensor([1, 128, 4096])
    assert _attention(_own(LLAMA), distances).tolist() == pytest.approx([0.978, 0.602, 0.383], abs=1e-3)
    moved = perturbed_frequencies(_own(LLAMA), LLAMA, PcdConfig())
    assert _attention(moved, distances).tolist() == pytest.approx([0.977, 0.036, -0.088], abs=1e-3)


def test_base_of_a_configuration() -> None:
    rope = {"rope_type": "linear", "rope_theta": 1e5, "factor": 2.0}
    assert rope_base(LlamaConfig(rope_parameters=rope)) == 1e5


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0},
        {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 2, 2]},
    ],
)
def test_positions_that_change_or_have_axes_are_refused(rope: dict) -> None:
    with pytest.raises(BackboneError, match="expected rotary positions of kind default, linear, llama3, yarn"):
        rope_base(Qwen2Config(rope_parameters=rope))


def test_positions_that_are_not_rotary_are_refused() -> None:
    with pytest.raises(BackboneError, match="one set of rotary positions"):
        rope_base(object())
