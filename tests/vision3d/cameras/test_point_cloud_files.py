"""Point clouds as PLY: exact round trip, the dialects in use, and damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plyfile import PlyData, PlyElement

from tests.vision3d.cameras.small_scenes import random_points, refused
from vision3d.cameras.point_cloud import PointCloud
from vision3d.cameras.point_cloud_files import read_point_cloud, write_point_cloud
from vision3d.errors import CameraFileError


@given(count=st.integers(1, 300), seed=st.integers(0, 2**31))
def test_reading_what_was_written_gives_the_same_bits(
    count: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("points") / "points.ply"
    points = random_points(count, seed)
    write_point_cloud(points, path)
    found = read_point_cloud(path)
    assert torch.equal(found.positions, points.positions)
    assert torch.equal(found.colours, points.colours)


def test_colours_outside_bytes_are_rounded_and_clipped(tmp_path: Path) -> None:
    points = PointCloud(positions=torch.zeros(1, 3), colours=torch.tensor([[-0.2, 0.5, 1.7]]))
    write_point_cloud(points, tmp_path / "points.ply")
    assert (read_point_cloud(tmp_path / "points.ply").colours * 255).round().tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("text", [False, True])
def test_files_of_another_writer_in_every_encoding(text: bool, byte_order: str, tmp_path: Path) -> None:
    """plyfile as the second implementation, with normals between and a second element behind the vertices."""
    rows = np.zeros(
        3, [("x", "f8"), ("y", "f8"), ("z", "f8"), ("nx", "f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")]
    )
    rows["x"], rows["y"], rows["z"] = [1.5, -2.25, 3.0], [0.5, 4.0, -8.0], [7.0, 0.125, 1.0]
    rows["red"], rows["green"], rows["blue"] = [255, 0, 51], [0, 255, 102], [0, 0, 204]
    edges = np.array([(0, 1)], [("vertex1", "i4"), ("vertex2", "i4")])
    elements = [PlyElement.describe(rows, "vertex"), PlyElement.describe(edges, "edge")]
    PlyData(elements, text=text, byte_order=byte_order).write(str(tmp_path / "points.ply"))
    found = read_point_cloud(tmp_path / "points.ply")
    assert found.positions.tolist() == [[1.5, 0.5, 7.0], [-2.25, 4.0, 0.125], [3.0, -8.0, 1.0]]
    expected = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0.2, 0.4, 0.8]])  # 51, 102, 204 of 255
    assert torch.allclose(found.colours, expected, atol=1e-7)


def ascii_ply(path: Path, properties: list[str], lines: list[str], count: int | None = None) -> Path:
    header = ["ply", "format ascii 1.0", "comment by hand", f"element vertex {len(lines) if count is None else count}"]
    path.write_text("\n".join([*header, *(f"property {item}" for item in properties), "end_header", *lines]) + "\n")
    return path


XYZ = ["float x", "float y", "float z"]


def test_float_colours_are_taken_as_they_are(tmp_path: Path) -> None:
    path = ascii_ply(tmp_path / "a.ply", [*XYZ, "float red", "float green", "float blue"], ["1 2 3 0.25 0.5 1"])
    found = read_point_cloud(path)
    assert found.positions.tolist() == [[1, 2, 3]]
    assert found.colours.tolist() == [[0.25, 0.5, 1.0]]


@pytest.mark.parametrize(
    ("kind", "line", "expected"),
    [
        ("ushort", "65535 13107 0", [1.0, 0.2, 0.0]),  # 65535 = 5 * 13107
        ("int", "255 51 0", [1.0, 0.2, 0.0]),
        ("float", "255 51 0.5", [1.0, 0.2, 0.5 / 255]),
        ("float", "nan 0.25 -1", [0.5, 0.25, 0.0]),
    ],
)
def test_colours_of_other_scales(kind: str, line: str, expected: list[float], tmp_path: Path) -> None:
    bands = [f"{kind} {band}" for band in ("red", "green", "blue")]
    found = read_point_cloud(ascii_ply(tmp_path / "a.ply", [*XYZ, *bands], [f"1 2 3 {line}"]))
    assert torch.allclose(found.colours, torch.tensor([expected]), atol=1e-7)


@pytest.mark.parametrize("extra", ["list uchar int neighbours", "float x", "colour red"])
def test_properties_that_cannot_be_laid_out_are_refused(extra: str, tmp_path: Path) -> None:
    """A list has no fixed length, a name twice is ambiguous, a type nobody knows has no size."""
    with refused(CameraFileError, "a.ply", extra.split()[-1]):
        read_point_cloud(ascii_ply(tmp_path / "a.ply", [*XYZ, extra], ["1 2 3 4"]))


def test_points_without_colours_are_grey(tmp_path: Path) -> None:
    assert read_point_cloud(ascii_ply(tmp_path / "a.ply", XYZ, ["1 2 3"])).colours.tolist() == [[0.5, 0.5, 0.5]]


def test_points_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    path = ascii_ply(tmp_path / "a.ply", XYZ, ["nan 0 0", "1 2 3", "0 inf 0"])
    assert read_point_cloud(path).positions.tolist() == [[1, 2, 3]]
    with refused(CameraFileError, "a.ply"):
        read_point_cloud(ascii_ply(path, XYZ, ["nan 0 0"]))


def test_a_binary_file_is_refused_at_every_cut(tmp_path: Path) -> None:
    path = tmp_path / "points.ply"
    write_point_cloud(random_points(3), path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with refused(CameraFileError, "points.ply"):
            read_point_cloud(path)


@pytest.mark.parametrize(
    ("lines", "count"),
    [(["1 2 3"], 2), (["1 2"], 1), (["1 2 three"], 1)],
    ids=["too few lines", "cut line", "no number"],
)
def test_a_damaged_ascii_file_is_refused(lines: list[str], count: int, tmp_path: Path) -> None:
    with refused(CameraFileError, "a.ply"):
        read_point_cloud(ascii_ply(tmp_path / "a.ply", XYZ, lines, count))


@pytest.mark.parametrize(
    "content",
    [b"", b"plx\n", b"\x89PNG\r\n\x1a\n", b"ply\nformat binary_middle_endian 1.0\nelement vertex 1\nend_header\n"],
    ids=["empty file", "wrong magic", "photo", "unknown order"],
)
def test_a_file_of_another_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_bytes(content)
    with refused(CameraFileError, "a.ply"):
        read_point_cloud(tmp_path / "a.ply")


def test_no_points_no_positions_and_no_file_are_refused(tmp_path: Path) -> None:
    with refused(CameraFileError, "0 vertices"):
        read_point_cloud(ascii_ply(tmp_path / "a.ply", XYZ, []))
    with refused(CameraFileError, "['x', 'y']"):
        read_point_cloud(ascii_ply(tmp_path / "a.ply", ["float x", "float y"], ["1 2"]))
    with refused(CameraFileError, "b.ply"):
        read_point_cloud(tmp_path / "b.ply")
