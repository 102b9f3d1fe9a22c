"""The shipped tabletop as a reader finds it, with nothing of the recipe: JSON, pictures, points, and a pinhole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vlm_bridge.assets import asset_path


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedView:
    """One frame of transforms.json with its files."""

    name: str
    photo: np.ndarray
    """RGB 0-255."""
    ids: np.ndarray
    """Instance ids of the mask."""
    camera_to_world: np.ndarray
    """OpenGL axes, as the file states it."""
    focal: float
    centre: tuple[float, float]

    @property
    def place(self) -> np.ndarray:
        """Camera position in the world."""
        return self.camera_to_world[:3, 3]

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixel coordinates (x right, y down) and depth along the viewing axis."""
        local = (points - self.place) @ self.camera_to_world[:3, :3]
        depth = -local[:, 2]
        x = self.centre[0] + self.focal * local[:, 0] / depth
        y = self.centre[1] - self.focal * local[:, 1] / depth
        return np.stack([x, y], 1), depth


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedScene:
    """All of data/tabletop."""

    folder: Path
    views: tuple[ShippedView, ...]
    truth: dict[str, Any]
    positions: np.ndarray
    colours: np.ndarray

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Entries of objects.json."""
        return self.truth["objects"]

    @property
    def told_by_a_side(self) -> list[dict[str, Any]]:
        """Objects whose name or picture is on one side."""
        return [thing for thing in self.objects if thing["side_phrases"]]


@cache
def shipped_scene() -> ShippedScene:
    """The scene read once per test run."""
    folder = asset_path("tabletop")
    cameras = json.loads((folder / "transforms.json").read_text(encoding="utf-8"))
    views = []
    for frame in cameras["frames"]:
        path = folder / frame["file_path"]
        views.append(
            ShippedView(
                name=path.stem,
                photo=np.asarray(Image.open(path)),
                ids=np.asarray(Image.open(folder / "masks" / f"{path.stem}.png")),
                camera_to_world=np.array(frame["transform_matrix"]),
                focal=cameras["fl_x"],
                centre=(cameras["cx"], cameras["cy"]),
            )
        )
    positions, colours = _read_points(folder / cameras["ply_file_path"])
    truth = json.loads((folder / "objects.json").read_text(encoding="utf-8"))
    return ShippedScene(folder=folder, views=tuple(views), truth=truth, positions=positions, colours=colours)


def _read_points(path: Path) -> tuple[np.ndarray, np.ndarray]:
    header, _, body = path.read_bytes().partition(b"end_header\n")
    kinds = {"float": "<f4", "uchar": "u1"}
    properties = [line.split()[1:] for line in header.decode().splitlines() if line.startswith("property")]
    table = np.frombuffer(body, np.dtype([(name, kinds[kind]) for kind, name in properties]))
    positions = np.stack([table[name] for name in "xyz"], 1).astype(float)
    return positions, np.stack([table[name] for name in ("red", "green", "blue")], 1)
