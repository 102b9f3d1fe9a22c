"""`ADAPTERS`: ways of adapting a model with few numbers, by name; MAP and SpecLoRA beside those PEFT brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from peft import (
    DeloraConfig,
    HiraConfig,
    HRAConfig,
    IA3Config,
    LoHaConfig,
    LoKrConfig,
    LoraConfig,
    MissConfig,
    PeftConfig,
    RandLoraConfig,
    VeraConfig,
)

from vlm_bridge.adapters.map_linear import MapConfig
from vlm_bridge.adapters.speclora_linear import SpecLoraConfig
from vlm_bridge.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterMethod:
    """One entry."""

    config: type[Any]
    """Class of its settings, a `PeftConfig`."""
    what: str
    """One line for a list."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Those that make the method what its name says, or are better started from than PEFT's."""
    keeps_base: bool = True
    """False where the frozen weights are changed at the start: the model without its adapter is not the one before, and
    a second adapter would start from the changed one."""


def _lora(what: str, *, keeps_base: bool = True, **settings: Any) -> AdapterMethod:
    start = {"r": 16, "lora_alpha": 32}
    return AdapterMethod(config=LoraConfig, what=what, settings=start | settings, keeps_base=keeps_base)


ADAPTERS: dict[str, AdapterMethod] = {
    "lora": _lora("a product of two narrow matrices beside each weight"),
    "rslora": _lora("LoRA scaled by the root of the rank, for high ranks", use_rslora=True),
    "dora": _lora("LoRA with the length of each column learned apart", use_dora=True),
    "pissa": _lora(
        "LoRA started from the largest singular values", init_lora_weights="pissa", lora_alpha=16, keeps_base=False
    ),
    "olora": _lora("LoRA started from a QR decomposition", init_lora_weights="olora", lora_alpha=16, keeps_base=False),
    "vera": AdapterMethod(config=VeraConfig, what="scales of frozen random matrices that all layers share"),
    "randlora": AdapterMethod(config=RandLoraConfig, what="scales of frozen random matrices, of full rank"),
    "loha": AdapterMethod(config=LoHaConfig, what="an elementwise product of two low-rank matrices"),
    "lokr": AdapterMethod(config=LoKrConfig, what="a Kronecker product"),
    "hira": AdapterMethod(config=HiraConfig, what="the weight times a low-rank matrix, elementwise"),
    "delora": AdapterMethod(config=DeloraConfig, what="LoRA with direction and strength apart"),
    "hra": AdapterMethod(config=HRAConfig, what="a chain of reflections of the input"),
    "miss": AdapterMethod(
        config=MissConfig, what="one small matrix that the blocks of a weight share", settings={"r": 16}
    ),
    "ia3": AdapterMethod(config=IA3Config, what="a factor for each output", settings={"feedforward_modules": []}),
    "map": AdapterMethod(config=MapConfig, what="two lengths and two directions: of the weight and of a low-rank part"),
    "map_pissa": AdapterMethod(
        config=MapConfig, what="MAP started from the largest singular values", settings={"host": "pissa"}
    ),
    "speclora": AdapterMethod(config=SpecLoraConfig, what="factors of the largest singular values beside LoRA"),
}
"""Name -> method. A new one is a line here, and the shared tests run on it."""


def make_adapter_config(name: str, **settings: Any) -> PeftConfig:
    """Settings of the method called `name`, ready for PEFT's `get_peft_model`.

    Args:
        name: A name of `ADAPTERS`.
        settings: Fields of the method's own class of settings; `r` and `target_modules` are those of nearly all.

    Example:
        >>> make_adapter_config("rslora", r=8, target_modules=["q_proj"]).use_rslora
        True

    Raises:
        InvalidInputError: the name is unknown, or the method has no such setting, or refuses its value.
    """
    method = ADAPTERS.get(name)
    if method is None:
        raise InvalidInputError(f"Adapter: expected one of {', '.join(ADAPTERS)}, found {name!r}. Choose one.")
    known = {one.name for one in fields(method.config) if one.init}
    unknown = sorted(settings.keys() - known)
    if unknown:
        raise InvalidInputError(
            f"Adapter {name}: expected settings among {', '.join(sorted(known))}, found {', '.join(unknown)}. "
            "Leave them out."
        )
    try:
        return method.config(**{**method.settings, **settings})
    except InvalidInputError:
        raise
    except ValueError as error:
        raise InvalidInputError(f"Adapter {name}: expected settings it takes, found others: {error}") from error
