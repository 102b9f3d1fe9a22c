"""A connector alone on disk: a safetensors file of its six tensors, with what shapes it and two hashes in the header.

So a connector tuned after reinforcement learning travels without the language model it belongs to, and is refused by
one it does not fit.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vlm_bridge.atomic_write import written_whole
from vlm_bridge.connector.mlp_connector import CONNECTOR_TENSORS, ConnectorConfig
from vlm_bridge.errors import BackboneError
from vlm_bridge.file_hashes import tensors_sha256

_FORMAT = "vlm-bridge connector 1"


def save_connector(connector: nn.Module, path: Path, config: ConnectorConfig) -> None:
    """Write the six tensors of a connector, in the type they have, whole or not at all.

    `connector` is an `MlpConnector` or the `multi_modal_projector` of an InternVL of transformers.

    Raises:
        BackboneError: it has other tensors than a connector, or other shapes than `config` says.
    """
    tensors = {
        name: torch.clone(value.detach().cpu(), memory_format=torch.contiguous_format)
        for name, value in connector.state_dict().items()
    }
    _check_shapes(tensors, config, "Connector to save")
    text = _config_text(config)
    header = {
        "format": _FORMAT,
        "config": text,
        "config_sha256": _text_sha256(text),
        "sha256": tensors_sha256(tensors),
    }
    with written_whole(path) as partial:
        save_file(tensors, partial, metadata=header)


def load_connector(path: Path, into: nn.Module, config: ConnectorConfig | None = None) -> ConnectorConfig:
    """Copy the tensors of a file into a connector, in the type and on the device which that has.

    Args:
        path: Written by `save_connector`.
        into: The connector; it is changed only if everything fits.
        config: What shapes it. Where given, that of the file must be equal; where not, the shapes alone are compared,
            and a connector of another ratio or activation is not noticed.

    Returns:
        What the file says of itself.

    Raises:
        BackboneError: the file is missing, damaged or none of a connector, or does not fit.
    """
    tensors, stored = _read(path)
    if config is not None and _text_sha256(_config_text(config)) != _text_sha256(_config_text(stored)):
        raise BackboneError(f"{path}: expected a connector of {config}, found one of {stored}. Load it into its model.")
    own = into.state_dict()
    _check_shapes(own, stored, f"{path}: connector to load into")
    into.load_state_dict(tensors)
    return stored


def _read(path: Path) -> tuple[dict[str, Tensor], ConnectorConfig]:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        if header.get("format") != _FORMAT:
            raise ValueError(f"its format is {header.get('format')!r}, not {_FORMAT!r}")
        if _text_sha256(header["config"]) != header["config_sha256"] or tensors_sha256(tensors) != header["sha256"]:
            raise ValueError("its content does not have the hashes of its header")
        config = ConnectorConfig(**json.loads(header["config"]))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise BackboneError(
            f"{path}: expected a connector saved by save_connector, found none that can be read "
            f"({type(error).__name__}: {error}). Copy it again, or save it anew."
        ) from error
    _check_shapes(tensors, config, str(path))
    return tensors, config


def _check_shapes(tensors: dict[str, Any], config: ConnectorConfig, what: str) -> None:
    wide, width = config.input_width, config.language_width
    shapes = [(wide,), (wide,), (width, wide), (width,), (width, width), (width,)]
    expected: dict[str, tuple[int, ...]] = dict(zip(CONNECTOR_TENSORS, shapes, strict=True))
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    if found != expected:
        names = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        lines = [f"{name}: {expected.get(name, 'nothing')}, not {found.get(name, 'missing')}" for name in names[:6]]
        raise BackboneError(
            f"{what}: expected the six tensors of {config}, found differences ({'; '.join(lines)}). Use the connector "
            "and the config of one model, without adapters."
        )


def _config_text(config: ConnectorConfig) -> str:
    return json.dumps(asdict(config), sort_keys=True)


def _text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
