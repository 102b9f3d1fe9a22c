"""Niantic's `.spz`: files built here by the published layout, all versions, axes, extensions and damage."""

from __future__ import annotations

import builtins
import gzip
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vision3d.errors import MissingDependencyError, SplatFileError
from vision3d.scene.spherical_harmonics import rotate_sh
from vision3d.scene.spz import read_spz

COUNT = 3
POSITIONS = [(4096, -4096, 1), (-(1 << 23), (1 << 23) - 1, 0), (2048, 0, -1)]  # 24 bits, 12 of them after the point
IDENTITY = 3 << 30
HALF_TURN_ABOUT_X = 0
LARGEST_Y = 1 << 30 | (511 << 20) | (1 << 19 | 255 << 10) | 0  # x = 511/511, z = -255/511, w = 0, times sqrt(1/2)


def streams(version: int, sh_degree: int) -> list[bytes]:
    """The attribute bytes of three Gaussians."""
    positions = b"".join(value.to_bytes(3, "little", signed=True) for row in POSITIONS for value in row)
    rotations = struct.pack("<3I", IDENTITY, HALF_TURN_ABOUT_X, LARGEST_Y)
    if version == 2:
        rotations = bytes([127, 127, 127, 255, 127, 127, 191, 64, 128])
    sh = bytes(range(100, 100 + 3 * COUNT * ((sh_degree + 1) ** 2 - 1)))
    parts = [positions, bytes([0, 255, 204]), bytes([0, 255, 128] * 3), bytes([160, 144, 255] * 3), rotations, sh]
    return [part for part in parts if part]


def spz_bytes(
    version: int,
    *,
    sh_degree: int = 0,
    count: int = COUNT,
    zipped: bool = True,
    extensions: bytes = b"",
    flags: int = 0,
) -> bytes:
    """A whole file."""
    parts = streams(version, sh_degree)
    flags |= 2 if extensions else 0
    if version < 4:
        header = struct.pack("<4sIIBBBB", b"NGSP", version, count, sh_degree, 12, flags, 0)
        raw = header + b"".join(parts) + extensions
        return gzip.compress(raw) if zipped else raw
    import zstandard

    packed = [zstandard.compress(part) for part in parts]
    contents_at = 32 + len(extensions)
    header = struct.pack("<4sIIBBBBI12x", b"NGSP", version, count, sh_degree, 12, flags, len(parts), contents_at)
    table = b"".join(struct.pack("<QQ", len(small), len(part)) for small, part in zip(packed, parts, strict=True))
    return header + extensions + table + b"".join(packed)


def coordinate_system(number: int) -> bytes:
    """An extension nobody knows, then the record that names the stored axes."""
    return struct.pack("<III", 0x12340001, 4, 7) + struct.pack("<III", 0xADBE0003, 4, number)


@pytest.fixture(params=[2, 3, 4])
def version(request: pytest.FixtureRequest) -> int:
    """Every version in use; 4 needs zstandard."""
    if request.param == 4:
        pytest.importorskip("zstandard")
    return request.param


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_values_by_hand(tmp_path: Path, version: int) -> None:
    scene = read_spz(write(tmp_path / "a.spz", spz_bytes(version)), axes="RUB")
    assert scene.means.tolist() == [[1, -1, 1 / 4096], [-2048, 2048 - 1 / 4096, 0], [0.5, 0, -1 / 4096]]
    assert scene.log_scales.tolist() == [[0, -1, 5.9375]] * 3  # byte / 16 - 10
    # dc = (byte / 255 - 0.5) / 0.15
    torch.testing.assert_close(scene.sh[0, 0], torch.tensor([-1 / 0.3, 1 / 0.3, (128 / 255 - 0.5) / 0.15]))
    torch.testing.assert_close(scene.opacities, torch.tensor([0.25 / 255, 254.75 / 255, 0.8]), rtol=1e-5, atol=0)


def test_rotations_of_version_2_rebuild_a_positive_w(tmp_path: Path) -> None:
    quats = read_spz(write(tmp_path / "a.spz", spz_bytes(2)), axes="RUB").quats
    step = 127 / 127.5 - 1
    x, y, z = 191 / 127.5 - 1, 64 / 127.5 - 1, 128 / 127.5 - 1
    expected = torch.tensor(
        [
            [math.sqrt(1 - 3 * step**2), step, step, step],
            [0.0, 1.0, step, step],  # x alone is 1 already
            [math.sqrt(1 - x * x - y * y - z * z), x, y, z],
        ]
    )
    torch.testing.assert_close(quats, expected)


def test_rotations_since_version_3_store_the_smallest_three(tmp_path: Path) -> None:
    quats = read_spz(write(tmp_path / "a.spz", spz_bytes(3)), axes="RUB").quats
    x, z = math.sqrt(0.5), -255 / 511 * math.sqrt(0.5)
    expected = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, x, math.sqrt(1 - x * x - z * z), z]])
    torch.testing.assert_close(quats, expected)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_sh_bytes_run_channel_first(tmp_path: Path, version: int, degree: int) -> None:
    scene = read_spz(write(tmp_path / "a.spz", spz_bytes(version, sh_degree=degree)), axes="RUB")
    assert scene.sh_degree == degree
    codes = torch.arange(100, 100 + 3 * COUNT * ((degree + 1) ** 2 - 1)) % 256
    assert torch.equal(scene.sh[:, 1:].flatten(), (codes - 128) / 128)


