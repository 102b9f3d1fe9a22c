"""Settings out of range are named."""

from __future__ import annotations

from typing import Any

import pytest

from vlm_bridge.decoding.config import DecodingConfig, PcdConfig
from vlm_bridge.errors import InvalidInputError


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"alpha": 0.7}, r"alpha: expected 0 <= alpha < ln 2 \(0\.693\), found 0\.7"),
        ({"alpha": -0.1}, "alpha"),
        ({"beta": -1.0}, "beta"),
        ({"beta": float("nan")}, "beta"),
        ({"base_ratio": 0.0}, "base_ratio"),
        ({"base_ratio": 1.5}, "base_ratio"),
        ({"gamma": 0}, "gamma"),
        ({"min_context": -1}, "min_context"),
        ({"prompt_chunk": 0}, "prompt_chunk"),
    ],
)
def test_contrast_out_of_range(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        PcdConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"temperature": 0.0}, "strategy greedy"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"seed": -1}, "seed"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"max_tiles": 0}, "max_tiles"),
        ({"stop": ("",)}, "stop"),
        ({"choices": ("yes", "")}, "choices"),
        ({"choices": ("yes",), "think": True}, "found both"),
    ],
)
def test_decoding_out_of_range(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        DecodingConfig(**settings)


def test_published_settings_are_the_defaults() -> None:
    defaults = PcdConfig()
    assert (defaults.alpha, defaults.beta, defaults.base_ratio, defaults.gamma) == (0.2, 2.5, 1e-4, 30)
    assert DecodingConfig().repetition_penalty == 1
