"""`read_tensors`: the tensors of a checkpoint, without running any code of the file."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from medseg.errors import CheckpointError

_WRAPPERS = ("model", "state_dict", "model_state_dict", "network_weights")
_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError)


def read_tensors(path: Path) -> Mapping[str, Tensor]:
    """Name -> tensor, from a .safetensors file or one of torch; the table may lie under `model` or `state_dict`.

    Raises:
        CheckpointError: the file is missing, damaged, asks for code to be run, or holds no table of tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise CheckpointError(
            f"{path}: expected weights (.safetensors, or a file of torch that runs no code), found a file that cannot "
            f"be read as such ({type(error).__name__}). Download it again, or save its tensors alone as .safetensors."
        ) from error
    for name in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(
            f"{path}: expected a table of tensors, found {type(content).__name__}. Save its tensors alone."
        )
    return content


def load_tensors(module: nn.Module, tensors: Mapping[str, Tensor], where: str, what: str) -> None:
    """Put every tensor of a checkpoint into a module that has exactly those.

    Raises:
        CheckpointError: some are missing, too many, or of another shape; `where` names the file, `what` the network.
    """
    own = module.state_dict()
    missing, spare = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    shaped = [name for name in own.keys() & tensors.keys() if own[name].shape != tensors[name].shape]
    if missing or spare or shaped:
        some = ", ".join([*missing, *spare, *sorted(shaped)][:3])
        raise CheckpointError(
            f"{where}: expected the weights of {what}, found {len(missing)} tensors missing, {len(spare)} unknown and "
            f"{len(shaped)} of another shape ({some}, ...). Give a file of that network."
        )
    module.load_state_dict(dict(tensors))