def test_all_versions_say_the_same(tmp_path: Path) -> None:
    pytest.importorskip("zstandard")
    third = read_spz(write(tmp_path / "a.spz", spz_bytes(3, sh_degree=1)))
    fourth = read_spz(write(tmp_path / "b.spz", spz_bytes(4, sh_degree=1)))
    for name in ("means", "quats", "log_scales", "opacity_logits", "sh"):
        assert torch.equal(getattr(third, name), getattr(fourth, name))


def test_by_default_the_scene_is_turned_half_about_x(tmp_path: Path) -> None:
    path = write(tmp_path / "a.spz", spz_bytes(3, sh_degree=3))
    stored, turned = read_spz(path, axes="RUB"), read_spz(path)
    half_turn = torch.diag(torch.tensor([1.0, -1, -1]))
    torch.testing.assert_close(turned.means, stored.means @ half_turn)
    torch.testing.assert_close(turned.sh, rotate_sh(stored.sh, half_turn), rtol=1e-5, atol=1e-6)
    # quaternion of the new frame: x-half-turn * q * x-half-turn^-1, which negates y and z
    assert torch.equal(turned.quats, stored.quats * torch.tensor([1.0, 1, -1, -1]))


def test_a_payload_without_gzip_is_read_too(tmp_path: Path) -> None:
    zipped = read_spz(write(tmp_path / "a.spz", spz_bytes(2)))
    raw = read_spz(write(tmp_path / "b.spz", spz_bytes(2, zipped=False)))
    assert torch.equal(zipped.means, raw.means)


def test_extensions_are_skipped_but_other_axes_are_refused(tmp_path: Path, version: int) -> None:
    plain = read_spz(write(tmp_path / "a.spz", spz_bytes(version)))
    same_axes = read_spz(write(tmp_path / "b.spz", spz_bytes(version, extensions=coordinate_system(4))))
    assert torch.equal(plain.means, same_axes.means)
    path = write(tmp_path / "c.spz", spz_bytes(version, extensions=coordinate_system(6)))
    with pytest.raises(SplatFileError, match="found coordinate system 6"):
        read_spz(path)


def test_every_cut_is_noticed(tmp_path: Path, version: int) -> None:
    whole = spz_bytes(version, sh_degree=1)
    for kept in (0, 1, 3, 10, 20, 33, len(whole) // 2, len(whole) - 20):
        with pytest.raises(SplatFileError):
            read_spz(write(tmp_path / "a.spz", whole[:kept]))


def test_a_cut_payload_says_expected_and_found_bytes(tmp_path: Path) -> None:
    # 3 Gaussians of 9 + 1 + 3 + 3 + 4 = 20 bytes
    with pytest.raises(SplatFileError, match="expected 60 bytes of Gaussians, found 53"):
        read_spz(write(tmp_path / "a.spz", spz_bytes(3, zipped=False)[:-7]))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"NOPE" + bytes(60), "starts with b'NGSP'"),
        (struct.pack("<4sIIBBBB", b"NGSP", 1, 3, 0, 12, 0, 0) + bytes(99), "version 1"),
        (struct.pack("<4sIIBBBB", b"NGSP", 5, 3, 0, 12, 0, 0) + bytes(99), "version 5"),
        (struct.pack("<4sIIBBBB", b"NGSP", 3, 3, 4, 12, 0, 0) + bytes(999), "degree 4"),
        (struct.pack("<4sIIBBBB", b"NGSP", 3, 0, 0, 12, 0, 0) + bytes(99), "0 Gaussians"),
        (struct.pack("<4sIIBBBB", b"NGSP", 3, 2**32 - 1, 0, 12, 0, 0) + bytes(99), "4294967295 Gaussians"),
        (b"\x1f\x8b\x08\x00" + bytes(60), "found"),
    ],
)
def test_wrong_headers_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(SplatFileError, match=said):
        read_spz(write(tmp_path / "a.spz", content))


def test_damaged_streams_of_version_4_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("zstandard")
    whole = bytearray(spz_bytes(4))
    for position in (15, 16, 40, 32 + 5 * 16, 32 + 5 * 16 + 4):  # stream count, table offset, a size, a frame's magic
        damaged = bytearray(whole)
        damaged[position] ^= 0x41
        with pytest.raises(SplatFileError):
            read_spz(write(tmp_path / "a.spz", bytes(damaged)))


def test_version_4_without_zstandard_names_the_install_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("zstandard")
    path = write(tmp_path / "a.spz", spz_bytes(4))
    real_import = builtins.__import__

    def without_zstandard(name: str, *rest: Any, **named: Any) -> Any:
        if name == "zstandard":
            raise ImportError(name)
        return real_import(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_zstandard)
    with pytest.raises(MissingDependencyError, match="pip install zstandard"):
        read_spz(path)


def test_positions_use_the_whole_24_bit_range(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-(1 << 23), 1 << 23, (COUNT, 3))
    content = bytearray(spz_bytes(3, zipped=False))
    content[16 : 16 + 9 * COUNT] = b"".join(int(value).to_bytes(3, "little", signed=True) for value in values.flat)
    scene = read_spz(write(tmp_path / "a.spz", bytes(content)), axes="RUB")
    np.testing.assert_array_equal(scene.means.numpy(), (values / 4096).astype(np.float32))
