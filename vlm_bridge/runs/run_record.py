"""What a run writes down before it starts: its configuration, versions, seed and inputs, as plain JSON values."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.file_hashes import file_sha256

RECORDED_PACKAGES = (
    "vision3d-medseg",
    "torch",
    "numpy",
    "numba",
    "gsplat",
    "nerfstudio",
    "safetensors",
    "transformers",
)
"""Packages whose versions a run writes down where they are installed."""
HASHED_BYTES_MAX = 256 * 2**20
"""Larger inputs are recorded by size alone."""


def to_json_value(value: Any, place: str = "config") -> Any:
    """`value` as JSON keeps it: dataclasses become objects, paths strings, enum members their names, tuples lists.

    Example:
        >>> to_json_value({"folder": Path("scene"), "size": (2, 3)})
        {'folder': 'scene', 'size': [2, 3]}

    Raises:
        InvalidInputError: a value has no JSON form; the message says where.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: to_json_value(getattr(value, name), f"{place}.{name}") for name in names}
    if isinstance(value, Mapping):
        return {str(key): to_json_value(entry, f"{place}.{key}") for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_value(entry, f"{place}[{number}]") for number, entry in enumerate(value)]
    return _plain_value(value, place)


def differing_fields(stored: Any, asked: Any, place: str = "") -> list[str]:
    """Dotted names of the fields in which two JSON values differ, each with both values.

    Example:
        >>> differing_fields({"steps": 10, "seed": 1}, {"steps": 20, "seed": 1})
        ['steps (stored 10, asked for 20)']
    """
    if isinstance(stored, dict) and isinstance(asked, dict):
        lines = []
        for name in sorted(stored.keys() | asked.keys()):
            here = f"{place}.{name}" if place else name
            lines += differing_fields(stored.get(name, "nothing"), asked.get(name, "nothing"), here)
        return lines
    return [] if stored == asked else [f"{place} (stored {stored!r}, asked for {asked!r})"]


def package_versions() -> dict[str, str]:
    """Version of Python and of each recorded package that is installed."""
    versions = {"python": platform.python_version()}
    for name in RECORDED_PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def describe_inputs(inputs: Iterable[Path | str]) -> dict[str, dict[str, Any]]:
    """Size of each input file or folder, and its SHA-256 where it is small enough to be read; by path.

    The digest of a folder is over the relative names and digests of its files.

    Raises:
        InvalidInputError: an input does not exist.
    """
    return {str(path): _describe_input(Path(path)) for path in inputs}


def _describe_input(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise InvalidInputError(f"Run input: expected a file or folder at {path}, found none. Check the path.")
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    size = sum(file.stat().st_size for file in files)
    facts: dict[str, Any] = {"files": len(files), "bytes": size}
    if size <= HASHED_BYTES_MAX:
        facts["sha256"] = _joint_sha256(path, files)
    return facts


def _joint_sha256(path: Path, files: list[Path]) -> str:
    if path.is_file():
        return file_sha256(path)
    listing = "".join(f"{file_sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files)
    return hashlib.sha256(listing.encode()).hexdigest()


def _plain_value(value: Any, place: str) -> Any:
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InvalidInputError(
        f"{place}: expected a dataclass, mapping, list, path, number, text or None, found {type(value).__name__}. "
        "Keep other things out of the configuration."
    )
