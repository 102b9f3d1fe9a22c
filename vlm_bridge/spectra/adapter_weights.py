"""`AdapterWeights`: the weights of a model as an adapter in PEFT's files makes them, one layer at a time.

Each layer is built alone, under its own name, and PEFT puts the adapter on it and merges it. So every method that keeps
its tensors layer by layer works, whatever its formula, and no model is built.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from pathlib import Path
from typing import Any

from peft import PeftConfig, get_peft_model, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vlm_bridge.adapters.catalogue import ADAPTERS
from vlm_bridge.adapters.peft_door import SETTINGS_FILE, WEIGHTS_FILE
from vlm_bridge.adapters.whole_parts import WHOLE_PARTS_NAME
from vlm_bridge.errors import BackboneError, InvalidInputError
from vlm_bridge.spectra.weight_files import WeightFiles

_PREFIX = "base_model.model."
_SHARING = ("VERA", "RANDLORA")
"""Methods whose layers share tensors."""


class AdapterWeights:
    """What an adapter makes of the weights of a base model."""

    def __init__(self, base: WeightFiles, folder: Path) -> None:
        """Read the adapter's settings and tensors, and find the base weight of each of its layers.

        Raises:
            InvalidInputError: the method cannot be taken layer by layer, or the adapter is of another model.
            BackboneError: a file is unreadable.
        """
        self.base = base
        self.folder = folder
        self.config = _read_config(folder)
        method = str(getattr(self.config.peft_type, "value", self.config.peft_type))
        if method in _SHARING:
            raise InvalidInputError(
                f"{folder}: expected an adapter whose layers stand alone, found {method}, whose layers share tensors. "
                "Merge it (`vlm-bridge merge`) and name the merged model."
            )
        if self.config.modules_to_save:  # pyright: ignore[reportAttributeAccessIssue]
            raise InvalidInputError(
                f"{folder}: expected an adapter of linear layers, found modules_to_save. Merge it and name the merged "
                "model."
            )
        tensors = _read_tensors(folder / WEIGHTS_FILE)
        self.whole = _read_tensors(folder / WHOLE_PARTS_NAME) if (folder / WHOLE_PARTS_NAME).is_file() else {}
        self.layers: dict[str, dict[str, Tensor]] = defaultdict(dict)
        self.place: dict[str, str] = {}
        ends = {name.removesuffix(".weight"): name for name in base.places if name.endswith(".weight")}
        for key, value in tensors.items():
            path, rest = _split(key)
            name = _find(path, ends, base.folder, folder)
            self.layers[name][rest] = value
            self.place[name] = path
        self.plain_whole = {_find_whole(name, base, folder): name for name in self.whole}

    @property
    def changed(self) -> list[str]:
        """Names of the base tensors that differ."""
        return [name for name in self.base.places if name in self.layers or name in self.plain_whole]

    def read(self, name: str) -> Tensor:
        """The weight with the adapter in it; the base weight where there is none."""
        if name in self.plain_whole:
            return self.whole[self.plain_whole[name]]
        weight = self.base.read(name)
        return self._merged(name, weight) if name in self.layers else weight

    def _merged(self, name: str, weight: Tensor) -> Tensor:
        if not weight.is_floating_point() or weight.ndim != 2:
            raise InvalidInputError(
                f"{name}: expected a matrix of floats to adapt, found {weight.dtype} of shape {tuple(weight.shape)}. "
                "Take the base model without quantisation."
            )
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        layer.weight.data = weight.float()
        model: Any = _holder(self.place[name].split("."), layer)
        try:
            adapted: Any = get_peft_model(model, copy.deepcopy(self.config))
            given = {f"{_PREFIX}{self.place[name]}.{rest}": value for rest, value in self.layers[name].items()}
            result = set_peft_model_state_dict(adapted, given)
            if result.unexpected_keys:
                raise ValueError(f"tensors without a place: {', '.join(result.unexpected_keys[:3])}")
            merged = adapted.merge_and_unload()
        except (RuntimeError, ValueError, KeyError) as error:
            raise InvalidInputError(
                f"{self.folder}: expected an adapter of {self.base.folder}, found one that does not fit {name} "
                f"({error}). Name the model it was learned on."
            ) from error
        return merged.get_submodule(self.place[name]).weight.detach()


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds an adapter of PEFT."""
    return (folder / SETTINGS_FILE).is_file()


def _read_config(folder: Path) -> PeftConfig:
    if not ADAPTERS:  # importing the catalogue made PEFT know our methods
        raise BackboneError("Adapters: expected a catalogue of methods, found an empty one.")
    try:
        config = PeftConfig.from_pretrained(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackboneError(
            f"{folder}: expected the settings of an adapter, found none that PEFT reads ({error}). Save it again."
        ) from error
    config.inference_mode = True
    config.task_type = None  # a single layer generates nothing
    return config


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise BackboneError(
            f"{path}: expected tensors in safetensors, found none that can be read ({error}). Save the adapter again."
        ) from error


def _split(key: str) -> tuple[str, str]:
    """Path of the layer, and the rest of the name of one of its tensors."""
    parts = key.removeprefix(_PREFIX).split(".")
    # Tensors of a layer are called METHOD_PART or METHOD_PART.weight, and no module of a model is called so.
    cut = len(parts) - (2 if parts[-1] == "weight" else 1)
    return ".".join(parts[:cut]), ".".join(parts[cut:])


def _find(path: str, ends: dict[str, str], base: Path, folder: Path) -> str:
    """The base weight whose name ends as `path` does; files and modules may name the beginning in different ways."""
    if path in ends:
        return ends[path]
    parts = path.split(".")
    for first in range(1, len(parts) - 1):
        tail = "." + ".".join(parts[first:])
        fits = [name for end, name in ends.items() if f".{end}".endswith(tail)]
        if len(fits) == 1:
            return fits[0]
        if len(fits) > 1:
            break
    raise InvalidInputError(
        f"{folder}: expected an adapter of {base}, found its layer {path}, which that model has not. Name the model it "
        "was learned on."
    )


def _find_whole(name: str, base: WeightFiles, folder: Path) -> str:
    ends = {known: known for known in base.places}
    return _find(name, ends, base.folder, folder)


def _holder(parts: list[str], layer: nn.Module) -> nn.Module:
    """Modules within modules, so that the layer has its full name."""
    for part in reversed(parts):
        outer = nn.Module()
        outer.add_module(part, layer)
        layer = outer
    return layer.eval()
