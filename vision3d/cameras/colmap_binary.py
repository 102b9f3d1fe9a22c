"""COLMAP models as binary: cameras.bin, images.bin, points3D.bin (little endian)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vision3d.cameras.colmap_model import (
    MODEL_IDS,
    PARAMETER_COUNTS,
    ColmapCamera,
    ColmapImage,
    ColmapModel,
    unsupported_model,
)
from vision3d.cameras.point_cloud import PointCloud
from vision3d.errors import CameraFileError

_POINT2D_BYTES = 24
_TRACK_BYTES = 8


class _Bytes:
    """A file read front to back; running out of bytes is an error that says where."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = 0
        try:
            self._content = path.read_bytes()
        except OSError as error:
            raise CameraFileError(f"{path}: expected a COLMAP file, found: {error}. Export the model.") from error

    def take(self, layout: str) -> tuple[Any, ...]:
        size = struct.calcsize("<" + layout)
        self.skip(size)
        return struct.unpack_from("<" + layout, self._content, self._place - size)

    def skip(self, size: int) -> None:
        if self._place + size > len(self._content):
            raise CameraFileError(
                f"{self._path}: expected {size} more bytes at {self._place}, found {len(self._content) - self._place}. "
                "The file is cut; copy or export it again."
            )
        self._place += size

    def take_name(self) -> str:
        end = self._content.find(b"\0", self._place)
        if end < 0:
            raise CameraFileError(
                f"{self._path}: expected a name ended by a zero byte at {self._place}, found the end of the file. "
                "The file is cut; copy or export it again."
            )
        name = self._content[self._place : end].decode("utf-8", "replace")
        self._place = end + 1
        return name


def read_binary_model(folder: Path) -> ColmapModel:
    """The model in `folder`.

    Raises:
        CameraFileError: a file is missing or cut, or a camera model is not supported.
    """
    return ColmapModel(
        cameras=dict(_read_cameras(folder / "cameras.bin")),
        images=tuple(_read_images(folder / "images.bin")),
        points=_read_points(folder / "points3D.bin"),
    )


def write_binary_model(model: ColmapModel) -> dict[str, bytes]:
    """The content of each file of the model, by file name."""
    ids = {name: number for number, name in MODEL_IDS.items()}
    cameras = struct.pack("<Q", len(model.cameras))
    for key, camera in model.cameras.items():
        cameras += struct.pack("<iiQQ", key, ids[camera.model], camera.width, camera.height)
        cameras += struct.pack(f"<{len(camera.parameters)}d", *camera.parameters)
    images = struct.pack("<Q", len(model.images))
    for row, image in enumerate(model.images, 1):
        images += struct.pack("<I7dI", row, *image.quat, *image.translation, image.camera_id)
        images += image.name.encode() + b"\0" + struct.pack("<Q", 0)
    count = 0 if model.points is None else len(model.points)
    points = [struct.pack("<Q", count)]
    if model.points is not None:
        colours = np.clip(np.round(model.points.colours.numpy() * 255), 0, 255).astype(int)
        for row, (position, colour) in enumerate(zip(model.points.positions.numpy(), colours, strict=True), 1):
            points.append(struct.pack("<Q3d3BdQ", row, *position.astype(float), *colour.tolist(), 0.0, 0))
    return {"cameras.bin": cameras, "images.bin": images, "points3D.bin": b"".join(points)}


def _read_cameras(path: Path) -> Iterator[tuple[int, ColmapCamera]]:
    data = _Bytes(path)
    for _ in range(data.take("Q")[0]):
        key, model_id, width, height = data.take("iiQQ")
        model = MODEL_IDS.get(model_id)
        if model is None:
            raise unsupported_model(model_id, path)
        parameters = data.take(f"{PARAMETER_COUNTS[model]}d")
        yield key, ColmapCamera(model=model, width=width, height=height, parameters=parameters)


def _read_images(path: Path) -> Iterator[ColmapImage]:
    data = _Bytes(path)
    for _ in range(data.take("Q")[0]):
        _, *values, camera_id = data.take("I7dI")
        name = data.take_name()
        data.skip(_POINT2D_BYTES * data.take("Q")[0])
        numbers = np.array(values)
        yield ColmapImage(name=name, camera_id=camera_id, quat=numbers[:4], translation=numbers[4:])


def _read_points(path: Path) -> PointCloud | None:
    if not path.is_file():
        return None
    data = _Bytes(path)
    count = data.take("Q")[0]
    positions, colours = [], []
    for _ in range(count):
        _, x, y, z, red, green, blue, _, track = data.take("Q3d3BdQ")
        data.skip(_TRACK_BYTES * track)
        positions.append((x, y, z))
        colours.append((red, green, blue))
    if not positions:
        return None
    return PointCloud(
        positions=torch.tensor(positions, dtype=torch.float64).float(),
        colours=(torch.tensor(colours, dtype=torch.float64) / 255.0).float(),
    )
