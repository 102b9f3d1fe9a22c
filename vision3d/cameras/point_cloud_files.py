"""Coloured point clouds as PLY (ASCII or binary), the form structure-from-motion tools and nerfstudio share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from vision3d.cameras.point_cloud import PointCloud
from vision3d.errors import CameraFileError
from vlm_bridge.atomic_write import written_whole

_TYPES = {
    "char": "i1", "uchar": "u1", "int8": "i1", "uint8": "u1", "short": "i2", "ushort": "u2", "int16": "i2",
    "uint16": "u2", "int": "i4", "uint": "u4", "int32": "i4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_HEADER_BYTES_MAX = 65_536


def read_point_cloud(path: str | Path) -> PointCloud:
    """The vertices of a PLY file with their colours (grey where it has none); other elements are not read.

    Raises:
        CameraFileError: the file is missing, cut, holds no points, or is not a PLY of points.
    """
    source = Path(path)
    if not source.is_file():
        raise CameraFileError(f"{source}: expected a PLY point cloud, found no such file. Check the path.")
    content = source.read_bytes()
    order, count, fields, start = _header(source, content)
    names = [name for name, _ in fields]
    if count == 0 or not {"x", "y", "z"} <= set(names):
        raise CameraFileError(
            f"{source}: expected at least one vertex with x, y and z, found {count} vertices with {names}. "
            "Export the sparse points again, or leave the file out to start from random points."
        )
    rows = _rows(source, content, order, count, fields, start)
    positions = np.stack([rows[axis].astype(np.float32) for axis in "xyz"], 1)
    colours = np.full((count, 3), 0.5, np.float32)
    if {"red", "green", "blue"} <= set(names):
        colours = _unit_colours(np.stack([rows[band] for band in ("red", "green", "blue")], 1))
    keep = np.isfinite(positions).all(1)
    if not keep.any():
        raise CameraFileError(f"{source}: expected finite points, found none among {count}. Export the points again.")
    return PointCloud(positions=torch.from_numpy(positions[keep]), colours=torch.from_numpy(colours[keep]))


def _unit_colours(stored: np.ndarray) -> np.ndarray:
    """Colours in 0-1, from bytes, 16-bit numbers, or floats in 0-1 or 0-255; NaN becomes grey."""
    top = 65_535.0 if stored.dtype == np.uint16 else 255.0
    if stored.dtype.kind == "f" and not (stored > 1.0).any():
        top = 1.0
    return np.clip(np.nan_to_num(stored / top, nan=0.5), 0.0, 1.0).astype(np.float32)


def write_point_cloud(points: PointCloud, path: str | Path) -> None:
    """Write xyz as float32 and RGB as bytes, binary little endian."""
    rows = np.empty(len(points), [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    rows["xyz"] = points.positions.cpu().numpy()
    rows["rgb"] = np.clip(np.round(points.colours.cpu().numpy() * 255.0), 0, 255)
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"property uchar {band}" for band in ("red", "green", "blue")]
    header = "\n".join([*lines, "end_header", ""]).encode("ascii")
    with written_whole(Path(path)) as partial:
        partial.write_bytes(header + rows.tobytes())


def _header(source: Path, content: bytes) -> tuple[str, int, list[tuple[str, str]], int]:
    end = content.find(b"end_header", 0, _HEADER_BYTES_MAX)
    newline = content.find(b"\n", end) if end >= 0 else -1
    if not content.startswith(b"ply") or newline < 0:
        raise CameraFileError(
            f"{source}: expected a PLY file (starting with 'ply' and a header), found {content[:12]!r} "
            f"({len(content)} bytes). Convert the points to PLY."
        )
    order, count, fields, in_vertex, seen_other = "", -1, [], False, False
    for line in content[:end].decode("ascii", "replace").splitlines():
        words = line.split()
        if words[:1] == ["format"] and len(words) > 1:
            order = words[1]
        elif words[:1] == ["element"] and len(words) == 3:
            in_vertex = words[1] == "vertex"
            seen_other |= not in_vertex and count < 0
            count = int(words[2]) if in_vertex and words[2].isdigit() else count
        elif words[:1] == ["property"] and in_vertex and len(words) > 2:
            fields.append((words[-1], words[1]))
    unknown = sorted({kind for _, kind in fields if kind not in _TYPES})
    if order not in _ORDERS or count < 0 or unknown or seen_other or len(dict(fields)) < len(fields):
        raise CameraFileError(
            f"{source}: expected a PLY whose first element is 'vertex' with plain properties, each named once, found "
            f"format {order!r}, {count} vertices, properties {[name for name, _ in fields]}, unknown types {unknown}. "
            "Convert the points to a plain PLY."
        )
    return order, count, fields, newline + 1


def _rows(
    source: Path, content: bytes, order: str, count: int, fields: list[tuple[str, str]], start: int
) -> np.ndarray:
    layout = np.dtype([(name, _ORDERS[order] + _TYPES[kind]) for name, kind in fields])
    if order != "ascii":
        needed = count * layout.itemsize
        if len(content) - start < needed:
            raise CameraFileError(
                f"{source}: expected {needed} bytes for {count} points, found {len(content) - start}. "
                "The file is cut; copy it again."
            )
        return np.frombuffer(content, layout, count, start)
    lines = content[start:].decode("ascii", "replace").splitlines()[:count]
    if len(lines) < count:
        raise CameraFileError(
            f"{source}: expected {count} lines of points, found {len(lines)}. The file is cut; copy it again."
        )
    try:
        return np.array([tuple(float(word) for word in line.split()[: len(fields)]) for line in lines], layout)
    except (ValueError, TypeError) as error:
        raise CameraFileError(
            f"{source}: expected {len(fields)} numbers on each line of a point, found a line without ({error}). "
            "Export the points again."
        ) from None
