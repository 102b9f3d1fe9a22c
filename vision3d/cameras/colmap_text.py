"""COLMAP models as text: cameras.txt, images.txt, points3D.txt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from vision3d.cameras.colmap_model import ColmapCamera, ColmapImage, ColmapModel
from vision3d.cameras.point_cloud import PointCloud
from vision3d.errors import CameraFileError


def read_text_model(folder: Path) -> ColmapModel:
    """The model in `folder`.

    Raises:
        CameraFileError: a file is missing, or a line cannot be read; the message gives file and line.
    """
    return ColmapModel(
        cameras=dict(_read_cameras(folder / "cameras.txt")),
        images=tuple(_read_images(folder / "images.txt")),
        points=_read_points(folder / "points3D.txt"),
    )


def write_text_model(model: ColmapModel) -> dict[str, str]:
    """The content of each file of the model, by file name."""
    cameras = [
        f"{key} {camera.model} {camera.width} {camera.height} {' '.join(repr(float(v)) for v in camera.parameters)}"
        for key, camera in model.cameras.items()
    ]
    images = [
        f"{row} {_numbers(image.quat)} {_numbers(image.translation)} {image.camera_id} {image.name}\n"
        for row, image in enumerate(model.images, 1)
    ]
    points = []
    if model.points is not None:
        colours = np.clip(np.round(model.points.colours.numpy() * 255), 0, 255).astype(int)
        points = [
            f"{row} {_numbers(position)} {' '.join(map(str, colour))} 0"
            for row, (position, colour) in enumerate(zip(model.points.positions.numpy(), colours, strict=True), 1)
        ]
    return {
        "cameras.txt": _text("# CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]", cameras),
        "images.txt": _text("# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then a line of 2D points", images),
        "points3D.txt": _text("# POINT3D_ID X Y Z R G B ERROR TRACK[]", points),
    }


def _numbers(values: np.ndarray) -> str:
    return " ".join(repr(float(value)) for value in values)


def _text(comment: str, lines: list[str]) -> str:
    return "\n".join([comment, *lines]) + "\n"


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        content = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CameraFileError(f"{path}: expected a COLMAP file, found: {error}. Export the model as text.") from error
    numbered = enumerate(content.split("\n"), 1)
    return [(number, line) for number, line in numbered if not line.lstrip().startswith("#")]


def _bad_line(path: Path, number: int, expected: str, line: str) -> CameraFileError:
    return CameraFileError(
        f"{path}, line {number}: expected {expected}, found {line[:80]!r}. The file may be cut; export the model again."
    )


def _read_cameras(path: Path) -> Iterator[tuple[int, ColmapCamera]]:
    for number, line in _lines(path):
        words = line.split()
        if not words:
            continue
        try:
            camera = ColmapCamera(
                model=words[1],
                width=int(words[2]),
                height=int(words[3]),
                parameters=tuple(float(word) for word in words[4:]),
            )
            yield int(words[0]), camera
        except (ValueError, IndexError):
            raise _bad_line(path, number, "CAMERA_ID MODEL WIDTH HEIGHT PARAMS", line) from None


def _read_images(path: Path) -> Iterator[ColmapImage]:
    lines = _lines(path)
    place = 0
    while place < len(lines):
        number, line = lines[place]
        words = line.split(maxsplit=9)
        if not words:
            place += 1
            continue
        try:
            values = np.array([float(word) for word in words[1:8]])
            camera_id, name = int(words[8]), words[9].strip()
        except (ValueError, IndexError):
            raise _bad_line(path, number, "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME", line) from None
        _check_points_line(path, lines[place + 1 : place + 2])
        yield ColmapImage(name=name, camera_id=camera_id, quat=values[:4], translation=values[4:])
        place += 2


def _check_points_line(path: Path, following: list[tuple[int, str]]) -> None:
    """The second line of an image holds X Y POINT3D_ID of its 2D points; it may be empty, but it must be there."""
    for number, line in following:
        if len(line.split()) % 3:
            raise _bad_line(path, number, "X Y POINT3D_ID for each 2D point of the image above, or an empty line", line)


def _read_points(path: Path) -> PointCloud | None:
    if not path.is_file():
        return None
    rows = []
    for number, line in _lines(path):
        words = line.split(maxsplit=7)
        if not words:
            continue
        try:
            rows.append([float(word) for word in words[1:7]])
        except ValueError:
            raise _bad_line(path, number, "POINT3D_ID X Y Z R G B ERROR", line) from None
        if len(rows[-1]) < 6:
            raise _bad_line(path, number, "POINT3D_ID X Y Z R G B ERROR", line)
    if not rows:
        return None
    table = torch.tensor(rows, dtype=torch.float64)
    return PointCloud(positions=table[:, :3].float(), colours=(table[:, 3:] / 255.0).float())
