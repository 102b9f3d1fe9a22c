"""`.ksplat`: rows written here by hand in each compression level are read back; cut and odd files are refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from vision3d.errors import SplatFileError
from vision3d.scene.catalogue import read_splats
from vision3d.scene.gaussian_scene import SH_C0
from vision3d.scene.ksplat_file import read_ksplat

COUNT, BUCKET_SIZE, BLOCK, RANGE = 7, 3, 5.0, 32767
LIMITS = (-1.0, 2.0)


def _values(degree: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(degree)
    coefficients = (degree + 1) ** 2 - 1
    return {
        "position": random.uniform(-2.0, 2.0, (COUNT, 3)),
        "scale": random.uniform(0.01, 1.0, (COUNT, 3)),
        "rotation": random.normal(size=(COUNT, 4)),
        "rgba": random.integers(1, 255, (COUNT, 4)),
        "sh": random.uniform(*LIMITS, (COUNT, coefficients, 3)),  # [gaussian coefficient channel]
    }


def _row(values: dict[str, np.ndarray], row: int, level: int, centre: np.ndarray) -> bytes:
    """One row as the format has it: each band's harmonics channel by channel."""
    floats = "<f4" if level == 0 else "<f2"
    position = values["position"][row]
    if level == 0:
        data = position.astype("<f4").tobytes()
    else:
        data = (np.rint((position - centre) / (0.5 * BLOCK / RANGE)) + RANGE).astype("<u2").tobytes()
    data += values["scale"][row].astype(floats).tobytes() + values["rotation"][row].astype(floats).tobytes()
    data += values["rgba"][row].astype("u1").tobytes()
    sh = values["sh"][row]
    flat = np.concatenate([sh[:3].T.ravel(), sh[3:].T.ravel()])
    if level == 2:
        return data + np.floor((flat - LIMITS[0]) / (LIMITS[1] - LIMITS[0]) * 255).astype("u1").tobytes()
    return data + flat.astype(floats).tobytes()


def ksplat(values: dict[str, np.ndarray], level: int, degree: int) -> bytes:
    """A file of one section with two full buckets of three rows and a partial one of one row."""
    header = bytearray(4096)
    header[1] = 1
    struct.pack_into("<4I", header, 4, 1, 1, COUNT, COUNT)
    struct.pack_into("<H", header, 20, level)
    struct.pack_into("<2f", header, 36, *LIMITS)
    section = bytearray(1024)
    centres = np.array([[0.1, -0.2, 0.3], [0.0, 0.0, 0.0], [-0.4, 0.2, 0.1]])
    body = b""
    if level > 0:
        struct.pack_into("<4IfH", section, 0, COUNT, COUNT, BUCKET_SIZE, 3, BLOCK, 12)
        struct.pack_into("<I", section, 24, RANGE)
        struct.pack_into("<2I", section, 32, 2, 1)
        body = struct.pack("<I", 1) + centres.astype("<f4").tobytes()
    else:
        struct.pack_into("<2I", section, 0, COUNT, COUNT)
    struct.pack_into("<H", section, 40, degree)
    rows = [_row(values, row, level, centres[row // BUCKET_SIZE]) for row in range(COUNT)]
    return bytes(header) + bytes(section) + body + b"".join(rows)


@pytest.mark.parametrize("degree", [0, 1, 2])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_rows_are_read_in_every_level(tmp_path: Path, level: int, degree: int) -> None:
    values = _values(degree)
    path = tmp_path / "scene.ksplat"
    path.write_bytes(ksplat(values, level, degree))
    scene = read_splats(path)
    half = 0.0 if level == 0 else 2.0**-10  # a half float has eleven significant bits
    step = 1e-6 if level == 0 else 0.5 * BLOCK / RANGE
    assert np.abs(scene.means.numpy() - values["position"]).max() <= step
    assert np.allclose(scene.log_scales.exp().numpy(), values["scale"], rtol=half + 1e-5)
    assert np.allclose(scene.quats.numpy(), values["rotation"], rtol=half, atol=1e-6 + half * 0.1)
    assert np.allclose(255.0 * torch.sigmoid(scene.opacity_logits).numpy(), values["rgba"][:, 3], atol=1e-3)
    assert np.allclose(255.0 * (0.5 + SH_C0 * scene.sh[:, 0].numpy()), values["rgba"][:, :3], atol=1e-3)
    byte = (LIMITS[1] - LIMITS[0]) / 255.0
    tolerance = {0: 1e-6, 1: 2.0 * 2.0**-11, 2: byte * 1.001}[level]
    assert scene.sh_degree == degree
    if degree:
        assert np.abs(scene.sh[:, 1:].numpy() - values["sh"]).max() <= tolerance


def test_the_real_file_holds_what_its_splat_twin_holds(shared_data: Path) -> None:
    fixtures = shared_data / "splats_small" / "fixtures"
    found, twin = read_splats(fixtures / "minimal.ksplat"), read_splats(fixtures / "minimal.splat")
    assert torch.equal(found.means, twin.means)
    assert torch.allclose(found.log_scales, twin.log_scales)
    assert torch.equal(found.sh, twin.sh)
    assert torch.equal(found.opacity_logits, twin.opacity_logits)


@pytest.mark.parametrize("kept", [100, 4096, 4096 + 500, 4096 + 1024 + 30, -1])
def test_a_cut_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.ksplat"
    path.write_bytes(ksplat(_values(1), 1, 1)[:kept])
    with pytest.raises(SplatFileError, match=r"cut.ksplat: expected at least \d+ bytes.*found \d+.*copy it again"):
        read_ksplat(path)


@pytest.mark.parametrize(
    ("offset", "value", "said"),
    [
        (0, b"\x07", "version 7.1"),
        (20, b"\x05\x00", "compression 5"),
        (4, b"\x00\x00\x00\x00", "0 sections"),
        (4096, b"\xff\x00\x00\x00", "255 of 7 rows"),
        (4096 + 40, b"\x03\x00", "degree 3"),
        (4096 + 32, b"\x00\x00\x00\x00", "1 buckets"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, offset: int, value: bytes, said: str) -> None:
    content = bytearray(ksplat(_values(1), 1, 1))
    content[offset : offset + len(value)] = value
    path = tmp_path / "odd.ksplat"
    path.write_bytes(bytes(content))
    with pytest.raises(SplatFileError, match=said):
        read_ksplat(path)


def test_sections_follow_each_other(tmp_path: Path) -> None:
    first, second = _values(0), _values(2)
    one, two = ksplat(first, 1, 0), ksplat(second, 1, 2)
    header = bytearray(one[:4096])
    struct.pack_into("<I", header, 4, 2)
    path = tmp_path / "two.ksplat"
    path.write_bytes(bytes(header) + one[4096:5120] + two[4096:5120] + one[5120:] + two[5120:])
    scene = read_ksplat(path)
    assert len(scene) == 2 * COUNT
    assert scene.sh_degree == 2
    assert not scene.sh[:COUNT, 1:].any()
    assert np.abs(scene.means[COUNT:].numpy() - second["position"]).max() <= 0.5 * BLOCK / RANGE
