"""LERF-OVS: polygons of phrases on some frames of a scene, `label/<scene>/frame_00041.json`.

Source: the annotations of LangSplat (Qin et al. 2024) for the scenes of LERF; objects of one category in a frame are
one pair with a merged mask and a box each, which makes 208 pairs in the four scenes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy import ndarray

from vision3d.errors import InvalidInputError
from vision3d.evaluation.phrase_truth import PhraseTruth
from vision3d.evaluation.polygons import fill_polygon


def read_lerf_ovs(folder: str | Path) -> list[PhraseTruth]:
    """The pairs of one scene, from its folder of annotated frames; by frame, then in the order of the file.

    Raises:
        InvalidInputError: there is no annotated frame, or a file is no annotation.
    """
    paths = sorted(Path(folder).glob("*.json"))
    if not paths:
        raise InvalidInputError(
            f"{folder}: expected annotated frames (frame_*.json), found none. Give the folder label/<scene>."
        )
    return [truth for path in paths for truth in _read_frame(path)]


def _read_frame(path: Path) -> list[PhraseTruth]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        name = str(content["info"]["name"])
        height, width = int(content["info"]["height"]), int(content["info"]["width"])
        marked = [(_phrase(entry), _corners(entry), _box(entry)) for entry in content["objects"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{path}: expected info with name, height and width, and objects with category, segmentation and bbox, "
            f"found an annotation without ({type(error).__name__}: {error}). Download it again."
        ) from error
    if height < 1 or width < 1:
        raise InvalidInputError(f"{path}: expected a picture with pixels, found {height} x {width}. Correct the info.")
    merged: dict[str, tuple[ndarray, list[ndarray]]] = {}
    for phrase, corners, box in marked:
        mask, boxes = merged.setdefault(phrase, (np.zeros((height, width), bool), []))
        mask |= fill_polygon(corners, height, width)
        boxes.append(box)
    return [
        PhraseTruth(
            view_name=name, phrase=phrase, mask=torch.from_numpy(mask), boxes=torch.from_numpy(np.stack(boxes)).float()
        )
        for phrase, (mask, boxes) in merged.items()
    ]


def _phrase(entry: dict[str, Any]) -> str:
    phrase = entry["category"]
    if not isinstance(phrase, str) or not phrase.strip():
        raise ValueError(f"the category {phrase!r}")
    return phrase.strip()


def _corners(entry: dict[str, Any]) -> ndarray:
    corners = np.asarray(entry["segmentation"], np.float64)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
        raise ValueError(f"a segmentation of shape {corners.shape} in place of three or more finite points")
    return corners.astype(np.int64)  # the published scores cut the fractions off


def _box(entry: dict[str, Any]) -> ndarray:
    box = np.asarray(entry["bbox"], np.float64).reshape(-1)
    if box.shape != (4,) or not np.isfinite(box).all():
        raise ValueError(f"a bbox of {len(box)} numbers in place of four finite ones")
    return np.concatenate([np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])])
