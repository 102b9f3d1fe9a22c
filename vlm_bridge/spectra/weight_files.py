"""`WeightFiles`: the tensors of a folder of safetensors, read one by one, so that no model is ever held whole."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from vlm_bridge.errors import BackboneError, InvalidInputError

INDEX_NAME = "model.safetensors.index.json"
_FLOATS = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightPlace:
    """Where a tensor lies, and its shape."""

    file: Path
    shape: tuple[int, ...]
    floats: bool
    """False for quantised weights and other whole numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFiles:
    """Tensors by name; the headers of all files are known, their data is read when asked for."""

    folder: Path
    places: dict[str, WeightPlace]
    """In the order of files and names, so that reading in this order goes through each file once."""

    def read(self, name: str) -> Tensor:
        """One tensor, on the CPU.

        Raises:
            BackboneError: its file became unreadable.
        """
        try:
            with safe_open(self.places[name].file, framework="pt") as file:
                return file.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise BackboneError(
                f"{self.places[name].file}: expected the tensor {name}, found an unreadable file ({error}). Fetch the "
                "file again."
            ) from error


def open_weights(folder: Path) -> WeightFiles:
    """The safetensors of a folder of transformers, in one file or in shards; or of one such file.

    Raises:
        InvalidInputError: there are none.
        BackboneError: a file is missing or damaged.
    """
    if folder.is_file() and folder.suffix == ".safetensors":
        files = [folder]
    elif (folder / INDEX_NAME).is_file():
        files = _shards(folder / INDEX_NAME)
    else:
        files = sorted(path for path in folder.glob("*.safetensors") if not path.name.startswith("adapter_model"))
    if not files:
        raise InvalidInputError(
            f"{folder}: expected a folder with weights in safetensors, found none. Name the folder of a model, or save "
            "it with save_pretrained."
        )
    places: dict[str, WeightPlace] = {}
    with ExitStack() as opened:
        for path in files:
            try:
                file = opened.enter_context(safe_open(path, framework="pt"))
            except (OSError, SafetensorError) as error:
                raise BackboneError(
                    f"{path}: expected weights in safetensors, found an unreadable file ({error}). Fetch it again."
                ) from error
            for name in sorted(file.keys()):
                part = file.get_slice(name)
                places[name] = WeightPlace(
                    file=path, shape=tuple(part.get_shape()), floats=str(part.get_dtype()) in _FLOATS
                )
    return WeightFiles(folder=folder, places=places)


def _shards(index: Path) -> list[Path]:
    try:
        named = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files = sorted({index.parent / Path(name).name for name in named.values()})
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise BackboneError(
            f"{index}: expected the list of a model's shards, found another file ({type(error).__name__}). Fetch it "
            "again."
        ) from error
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise BackboneError(f"{index.parent}: expected all shards of {index.name}, found no {missing[0]}. Fetch it.")
    return files
