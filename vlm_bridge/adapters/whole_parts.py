"""`whole_parts.safetensors`: weights that learned whole beside an adapter, such as those of the connector.

PEFT's files hold the adapter alone. What else learned lies beside them, under the names it has in the plain model, so
that an adapted model comes back as it was saved.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vlm_bridge.errors import BackboneError

WHOLE_PARTS_NAME = "whole_parts.safetensors"


def save_whole_parts(model: PeftModel, names: Collection[str], folder: Path) -> bool:
    """Write the parameters called `names` in `model` into the folder of its adapter; whether there was any."""
    tensors = {
        _plain_name(name): value.detach().cpu().contiguous()
        for name, value in model.named_parameters()
        if name in names
    }
    if tensors:
        save_file(tensors, folder / WHOLE_PARTS_NAME, metadata={"format": "pt"})
    return bool(tensors)


def load_whole_parts(model: nn.Module, folder: Path) -> dict[str, Tensor]:
    """Bring a plain model to the weights that learned whole beside the adapter in `folder`; gives back those it had.

    Raises:
        BackboneError: the file is damaged, or of another model; nothing was changed.
    """
    path = folder / WHOLE_PARTS_NAME
    if not path.is_file():
        return {}
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BackboneError(
            f"{path}: expected weights, found an unreadable file ({error}). Take the folder from where it was saved."
        ) from error
    known = dict(model.named_parameters())
    for name, value in tensors.items():
        if name not in known or known[name].shape != value.shape:
            found = tuple(known[name].shape) if name in known else "none"
            raise BackboneError(
                f"{path}: expected a model with {name} of shape {tuple(value.shape)}, found {found}. Take the backbone "
                "that the adapter was learned on."
            )
    return put_parameters(model, tensors)


@torch.no_grad()
def put_parameters(model: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Set parameters by name; gives back what they were."""
    known = dict(model.named_parameters())
    before = {name: known[name].detach().clone() for name in tensors}
    for name, value in tensors.items():
        known[name].copy_(value)
    return before


def _plain_name(name: str) -> str:
    return name.removeprefix("base_model.model.").replace(".base_layer.", ".")
