"""`STRATEGIES`: ways of choosing the words of an answer, by name.

A strategy turns a `DecodingConfig` into options of transformers' `generate`, the streamer among them. A new one is a
function and a line of the table.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from transformers.generation.streamers import BaseStreamer

from vlm_bridge.decoding.config import DecodingConfig
from vlm_bridge.decoding.pcd import pcd_generate

Strategy = Callable[[DecodingConfig, BaseStreamer | None], dict[str, Any]]


def greedy(config: DecodingConfig, streamer: BaseStreamer | None) -> dict[str, Any]:
    """The likeliest word, always."""
    return _likeliest() | {"streamer": streamer}


def sample(config: DecodingConfig, streamer: BaseStreamer | None) -> dict[str, Any]:
    """A word drawn by its probability, as temperature, top-p and top-k leave it."""
    return _drawn(config) | {"streamer": streamer}


def pcd(config: DecodingConfig, streamer: BaseStreamer | None) -> dict[str, Any]:
    """The word with the highest contrasted logit: positional contrastive decoding, with `config.pcd`."""
    return _likeliest() | _contrasted(config, streamer)


def pcd_sample(config: DecodingConfig, streamer: BaseStreamer | None) -> dict[str, Any]:
    """A word drawn by its contrasted probability."""
    return _drawn(config) | _contrasted(config, streamer)


STRATEGIES: dict[str, Strategy] = {
    "greedy": greedy,
    "sample": sample,
    "pcd": pcd,
    "pcd_sample": pcd_sample,
}


def _likeliest() -> dict[str, Any]:
    # a checkpoint may bring settings of its own; None takes them back, and keeps transformers from warning of them
    return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}


def _drawn(config: DecodingConfig) -> dict[str, Any]:
    return {"do_sample": True, "temperature": config.temperature, "top_p": config.top_p, "top_k": config.top_k}


def _contrasted(config: DecodingConfig, streamer: BaseStreamer | None) -> dict[str, Any]:
    return {"custom_generate": partial(pcd_generate, pcd=config.pcd, streamer=streamer)}
