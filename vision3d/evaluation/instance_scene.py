"""Ground truth of scenes in the layout of the embedded tabletop: instance masks and phrases with their instances."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.evaluation.phrase_truth import PhraseTruth

LEAST_PIXELS = 30
"""A phrase is asked in the views that show at least this many pixels of what it means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceScene:
    """What is known of a scene."""

    truths: tuple[PhraseTruth, ...]
    """One per phrase and view that shows what it means."""
    kinds: dict[str, str]
    """Phrase -> name, attribute, side, category or absent."""
    absent: tuple[str, ...]
    """Phrases of things that are not there."""
    side_objects: tuple[str, ...]
    """Names of the objects that only one side tells."""


def read_instance_scene(folder: str | Path, view_names: Sequence[str]) -> InstanceScene:
    """The truth of the named views: `objects.json` and `masks/<view>.png` of the folder.

    Raises:
        InvalidInputError: a file is missing or is not of this layout.
    """
    root = Path(folder)
    try:
        content = json.loads((root / "objects.json").read_text(encoding="utf-8"))
        ids = {name: read_instance_ids(root, name) for name in view_names}
        queries, objects = list(content["queries"]), list(content["objects"])
        truths = [truth for query in queries for name in view_names if (truth := _truth(query, name, ids[name]))]
        return InstanceScene(
            truths=tuple(truths),
            kinds={query["phrase"]: query["kind"] for query in queries},
            absent=tuple(query["phrase"] for query in queries if not query["ids"]),
            side_objects=tuple(thing["name"] for thing in objects if thing["side_phrases"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{root}: expected objects.json and masks/<view>.png, found: {type(error).__name__}: {error}. "
            "Use a scene in the layout of the embedded tabletop."
        ) from error


def _truth(query: dict[str, Any], view: str, ids: Tensor) -> PhraseTruth | None:
    mask = torch.isin(ids, torch.tensor(query["ids"], dtype=ids.dtype))
    if int(mask.sum()) < LEAST_PIXELS:
        return None
    boxes = [_box(ids == number) for number in query["ids"] if bool((ids == number).any())]
    return PhraseTruth(view_name=view, phrase=query["phrase"], mask=mask, boxes=torch.tensor(boxes).float())


def _box(mask: Tensor) -> list[float]:
    rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
    return [float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)]


def read_instance_ids(folder: str | Path, view_name: str) -> Int[Tensor, "height width"]:
    """Instance numbers of one view, 0 where there is none.

    Raises:
        InvalidInputError: the picture has several channels.
    """
    path = Path(folder) / "masks" / f"{PurePosixPath(view_name).stem}.png"
    with Image.open(path) as image:
        ids = np.asarray(image).astype(np.int64)
    if ids.ndim != 2:
        size = " x ".join(map(str, ids.shape))
        raise InvalidInputError(f"{path}: expected one number per pixel, found {size}. Write a picture of one channel.")
    return torch.from_numpy(ids)
