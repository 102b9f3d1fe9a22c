"""What an optimiser must know of an adapted model: scalars and spectral factors at rates of their own, without decay,
and which tensors are matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from vlm_bridge.adapters.peft_door import BaseTunerLayer, TunerLayer
from vlm_bridge.errors import InvalidInputError


def adapter_parameter_groups(
    model: nn.Module, *, learning_rate: float, weight_decay: float = 0.0
) -> list[dict[str, Any]]:
    """Each parameter of `model` that learns, once, as groups that optimisers of torch take.

    Matrices decay, vectors and scalars do not. The scalars of MAP and the factors of SpecLoRA are in groups of their
    own, at `learning_rate` times the multiple in the adapter's settings; adapters of other kinds have none of these.
    A schedule that multiplies rates keeps the multiples.

    Example:
        >>> import torch
        >>> from peft import get_peft_model
        >>> from vlm_bridge.adapters.catalogue import make_adapter_config
        >>> config = make_adapter_config("map", r=2, target_modules=["0"], scalar_rate=10.0)
        >>> model = get_peft_model(nn.Sequential(nn.Linear(4, 4)), config)
        >>> groups = adapter_parameter_groups(model, learning_rate=0.5, weight_decay=0.1)
        >>> [(group["name"], group["lr"], group["weight_decay"], len(group["params"])) for group in groups]
        [('matrices', 0.5, 0.1, 2), ('rate x 10', 5.0, 0.0, 2)]

    Raises:
        InvalidInputError: no parameter learns, or a rate is out of range.
    """
    if learning_rate <= 0 or weight_decay < 0:
        raise InvalidInputError(
            f"Parameter groups: expected learning_rate > 0 and weight_decay >= 0, found {learning_rate} and "
            f"{weight_decay}. Change them."
        )
    own = _own_rates(model)
    groups: dict[str, dict[str, Any]] = {}
    for value in model.parameters():
        if not value.requires_grad:
            continue
        rate = own.get(id(value))
        if rate is not None:
            name, decay = f"rate x {rate:g}", 0.0
        elif value.ndim > 1:
            name, decay = "matrices", weight_decay
        else:
            name, decay = "vectors", 0.0
        start = {"name": name, "params": [], "lr": learning_rate * (rate or 1.0), "weight_decay": decay}
        groups.setdefault(name, start)["params"].append(value)
    if not groups:
        raise InvalidInputError(
            "Parameter groups: expected a model with something that learns, found none. Adapt it first, or load its "
            "adapter with trainable=True."
        )
    return list(groups.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterTraits:
    """What is special about the tensors of adapters that learn, by name."""

    roles: dict[str, Literal["matrix", "vector"]]
    """Of each that belongs to an adapter: `matrix` where both sides are longer than 1. So Muon and MLorc, which go by
    modules, know what to do with factors that are no weights of linear layers."""
    rates: dict[str, float]
    """Multiples of the learning rate, where they have one."""


def adapter_traits(model: nn.Module) -> AdapterTraits:
    """Roles and rates of the adapters of `model`, for an optimiser that sorts parameters itself.

    Example:
        >>> from peft import get_peft_model
        >>> from vlm_bridge.adapters.catalogue import make_adapter_config
        >>> config = make_adapter_config("map", r=2, target_modules=["0"])
        >>> model = get_peft_model(nn.Sequential(nn.Linear(4, 4)), config)
        >>> traits = adapter_traits(model)
        >>> sorted(traits.roles.values()), sorted(traits.rates.values())
        (['matrix', 'matrix', 'vector', 'vector'], [10.0, 10.0])
    """
    own = _own_rates(model)
    inside: set[int] = set()
    for layer in model.modules():
        if isinstance(layer, BaseTunerLayer):
            base = {id(value) for value in layer.get_base_layer().parameters()}
            inside |= {id(value) for value in layer.parameters() if id(value) not in base}
    named = {name: value for name, value in model.named_parameters() if value.requires_grad and id(value) in inside}
    return AdapterTraits(
        roles={
            name: "matrix" if value.ndim == 2 and min(value.shape) > 1 else "vector" for name, value in named.items()
        },
        rates={name: own[id(value)] for name, value in named.items() if id(value) in own},
    )


def _own_rates(model: nn.Module) -> dict[int, float]:
    return {
        id(value): rate
        for layer in model.modules()
        if isinstance(layer, TunerLayer)
        for value, rate in layer.own_rates()
    }


def _role(value: nn.Parameter) -> Literal["matrix", "vector"]:
    return "matrix" if value.ndim == 2 and min(value.shape) > 1 else "vector"
