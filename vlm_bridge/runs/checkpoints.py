"""Checkpoints: one safetensors file per saved step, with the job's small state as JSON in its header.

A file appears whole or not at all, and carries the SHA-256 of its tensors, so a damaged one is noticed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vlm_bridge.atomic_write import written_whole
from vlm_bridge.errors import InvalidInputError, RunFolderError
from vlm_bridge.file_hashes import tensors_sha256
from vlm_bridge.runs.run_record import to_json_value

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A job as it was after `step` steps."""

    step: int
    """Steps done."""
    tensors: dict[str, Tensor]
    """Saved tensors, on the CPU."""
    state: dict[str, Any]
    """Saved JSON values."""
    path: Path
    """The file they were read from."""


def write_checkpoint(
    folder: Path, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any], keep: int
) -> Path:
    """Save one checkpoint into `folder` and drop the oldest ones beyond `keep`.

    Raises:
        InvalidInputError: `step` is negative, `keep` below 1, or `state` has no JSON form.
    """
    if step < 0 or keep < 1:
        raise InvalidInputError(f"Checkpoint: expected step >= 0 and keep >= 1, found {step} and {keep}. Change them.")
    copies = {
        name: torch.clone(value.detach().cpu(), memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }
    header = {
        "step": str(step),
        "state": json.dumps(to_json_value(state, "state")),
        "sha256": tensors_sha256(copies),
    }
    path = folder / f"step_{step:08d}.safetensors"
    with written_whole(path) as partial:
        save_file(copies, partial, metadata=header)
    for old in checkpoint_paths(folder)[keep:]:
        if old != path:
            old.unlink()
    return path


def checkpoint_paths(folder: Path) -> list[Path]:
    """The checkpoint files in `folder`, newest step first."""
    return sorted(folder.glob("step_*.safetensors"), key=checkpoint_step, reverse=True)


def checkpoint_step(path: Path) -> int:
    """The step in the name of a checkpoint file."""
    return int(path.stem.removeprefix("step_"))


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint at `path`.

    Raises:
        RunFolderError: it is missing, cut or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        step, state, promised = int(header["step"]), json.loads(header["state"]), header["sha256"]
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RunFolderError(
            f"{path}: expected a checkpoint, found an unreadable file ({type(error).__name__}: {error}). "
            "Remove it and resume from an earlier one."
        ) from error
    if tensors_sha256(tensors) != promised:
        raise RunFolderError(
            f"{path}: expected tensors with SHA-256 {promised[:12]}..., found other values (the file is damaged). "
            "Remove it and resume from an earlier one."
        )
    return Checkpoint(step=step, tensors=tensors, state=state, path=path)


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint in `folder` that can be read, or None; damaged ones are named in the log."""
    for path in checkpoint_paths(folder):
        try:
            return read_checkpoint(path)
        except RunFolderError as error:
            _log.warning("Checkpoint passed over: %s", error)
    return None
