"""The state of a training as tensors and JSON values: optimiser, learning-rate schedule and random generators.

Nothing here is pickled, so that a checkpoint is one safetensors file that runs no code when it is read.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vlm_bridge.errors import BackboneError

_OPTIMIZER = "optimizer/"
_RANDOM = "random/"


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name, and everything else, of an optimiser's state.

    Raises:
        BackboneError: the optimiser keeps something that is neither tensor nor JSON value.
    """
    state = optimizer.state_dict()
    tensors, values = {}, {}
    for number, slots in state["state"].items():
        for slot, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"{_OPTIMIZER}{number}/{slot}"] = value
            elif value is None or isinstance(value, bool | int | float | str):
                values[f"{number}/{slot}"] = value
            else:
                raise BackboneError(
                    f"Optimiser {type(optimizer).__name__}: expected a state of tensors and numbers, found "
                    f"{type(value).__name__} in {slot!r}. Choose an optimiser whose state can be stored."
                )
    return tensors, {"groups": state["param_groups"], "values": values}


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Bring an optimiser of the same parameters to a packed state."""
    slots: dict[int, dict[str, Any]] = {}
    stored = {name.removeprefix(_OPTIMIZER): value for name, value in tensors.items() if name.startswith(_OPTIMIZER)}
    for name, value in {**stored, **state["values"]}.items():
        number, _, slot = name.partition("/")
        slots.setdefault(int(number), {})[slot] = value
    optimizer.load_state_dict({"state": slots, "param_groups": state["groups"]})


def pack_random() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """State of the generators of Python, NumPy and PyTorch (the CPU's and every GPU's)."""
    kind, words, place, has_normal, normal = np.random.get_state()
    tensors = {f"{_RANDOM}torch": torch.get_rng_state(), f"{_RANDOM}numpy": torch.from_numpy(np.array(words))}
    if torch.cuda.is_available():
        tensors |= {f"{_RANDOM}cuda/{number}": state for number, state in enumerate(torch.cuda.get_rng_state_all())}
    version, numbers, normal_python = random.getstate()
    values = {
        "numpy": [str(kind), int(place), int(has_normal), float(normal)],
        "python": [version, list(numbers), normal_python],
    }
    return tensors, values


def unpack_random(tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Bring the generators to a packed state; GPUs that are not there are left out."""
    torch.set_rng_state(tensors[f"{_RANDOM}torch"])
    kind, place, has_normal, normal = state["numpy"]
    np.random.set_state((kind, tensors[f"{_RANDOM}numpy"].numpy(), place, has_normal, normal))
    version, numbers, normal_python = state["python"]
    random.setstate((version, tuple(numbers), normal_python))
    for number in range(torch.cuda.device_count()):
        if (name := f"{_RANDOM}cuda/{number}") in tensors:
            torch.cuda.set_rng_state(tensors[name], number)
