"""The one door to what PEFT does not promise to keep: its closed list of methods, its tuner classes, its containers.

The rest of the room builds on the classes here and calls PEFT's public functions beside them. A version of PEFT that
was not tried is refused when this module is imported. PEFT looks methods up by a member of an enum that has no opening
for others, so `register_tuner` adds one; after that PEFT and transformers load, save and merge our methods like any
other, as long as this package was imported before.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vlm_bridge.errors import BackboneError, InvalidInputError, MissingExtraError

try:
    from peft import PeftConfig, PeftType
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
    from peft.tuners._buffer_dict import BufferDict
    from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer, check_adapters_to_merge
    from peft.utils import CONFIG_NAME as SETTINGS_FILE
    from peft.utils import SAFETENSORS_WEIGHTS_NAME as WEIGHTS_FILE
    from peft.utils import register_peft_method
    from peft.utils.other import get_pattern_key
except ImportError as error:
    raise MissingExtraError(
        f"Adapters: expected the package peft with the parts used here, found none ({error}). "
        "Run: pip install 'vision3d-medseg[train]' 'peft>=0.20,<0.22'"
    ) from error

__all__ = [
    "SETTINGS_FILE",
    "WEIGHTS_FILE",
    "BaseTunerLayer",
    "BufferDict",
    "Tuner",
    "TunerConfig",
    "TunerLayer",
    "check_peft_version",
    "register_tuner",
    "to_float",
]

FIRST_VERSION = (0, 20)
AFTER_LAST_VERSION = (0, 22)
TRIED_VERSIONS = ("0.20.0", "0.21.2")
"""Those the tests were run with; what lies between them and in the same minor versions is let in too."""
_LOCK = Lock()


def check_peft_version(version: str) -> None:
    """Refuse versions of PEFT whose inner workings were not looked at.

    Example:
        >>> check_peft_version("0.21.2")

    Raises:
        MissingExtraError: as said.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if not FIRST_VERSION <= numbers < AFTER_LAST_VERSION:
        raise MissingExtraError(
            f"Adapters: expected peft 0.20 or 0.21 (tried with {' and '.join(TRIED_VERSIONS)}), found {version}. "
            "Run: pip install 'peft>=0.20,<0.22'"
        )


check_peft_version(importlib.metadata.version("peft"))


