"""Rows with frequencies of their own: one pass does the work of several models, and leaves the model as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.vlm_bridge.decoding.tiny_language_models import BASE, KINDS, random_ids, tiny_language_model
from vlm_bridge.decoding.config import PcdConfig
from vlm_bridge.decoding.rope_frequencies import perturbed_frequencies
from vlm_bridge.decoding.row_rope import row_frequencies, text_rotary
from vlm_bridge.errors import BackboneError


def _moved(model: Any) -> torch.Tensor:
    return perturbed_frequencies(text_rotary(model).inv_freq, BASE, PcdConfig())  # type: ignore[arg-type]


def _logits(model: Any, ids: torch.Tensor, **options: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=ids, **options).logits


def _logits_of_a_moved_model(kind: str, ids: torch.Tensor, **options: Any) -> torch.Tensor:
    """Of a second model whose only frequencies are the perturbed ones, as its own code computes them."""
    model = tiny_language_model(kind)
    rotary: Any = text_rotary(model)
    rotary.inv_freq = _moved(model)
    return _logits(model, ids, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_doubled_batch_equals_two_models(kind: str) -> None:
    model = tiny_language_model(kind)
    rotary: Any = text_rotary(model)
    ids = random_ids(2, 30)
    frequencies = torch.stack([rotary.inv_freq] * 2 + [_moved(model)] * 2)
    with row_frequencies(rotary, frequencies):
        both = _logits(model, torch.cat([ids, ids]))
    torch.testing.assert_close(both[:2], _logits(model, ids), atol=1e-5, rtol=0)
    torch.testing.assert_close(both[2:], _logits_of_a_moved_model(kind, ids), atol=1e-5, rtol=0)
    assert (both[:2] - both[2:]).abs().max() > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_only_distances_count(kind: str) -> None:
    """All positions moved by 50: the same logits, as keys and queries turn alike."""
    model = tiny_language_model(kind)
    rotary: Any = text_rotary(model)
    ids, places = random_ids(1, 24), torch.arange(24)[None]
    with row_frequencies(rotary, _moved(model)[None]):
        here = _logits(model, ids, position_ids=places)
        there = _logits(model, ids, position_ids=places + 50)
    torch.testing.assert_close(here, there, atol=1e-4, rtol=1e-4)


def _interrupted_pass(model: Any, ids: torch.Tensor, *, unlike: torch.Tensor) -> None:
    with row_frequencies(text_rotary(model), _moved(model)[None]):
        assert not torch.equal(_logits(model, ids), unlike)
        raise InterruptedError


def test_the_model_is_as_before_also_after_an_error() -> None:
    model = tiny_language_model()
    rotary: Any = text_rotary(model)
    before, buffer, values = dict(rotary.__dict__), rotary.inv_freq, rotary.inv_freq.clone()
    ids = random_ids(1, 12)
    plain = _logits(model, ids)
    with pytest.raises(InterruptedError):
        _interrupted_pass(model, ids, unlike=plain)
    assert rotary.__dict__ == before
    assert rotary.inv_freq is buffer
    assert torch.equal(buffer, values)
    assert torch.equal(_logits(model, ids), plain)


def test_a_forward_put_there_by_others_is_put_back() -> None:
    rotary: Any = text_rotary(tiny_language_model())
    theirs = rotary.forward
    rotary.forward = theirs
    with row_frequencies(rotary, rotary.inv_freq[None]):
        pass
    assert rotary.__dict__["forward"] is theirs


def test_angles_are_computed_in_single_precision_in_a_half_model() -> None:
    """Position 2,049 cannot be written in bfloat16 (spacing 16): the cosines must still be those of 2,049."""
    model = tiny_language_model(dtype=torch.bfloat16)
    rotary: Any = text_rotary(model)
    frequencies = _moved(model)
    places = torch.tensor([[2049]])
    with row_frequencies(rotary, frequencies[None]), torch.autocast("cpu", dtype=torch.bfloat16):
        cosines, _ = rotary(torch.zeros(1, 1, 32, dtype=torch.bfloat16), places)
    wanted = (2049 * frequencies).cos().repeat(2)
    assert cosines.dtype == torch.bfloat16
    torch.testing.assert_close(cosines[0, 0].float(), wanted, atol=2**-8, rtol=0)


def test_the_factor_of_yarn_stays() -> None:
    rope = {"rope_type": "yarn", "rope_theta": BASE, "factor": 4.0, "original_max_position_embeddings": 1024}
    model = tiny_language_model(rope_parameters=rope)
    rotary: Any = text_rotary(model)
    ids = random_ids(1, 20)
    assert rotary.attention_scaling > 1
    with row_frequencies(rotary, rotary.inv_freq[None]):
        same = _logits(model, ids)
    torch.testing.assert_close(same, _logits(model, ids), atol=1e-5, rtol=0)


def test_the_rotary_module_of_internvl_is_that_of_its_text() -> None:
    model = tiny_language_model("internvl")
    assert text_rotary(model) is model.model.language_model.rotary_emb


class _Decoder(nn.Module):
    def __init__(self, *rotaries: nn.Module) -> None:
        super().__init__()
        self.rotaries = nn.ModuleList(rotaries)

    def get_decoder(self) -> nn.Module:
        return self


class _Interleaved(nn.Module):
    """Turns neighbouring numbers, as GPT-J does."""

    def __init__(self) -> None:
        super().__init__()
        self.inv_freq = nn.Buffer(torch.tensor([1.0, 0.1]))

    def forward(self, x: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        angles = (position_ids[..., None] * self.inv_freq).repeat_interleave(2, -1)
        return angles.cos(), angles.sin()


@pytest.mark.parametrize(
    ("decoder", "complaint"),
    [
        (_Decoder(), "expected one rotary module, with the frequencies inv_freq, found 0"),
        (_Decoder(_Interleaved(), _Interleaved()), "found 2"),
        (_Decoder(_Interleaved()), "in two equal halves"),
    ],
)
def test_other_models_are_refused(decoder: nn.Module, complaint: str) -> None:
    with pytest.raises(BackboneError, match=complaint):
        text_rotary(decoder)
