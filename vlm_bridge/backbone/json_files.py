"""The JSON files of a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlm_bridge.errors import BackboneError


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in `path`.

    Raises:
        BackboneError: the file is missing or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackboneError(
            f"{path}: expected a JSON file, found {'none' if isinstance(error, OSError) else 'something else'} "
            f"({error}). Download the checkpoint again."
        ) from error
    if not isinstance(value, dict):
        raise BackboneError(f"{path}: expected a JSON object, found {type(value).__name__}. Restore the file.")
    return value


def write_json_object(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` to `path`, as transformers does."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
