"""The angles per token of rotary positions: those of a model, and the perturbed ones of the local branch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vlm_bridge.decoding.config import PcdConfig, Transition
from vlm_bridge.errors import BackboneError

FIXED_KINDS = ("default", "linear", "llama3", "yarn")
"""Kinds of rotary positions whose frequencies do not change while text gets longer."""
_TRANSITIONS: dict[Transition, Callable[[Tensor, float], Tensor]] = {
    "exp": lambda x, alpha: 2 - torch.exp(alpha * x),
    "linear": lambda x, alpha: 1 - alpha * x,
    "step": lambda x, alpha: torch.where(x <= 0.5, 1.0, 1 - alpha).to(x),
}


def plain_frequencies(base: float, pairs: int) -> Float[Tensor, " pair"]:
    """base ** (-(j - 1) / pairs) for j from 1 to `pairs`, in float64: radians per token.

    Example:
        >>> plain_frequencies(10_000.0, 4).tolist()
        [1.0, 0.1, 0.01, 0.001]
    """
    return torch.tensor(base, dtype=torch.float64) ** (-torch.arange(pairs, dtype=torch.float64) / pairs)


def frequency_mix(pairs: int, alpha: float, transition: Transition = "exp") -> Float[Tensor, " pair"]:
    """Share of a model's own frequency in each perturbed one, from the highest frequency to the lowest; float64.

    With x = j / pairs in (0, 1]: `exp` is 2 - e^(alpha x), `linear` is 1 - alpha x, and `step` is 1 for the upper half
    of the frequencies and 1 - alpha for the lower.

    Example:
        >>> [round(share, 4) for share in frequency_mix(2, 0.2).tolist()]
        [0.8948, 0.7786]
    """
    x = torch.arange(1, pairs + 1, dtype=torch.float64) / pairs
    return _TRANSITIONS[transition](x, alpha)


def perturbed_frequencies(own: Float[Tensor, " pair"], base: float, config: PcdConfig) -> Float[Tensor, " pair"]:
    """Frequencies of the local branch, in float32: mixed with those of a smaller base, the lowest ones most.

    `own` are the frequencies a model really uses, after any scaling; the smaller base, `config.base_ratio * base`,
    makes unscaled ones. Their number is half the rotary dimension, which may be less than that of a head. At alpha 0
    they come out as they were, bit for bit.

    Example:
        >>> own = plain_frequencies(1e6, 64).float()
        >>> local = perturbed_frequencies(own, 1e6, PcdConfig())
        >>> round(float(local[-1] / own[-1]))  # the slowest pair turns 1,918 times as fast
        1918

    Source:
        Xiao et al. 2025, arXiv:2506.08371. A base below 1 would turn slow pairs faster than fast ones; it counts as 1.
    """
    faster = plain_frequencies(max(config.base_ratio * base, 1.0), len(own)).to(own.device)
    share = frequency_mix(len(own), config.alpha, config.transition).to(own.device)
    return (share * own.double() + (1 - share) * faster).float()


def rope_base(config: Any) -> float:
    """The base of rotary positions in a text configuration of transformers.

    Raises:
        BackboneError: positions are not rotary, or of a kind whose frequencies change with the length of the text, or
            differ between layers or between axes of a picture.
    """
    rope = getattr(config, "rope_parameters", None)
    if not isinstance(rope, dict) or "rope_theta" not in rope:
        raise BackboneError(
            "Positional contrastive decoding: expected a language model with one set of rotary positions "
            f"(rope_parameters with rope_theta), found {rope!r} in {type(config).__name__}. Use another strategy."
        )
    kind = rope.get("rope_type", "default")
    if kind not in FIXED_KINDS or "mrope_section" in rope:
        found = "one position per axis of a picture (mrope_section)" if "mrope_section" in rope else repr(kind)
        raise BackboneError(
            f"Positional contrastive decoding: expected rotary positions of kind {', '.join(FIXED_KINDS)}, found "
            f"{found}. Use another strategy, or load the model with rope_parameters of one of these kinds."
        )
    return float(rope["rope_theta"])
