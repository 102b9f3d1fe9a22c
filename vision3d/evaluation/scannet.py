"""ScanNet: the NYU40 class of every vertex of a scan, `<scene>_vh_clean_2.labels.ply`, and the published class sets.

Labels are NYU40 numbers, 0 = unlabelled.

Source: Dai et al. 2017 for the labels; OpenGaussian (Wu et al. 2024) for the sets of 19, 15 and 10 classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vision3d.errors import InvalidInputError, SplatFileError
from vision3d.scene.ply_layout import gather_columns, read_ply_layout, read_rows

_NYU40 = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture", "counter",
    "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat", "clothes", "ceiling", "books",
    "refrigerator", "television", "paper", "towel", "shower curtain", "box", "whiteboard", "person", "night stand",
    "toilet", "sink", "lamp", "bathtub", "bag", "other structure", "other furniture", "other prop",
)  # fmt: skip
CLASS_NAMES: dict[int, str] = dict(enumerate(_NYU40, start=1))
"""NYU40 number -> the word to ask for."""
CLASS_SETS: dict[int, tuple[int, ...]] = {
    19: (*range(1, 13), 14, 16, 24, 28, 33, 34, 36),
    15: (*range(1, 11), 12, 14, 16, 33, 34),
    10: (1, 2, 4, 5, 6, 7, 8, 9, 10, 33),
}
"""Number of classes -> their NYU40 numbers."""
SCENES = (
    "scene0000_00", "scene0062_00", "scene0070_00", "scene0097_00", "scene0140_00", "scene0200_00", "scene0347_00",
    "scene0400_00", "scene0590_00", "scene0645_00",
)  # fmt: skip
"""The ten scenes that are reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VertexTruth:
    """The classes of the vertices of one scan."""

    scene: str
    """Name of the scan, e.g. scene0000_00."""
    positions: Float[Tensor, "vertex 3"]
    """Metres, in the scan's own axes."""
    labels: Int[Tensor, " vertex"]
    """NYU40 number, 0 = unlabelled."""


def read_scannet(folder: str | Path) -> VertexTruth:
    """The labelled vertices of one scene, from its folder.

    Raises:
        InvalidInputError: the folder does not hold exactly one labelled scan.
        SplatFileError: the file is cut, or has no labels of NYU40.
    """
    found = sorted(Path(folder).glob("*_vh_clean_2.labels.ply"))
    if len(found) != 1:
        raise InvalidInputError(
            f"{folder}: expected one file <scene>_vh_clean_2.labels.ply, found {len(found)}. "
            "Give the folder of one scene."
        )
    path = found[0]
    layout = read_ply_layout(path)
    vertex = layout.element("vertex")
    missing = {"x", "y", "z", "label"} - set(vertex.property_names if vertex else ())
    if missing:
        raise SplatFileError(
            f"{path}: expected vertices with x, y, z and label, found them without {', '.join(sorted(missing))}. "
            "Take the .labels.ply of the scan."
        )
    rows = read_rows(layout, "vertex")
    labels = torch.from_numpy(rows["label"].astype(np.int64))
    if not len(labels) or int(labels.min()) < 0 or int(labels.max()) > len(CLASS_NAMES):
        span = f"{int(labels.min())} to {int(labels.max())}" if len(labels) else "no vertex"
        raise SplatFileError(
            f"{path}: expected labels of NYU40 (0-{len(CLASS_NAMES)}), found {span}. Take the .labels.ply of the scan."
        )
    positions = gather_columns(rows, {"positions": ["x", "y", "z"]})["positions"]
    return VertexTruth(
        scene=path.name.removesuffix("_vh_clean_2.labels.ply"), positions=torch.from_numpy(positions), labels=labels
    )
