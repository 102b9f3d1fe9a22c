"""`OriginalCheckpoint`: what lies in a folder of InternVL's own layout, read without running any of its code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from vlm_bridge.backbone.json_files import read_json_object
from vlm_bridge.errors import BackboneError

ORIGINAL_TYPES = ("internvl_chat", "skywork_chat")
"""`model_type` of the checkpoints that can be converted."""
_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorHead:
    """What a file says of a tensor before it is read."""

    shape: tuple[int, ...]
    dtype: str
    """As safetensors writes it: BF16, F32, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalCheckpoint:
    """A folder, its configuration and the tensors of each of its weight files."""

    folder: Path
    config: dict[str, Any]
    shards: dict[str, dict[str, TensorHead]]
    """File name -> tensor name -> head, in the order of the files' names."""

    def heads(self) -> Iterator[tuple[str, TensorHead]]:
        """All tensors."""
        for shard in self.shards.values():
            yield from shard.items()


def read_original(folder: Path) -> OriginalCheckpoint:
    """The checkpoint in `folder`; of its weights, only the heads are read.

    Raises:
        BackboneError: it is of another layout, a file is missing or unreadable, or the weights are pickled.
    """
    config = read_json_object(folder / "config.json")
    found = config.get("model_type")
    if found not in ORIGINAL_TYPES:
        raise BackboneError(
            f"{folder}: expected a checkpoint to convert, of type {' or '.join(ORIGINAL_TYPES)}, found {found!r}. "
            + ("It needs no conversion: load it." if found == "internvl" else "Only these can be converted.")
        )
    shards: dict[str, dict[str, TensorHead]] = {}
    places: dict[str, str] = {}
    for name in _shard_names(folder):
        shards[name] = _read_heads(folder / name)
        for tensor in shards[name]:
            if tensor in places:
                raise BackboneError(
                    f"{folder}: expected each tensor once, found {tensor} in {places[tensor]} and {name}. "
                    "Download the checkpoint again."
                )
            places[tensor] = name
    _check_index(folder, places)
    return OriginalCheckpoint(folder=folder, config=config, shards=shards)


def _shard_names(folder: Path) -> list[str]:
    index = folder / _INDEX
    if not index.is_file():
        if (folder / _SINGLE).is_file():
            return [_SINGLE]
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        raise BackboneError(
            f"{folder}: expected {_INDEX} or {_SINGLE}, found {', '.join(pickled[:2]) or 'neither'}. "
            + ("Pickled weights can run code and are not read: download" if pickled else "Download")
            + " the safetensors files."
        )
    names = sorted({str(name) for name in _weight_map(folder).values()})
    foreign = [name for name in names if Path(name).name != name or not name.endswith(".safetensors")]
    if foreign or not names:
        raise BackboneError(
            f"{index}: expected names of safetensors files beside it, found {foreign[0] if foreign else 'none'!r}. "
            "Download the checkpoint again."
        )
    return names


def _weight_map(folder: Path) -> dict[str, Any]:
    entries = read_json_object(folder / _INDEX).get("weight_map")
    if not isinstance(entries, dict):
        raise BackboneError(f"{folder / _INDEX}: expected a weight_map, found none. Download the checkpoint again.")
    return entries


def _read_heads(path: Path) -> dict[str, TensorHead]:
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in sorted(file.keys())}
            return {
                name: TensorHead(shape=tuple(found.get_shape()), dtype=found.get_dtype())
                for name, found in slices.items()
            }
    except (OSError, SafetensorError) as error:
        raise BackboneError(
            f"{path}: expected a file of weights, found {'none' if not path.exists() else 'an unreadable one'} "
            f"({error}). Download it again."
        ) from error


def _check_index(folder: Path, places: dict[str, str]) -> None:
    if not (folder / _INDEX).is_file():
        return
    index = _weight_map(folder)
    wrong = sorted(name for name in index.keys() | places.keys() if index.get(name) != places.get(name))
    if wrong:
        raise BackboneError(
            f"{folder / _INDEX}: expected it to say where each tensor is, found {len(wrong)} that differ, first "
            f"{wrong[0]} (index: {index.get(wrong[0])}, files: {places.get(wrong[0])}). Download the checkpoint again."
        )
