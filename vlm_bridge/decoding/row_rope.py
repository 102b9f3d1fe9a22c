"""`row_frequencies`: for a while, every row of a batch turns by frequencies of its own.

The language models of transformers compute cosines and sines once per pass, in one rotary module, with an axis of rows.
Giving that axis frequencies of its own lets one pass over a doubled batch do the work of two models.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vlm_bridge.errors import BackboneError


def text_rotary(model: Any) -> nn.Module:
    """The rotary module of a model's language part; that of a vision tower is never it.

    Raises:
        BackboneError: there is not exactly one, or it does not turn pairs of numbers that are half a head apart.
    """
    decoder = model.get_decoder()
    found = [module for module in decoder.modules() if isinstance(getattr(module, "inv_freq", None), Tensor)]
    if len(found) != 1:
        raise BackboneError(
            f"{type(decoder).__name__}: expected one rotary module, with the frequencies inv_freq, found {len(found)}. "
            "Positional contrastive decoding needs a language model like Qwen2, Qwen3 or Llama."
        )
    _check_turns_halves(found[0])
    return found[0]


@contextmanager
def row_frequencies(rotary: nn.Module, frequencies: Float[Tensor, "row pair"]) -> Iterator[None]:
    """Inside, row r of every batch turns by `frequencies[r]` radians per token; afterwards the module is as it was.

    Batches inside must have as many rows as `frequencies`. Angles are computed in float32 whatever the precision of the
    model; its factor on cosines and sines (YaRN) stays. One model cannot serve two threads at the same time.
    """
    scaling = float(getattr(rotary, "attention_scaling", 1.0))

    def forward(x: Tensor, position_ids: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        return _cosines(x, position_ids, frequencies, scaling)

    absent = object()
    before = rotary.__dict__.get("forward", absent)
    rotary.__dict__["forward"] = forward
    try:
        yield
    finally:
        if before is absent:
            del rotary.__dict__["forward"]
        else:
            rotary.__dict__["forward"] = before


def _cosines(
    x: Tensor, position_ids: Tensor, frequencies: Float[Tensor, "row pair"], scaling: float
) -> tuple[Tensor, Tensor]:
    turns = frequencies.to(device=x.device, dtype=torch.float32)[:, None, :]
    with torch.autocast(x.device.type, enabled=False):
        angles = position_ids[..., None].to(x.device).float() * turns
        both = torch.cat((angles, angles), dim=-1)
        return (both.cos() * scaling).to(x.dtype), (both.sin() * scaling).to(x.dtype)


def _check_turns_halves(rotary: Any) -> None:
    """Compare a few positions with the module's own answer, so that a module of another kind is not misused."""
    places = torch.arange(4, device=rotary.inv_freq.device)[None]
    probe = torch.zeros(1, 4, 1, device=places.device)
    own = rotary(probe, places)
    scaling = float(getattr(rotary, "attention_scaling", 1.0))
    ours = _cosines(probe, places, rotary.inv_freq[None], scaling)
    if not all(a.shape == b.shape and torch.allclose(a, b, atol=1e-5) for a, b in zip(own, ours, strict=True)):
        raise BackboneError(
            f"{type(rotary).__name__}: expected cosines of positions times frequencies, in two equal halves, found "
            "something else. Positional contrastive decoding needs a language model like Qwen2, Qwen3 or Llama."
        )