@dataclass
class TunerConfig(PeftConfig):
    """Settings that every method of ours has, with the names and meanings they have in PEFT's own."""

    method: ClassVar[str]
    """Name of the method, lower-case."""
    r: int = field(default=16)
    """Rank."""
    target_modules: list[str] | set[str] | str | None = field(default=None)
    """Ends of names of the linear layers to adapt, a regular expression of whole names, or `all-linear`."""
    exclude_modules: list[str] | set[str] | str | None = field(default=None)
    """Likewise, of layers to leave out."""
    dropout: float = field(default=0.0)
    """Of the input of the low-rank branch alone."""
    rank_pattern: dict[str, int] = field(default_factory=dict)
    """Name or regular expression -> another rank than `r`."""
    modules_to_save: list[str] | None = field(default=None)
    """Modules that are learned and saved as a whole."""
    layers_to_transform: list[int] | int | None = field(default=None)
    """Numbers of the layers to adapt; with `target_modules` as a list only."""
    layers_pattern: list[str] | str | None = field(default=None)
    """Name of the list of layers these numbers are of."""
    bias: str = field(default="none")
    """Biases do not learn; anything else is refused."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = _enum_member(self.method.upper())
        if isinstance(self.target_modules, list):
            self.target_modules = set(self.target_modules)
        if isinstance(self.exclude_modules, list):
            self.exclude_modules = set(self.exclude_modules)
        if not 0 <= self.dropout < 1 or self.r < 0 or self.bias != "none":
            raise InvalidInputError(
                f"{type(self).__name__}: expected r >= 0, 0 <= dropout < 1 and bias 'none', found {self.r}, "
                f"{self.dropout} and {self.bias!r}. Change them."
            )

    def rank_of(self, key: str) -> int:
        """Rank of the layer with the name `key`."""
        return self.rank_pattern.get(get_pattern_key(list(self.rank_pattern), key), self.r)


class TunerLayer(nn.Module, BaseTunerLayer):
    """A linear layer with adapters around it, which PEFT switches, saves and deletes by their names.

    Everything of an adapter lies in containers keyed by its name. Those named in `adapter_layer_names` learn; those in
    `other_param_names` go with it.
    """

    base_layer: nn.Linear

    def __init__(self, base_layer: nn.Linear, active: list[str]) -> None:
        """Wrap the layer; adapters are added one by one."""
        super().__init__()
        self.base_layer = base_layer
        self.merged_adapters = []
        self._disable_adapters = False
        self._active_adapter = active

    def add_adapter(self, name: str, config: Any, key: str) -> None:
        """Make the tensors of a new adapter; `key` is the name of the layer in the model."""
        raise NotImplementedError

    def own_rates(self) -> Iterator[tuple[nn.Parameter, float]]:
        """Parameters that learn at a rate of their own and do not decay, each with its multiple of the rate."""
        raise NotImplementedError

    def adapters_to_merge(self, names: list[str] | None) -> list[str]:
        """Of `names`, or of the active adapters, those that are not merged yet."""
        return check_adapters_to_merge(self, names)

    def settle(self, config: Any) -> None:
        """Call after an adapter was added: the active ones learn, or nothing if the model is only to answer."""
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)


class Tuner(BaseTuner):
    """Puts layers of `tuner_layer_cls` around the linear layers that the settings name."""

    prefix: str
    tuner_layer_cls: Any = TunerLayer
    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012 (declared so by PEFT)

    def _create_and_replace(
        self,
        peft_config: Any,
        adapter_name: str,
        target: Any,
        target_name: str,
        parent: Any,
        current_key: str,
        **_: Any,
    ) -> None:
        if isinstance(target, self.tuner_layer_cls):
            target.add_adapter(adapter_name, peft_config, current_key)
            target.settle(peft_config)
            return
        _check_linear(target, current_key, self._embedding())
        layer = self.tuner_layer_cls(target, list(self.active_adapters))
        layer.add_adapter(adapter_name, peft_config, current_key)
        layer.settle(peft_config)
        self._replace_module(parent, target_name, layer, target)

    def _embedding(self) -> Tensor | None:
        with suppress(AttributeError, NotImplementedError):
            return self.model.get_input_embeddings().weight
        return None


def register_tuner(config: type[TunerConfig], tuner: type[Tuner]) -> PeftType:
    """Make PEFT know a method by the class of its settings and the one that adapts a model; harmless when it does.

    Raises:
        InvalidInputError: PEFT has another method of that name.
    """
    name = config.method
    with _LOCK:
        member = _enum_member(name.upper())
        known = PEFT_TYPE_TO_CONFIG_MAPPING.get(member)
        if known is None:
            register_peft_method(name=name, config_cls=config, model_cls=tuner, prefix=tuner.prefix)
        elif f"{known.__module__}.{known.__qualname__}" != f"{config.__module__}.{config.__qualname__}":
            raise InvalidInputError(
                f"PEFT method {name}: expected a name that is free, found {known.__module__}.{known.__qualname__}. "
                "Choose another name."
            )
        return member


def _enum_member(value: str) -> PeftType:
    """The member of PEFT's enum with this value, added if there is none.

    `PeftType(value)`, `PeftType.NAME`, iteration, comparison, pickling and copying work with it as with the others.
    """
    known = PeftType._value2member_map_.get(value)
    if known is not None:
        return known  # pyright: ignore[reportReturnType]
    member: Any = str.__new__(PeftType, value)
    member._name_, member._value_, member.__objclass__ = value, value, PeftType
    member._sort_order_ = len(PeftType._member_names_)
    type.__setattr__(PeftType, value, member)
    PeftType._member_names_.append(value)
    PeftType._member_map_[value] = member
    PeftType._value2member_map_[value] = member
    return member


def _check_linear(layer: Any, key: str, embedding: Tensor | None) -> None:
    plain = isinstance(layer, nn.Linear) and type(layer).forward is nn.Linear.forward
    if not plain:
        raise BackboneError(
            f"{key}: expected a plain linear layer to adapt, found {type(layer).__module__}.{type(layer).__name__}. "
            "Other kinds, quantised and already adapted ones are not supported: load the model without quantisation, "
            "name other layers in target_modules, or use lora."
        )
    weight = layer.weight
    shape = (layer.out_features, layer.in_features)
    if type(weight) is not nn.Parameter or not weight.is_floating_point() or tuple(weight.shape) != shape:
        raise BackboneError(
            f"{key}: expected weights of plain floats of shape {shape}, found {type(weight).__name__} of "
            f"{weight.dtype} and shape {tuple(weight.shape)}. Quantised and sharded models are not supported: load the "
            "model without them, or use lora."
        )
    if weight.device.type == "meta":
        raise BackboneError(
            f"{key}: expected loaded weights, found none (device meta). Their norm or singular values are needed: load "
            "the model without offloading before adapting it."
        )
    if embedding is not None and weight is embedding:
        raise BackboneError(
            f"{key}: expected weights of this layer's own, found those of the embedding. Leave the tied head out of "
            "target_modules."
        )


def to_float(weight: Tensor) -> Tensor:
    """The weight without its gradient, in float32 at least."""
    weight = weight.detach()
    return weight if weight.dtype == torch.float64 else weight.float()
