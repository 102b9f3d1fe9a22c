"""Standard PLY: exact round trips, every dialect in use, and a second reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from plyfile import PlyData, PlyElement

from tests.vision3d.scene.random_scenes import random_scene, same_bits, scenes
from vision3d.errors import SplatFileError
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.ply import read_ply, write_ply

GEOMETRY = ["x", "y", "z", "opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]


def write_columns(path: Path, columns: dict[str, np.ndarray], *, text: bool = False, byte_order: str = "<") -> Path:
    """A PLY written by plyfile, the second implementation these tests lean on."""
    rows = np.empty(len(next(iter(columns.values()))), [(name, values.dtype.str) for name, values in columns.items()])
    for name, values in columns.items():
        rows[name] = values
    PlyData([PlyElement.describe(rows, "vertex")], text=text, byte_order=byte_order).write(str(path))
    return path


def columns_of(scene: GaussianScene, dtype: str = "f4") -> dict[str, np.ndarray]:
    """What the header of a 3DGS PLY names, from a scene."""
    rest = scene.sh.shape[1] - 1
    columns = {name: scene.means[:, axis] for axis, name in enumerate("xyz")}
    columns |= {f"f_dc_{channel}": scene.sh[:, 0, channel] for channel in range(3)}
    columns |= {f"f_rest_{c * rest + k}": scene.sh[:, 1 + k, c] for c in range(3) for k in range(rest)}
    columns |= {"opacity": scene.opacity_logits}
    columns |= {f"scale_{axis}": scene.log_scales[:, axis] for axis in range(3)}
    columns |= {f"rot_{axis}": scene.quats[:, axis] for axis in range(4)}
    return {name: values.numpy().astype(dtype) for name, values in columns.items()}


@given(scene=scenes())
def test_reading_what_was_written_gives_the_same_bits(
    scene: GaussianScene, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("ply") / "scene.ply"
    write_ply(scene, path)
    assert same_bits(read_ply(path), scene)


def test_more_gaussians_than_one_block_keep_their_order(tmp_path: Path) -> None:
    scene = random_scene(70_000)  # blocks hold 32768 rows
    write_ply(scene, tmp_path / "scene.ply")
    assert same_bits(read_ply(tmp_path / "scene.ply"), scene)


def test_infinite_opacity_and_extreme_floats_survive(tmp_path: Path) -> None:
    scene = random_scene(4)
    scene.opacity_logits[:] = torch.tensor([float("inf"), -float("inf"), 1e-45, -0.0])  # 1e-45 is denormal
    write_ply(scene, tmp_path / "scene.ply")
    assert same_bits(read_ply(tmp_path / "scene.ply"), scene)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_a_second_reader_sees_inria_order_and_values(tmp_path: Path, degree: int) -> None:
    scene = random_scene(5, sh_degree=degree)
    write_ply(scene, tmp_path / "scene.ply")
    vertex = PlyData.read(str(tmp_path / "scene.ply"))["vertex"].data
    rest = [f"f_rest_{index}" for index in range(3 * ((degree + 1) ** 2 - 1))]
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *rest, *GEOMETRY[3:]]
    assert list(vertex.dtype.names) == names
    assert all(vertex[name].dtype == np.dtype("<f4") for name in names)
    for name, values in columns_of(scene).items():
        np.testing.assert_array_equal(vertex[name], values)
    assert not any(vertex[name].any() for name in ("nx", "ny", "nz"))


def test_higher_sh_is_stored_channel_by_channel(tmp_path: Path) -> None:
    scene = random_scene(1, sh_degree=1)
    scene.sh[0] = torch.tensor([[0.0, 0, 0], [1, 4, 7], [2, 5, 8], [3, 6, 9]])  # red 1 2 3, green 4 5 6, blue 7 8 9
    write_ply(scene, tmp_path / "scene.ply")
    vertex = PlyData.read(str(tmp_path / "scene.ply"))["vertex"].data
    assert [float(vertex[f"f_rest_{index}"][0]) for index in range(9)] == [1, 2, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("text", "byte_order", "dtype"), [(False, ">", "f4"), (False, "<", "f8"), (False, ">", "f8"), (True, "=", "f4")]
)
def test_every_encoding_reads_to_the_same_values(tmp_path: Path, text: bool, byte_order: str, dtype: str) -> None:
    scene = random_scene(300, sh_degree=2)
    path = write_columns(tmp_path / "scene.ply", columns_of(scene, dtype), text=text, byte_order=byte_order)
    found = read_ply(path)
    assert same_bits(found, scene) or text  # text keeps what plyfile prints
    torch.testing.assert_close(found.sh, scene.sh, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.means, scene.means, rtol=1e-5, atol=1e-6)


def test_order_and_unknown_properties_do_not_matter(tmp_path: Path) -> None:
    scene = random_scene(7, sh_degree=3)
    columns = columns_of(scene)
    names = sorted(columns, reverse=True)
    shuffled = {names[0]: columns[names[0]], "mask": np.arange(7, dtype="i4")}  # a label some tools put inside
    shuffled |= {name: columns[name] for name in names[1:]}
    assert same_bits(read_ply(write_columns(tmp_path / "scene.ply", shuffled)), scene)


def test_other_elements_around_the_gaussians_are_skipped(tmp_path: Path) -> None:
    scene = random_scene(3)
    columns = columns_of(scene)
    rows = np.empty(3, [(name, "<f4") for name in columns])
    for name, values in columns.items():
        rows[name] = values
    camera = PlyElement.describe(np.array([(1.0, 2)], [("focal", "<f8"), ("width", "<i2")]), "camera")
    faces = np.empty(1, [("vertex_indices", object)])
    faces[0] = (np.array([0, 1, 2], "i4"),)
    elements = [camera, PlyElement.describe(rows, "vertex"), PlyElement.describe(faces, "face")]
    for text in (False, True):
        PlyData(elements, text=text, byte_order="=" if text else "<").write(str(tmp_path / "scene.ply"))
        torch.testing.assert_close(read_ply(tmp_path / "scene.ply").means, scene.means, rtol=1e-5, atol=1e-6)


def test_rgb_colours_become_constant_sh(tmp_path: Path) -> None:
    columns = {name: values for name, values in columns_of(random_scene(3)).items() if not name.startswith("f_")}
    columns |= {name: np.array([0, 128, 255], "u1") for name in ("red", "green", "blue")}
    scene = read_ply(write_columns(tmp_path / "scene.ply", columns))
    assert scene.sh_degree == 0
    # colour = 0.5 + 0.28209479 dc, so 0 -> -1.7724539, 128/255 -> 0.00695, 1 -> 1.7724539
    torch.testing.assert_close(
        scene.sh[:, 0, 0], torch.tensor([-1.7724539, 0.0069508, 1.7724539]), rtol=1e-5, atol=1e-6
    )


def test_float_rgb_is_taken_as_0_to_1(tmp_path: Path) -> None:
    columns = {name: values for name, values in columns_of(random_scene(2)).items() if not name.startswith("f_")}
    columns |= {name: np.array([0.0, 0.5], "f4") for name in ("red", "green", "blue")}
    scene = read_ply(write_columns(tmp_path / "scene.ply", columns))
    torch.testing.assert_close(scene.sh[:, 0, 0], torch.tensor([-1.7724539, 0.0]))


def test_a_point_cloud_is_named_as_such(tmp_path: Path) -> None:
    columns = {name: np.zeros(3, "f4") for name in "xyz"} | {
        name: np.zeros(3, "u1") for name in ("red", "green", "blue")
    }
    path = write_columns(tmp_path / "points.ply", columns)
    with pytest.raises(SplatFileError, match=r"found a plain point cloud.*starting points"):
        read_ply(path)


@pytest.mark.parametrize("missing", ["rot_3", "scale_2", "opacity", "f_dc_1", "y"])
def test_a_missing_property_is_named(tmp_path: Path, missing: str) -> None:
    columns = {name: values for name, values in columns_of(random_scene(3)).items() if name != missing}
    with pytest.raises(SplatFileError, match=missing[:4]):
        read_ply(write_columns(tmp_path / "scene.ply", columns))


@pytest.mark.parametrize("count", [3, 8, 10, 44, 72])
def test_a_number_of_sh_coefficients_of_no_degree_is_refused(tmp_path: Path, count: int) -> None:
    columns = columns_of(random_scene(2)) | {f"f_rest_{index}": np.zeros(2, "f4") for index in range(count)}
    with pytest.raises(SplatFileError, match=f"0, 9, 24 or 45.*found {count}"):
        read_ply(write_columns(tmp_path / "scene.ply", columns))


def test_gaps_in_the_sh_numbers_are_refused(tmp_path: Path) -> None:
    columns = columns_of(random_scene(2)) | {f"f_rest_{index}": np.zeros(2, "f4") for index in range(1, 10)}
    with pytest.raises(SplatFileError, match="gaps"):
        read_ply(write_columns(tmp_path / "scene.ply", columns))


@pytest.mark.parametrize("kept", [0, 2, 30, -1, -500])
def test_a_cut_file_says_how_much_is_missing(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "scene.ply"
    write_ply(random_scene(20), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    with pytest.raises(SplatFileError) as caught:
        read_ply(path)
    if kept < 0:
        assert f"expected at least {len(whole)} bytes" in str(caught.value)
        assert f"found {len(whole) + kept}" in str(caught.value)


def test_a_cut_text_file_is_refused(tmp_path: Path) -> None:
    path = write_columns(tmp_path / "scene.ply", columns_of(random_scene(20)), text=True)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-3]))
    with pytest.raises(SplatFileError, match=r"expected 20 rows.*found 17 rows"):
        read_ply(path)
    path.write_bytes(b"".join([*lines[:-1], b"1 2 oops\n"]))
    with pytest.raises(SplatFileError, match="damaged"):
        read_ply(path)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"plx\nformat ascii 1.0\nend_header\n", "starts with 'ply'"),
        (b"ply\nformat binary_little_endian 1.0\nelement vertex -3\nend_header\n", "element vertex -3"),
        (b"ply\nformat binary_middle_endian 1.0\nelement vertex 1\nproperty float x\nend_header\n", "middle_endian"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty half x\nend_header\n", "half"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float x\nend_header\n", "twice"),
        (b"ply\nformat ascii 1.0\nelement face 1\nproperty list uchar int i\nend_header\n", "no vertex element"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float\nend_header\n", "property float"),
    ],
)
def test_a_senseless_header_is_refused(tmp_path: Path, header: bytes, said: str) -> None:
    (tmp_path / "scene.ply").write_bytes(header)
    with pytest.raises(SplatFileError, match=said):
        read_ply(tmp_path / "scene.ply")


def test_a_million_gaussians_announced_by_a_tiny_file_cost_nothing(tmp_path: Path) -> None:
    path = tmp_path / "scene.ply"
    write_ply(random_scene(1), path)
    path.write_bytes(path.read_bytes().replace(b"element vertex 1\n", b"element vertex 99999999999999\n"))
    with pytest.raises(SplatFileError, match="99999999999999 rows"):
        read_ply(path)
