"""Adapters in a fine-tuning run: putting the one that is asked for on a backbone, and letting it learn.

PEFT is needed only where a run has an adapter, so the room of adapters is imported inside functions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.finetune.config import FinetuneConfig, Stage
from vlm_bridge.optim.parameter_roles import ParameterHints


def adapt_for_run(backbone: InternVLBackbone, config: FinetuneConfig) -> tuple[str, ...]:
    """Put the run's adapter on the backbone, in place; names of its tensors that learn, none where there is none.

    Its random start depends on the run's seed alone.

    Raises:
        InvalidInputError: unknown method, setting or layer; or the backbone is adapted already.
        BackboneError: a layer cannot be adapted by this method.
    """
    if any(hasattr(module, "peft_config") for module in backbone.model.modules()):
        raise InvalidInputError(
            "Fine-tuning: expected a plain model, found one with adapters. Merge them first (`vlm-bridge merge`)."
        )
    if config.adapter is None:
        return ()
    from vlm_bridge.adapters.adapt import adapt

    settings = read_settings(config.adapter_settings)
    if config.rank is not None:
        settings["r"] = config.rank
    devices = [backbone.device] if backbone.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(config.seed)
        adapted = adapt(
            backbone,
            config.adapter,
            connector=config.adapt_connector,
            layers=config.adapter_layers or None,
            **settings,
        )
    backbone.model = adapted.model
    return tuple(name for name, value in backbone.model.named_parameters() if value.requires_grad)


def let_adapter_learn(model: nn.Module, names: Iterable[str], stage: Stage) -> list[nn.Parameter]:
    """The adapter's tensors if they learn in this stage; then they want gradients, else they do not."""
    wanted = set(names)
    tensors = [value for name, value in model.named_parameters() if name in wanted]
    for tensor in tensors:
        tensor.requires_grad_(stage.adapter_learns)
    return tensors if stage.adapter_learns else []


def adapter_hints(model: nn.Module, names: Iterable[str]) -> ParameterHints:
    """What an optimiser must know of the adapter's tensors."""
    if not tuple(names):
        return ParameterHints()
    from vlm_bridge.adapters.parameter_groups import adapter_traits

    traits = adapter_traits(model)
    return ParameterHints(roles=traits.roles, rates=traits.rates)


def read_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Values by name from texts like `lora_dropout=0.1`; what is no JSON value is a text.

    Example:
        >>> read_settings(["lora_dropout=0.1", "host=pissa", "use_rslora=true"])
        {'lora_dropout': 0.1, 'host': 'pissa', 'use_rslora': True}

    Raises:
        InvalidInputError: a text has no name or no value, or a name comes twice.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not name.isidentifier() or not sign or name in values:
            raise InvalidInputError(
                f"Adapter settings: expected NAME=VALUE with each name once, found {text!r}. Write lora_dropout=0.1."
            )
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values
