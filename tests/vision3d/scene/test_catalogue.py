"""Picking the format: by suffix and content, with every refusal, and nothing half-written."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
import torch

import vision3d.scene.ply as ply
from tests.vision3d.scene.random_scenes import random_scene, same_bits
from vision3d.errors import InvalidInputError, SplatFileError
from vision3d.scene.catalogue import READERS, WRITERS, read_splats, write_splats
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.selection import select_gaussians

SPLAT_ROW = struct.Struct("<3f3f4B4B").pack(0, 0, 0, 1, 1, 1, 9, 9, 9, 9, 255, 128, 128, 128)


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_every_writer_has_a_reader_that_keeps_count_order_and_places(tmp_path: Path, suffix: str) -> None:
    scene = random_scene(300)
    for name in (f"scene{suffix}", f"SCENE{suffix.upper()}"):
        write_splats(scene, tmp_path / name)
        assert torch.equal(read_splats(tmp_path / name).means, scene.means)
        assert suffix in READERS


def test_ply_is_exact(tmp_path: Path) -> None:
    scene = random_scene(10, sh_degree=3)
    write_splats(scene, str(tmp_path / "scene.ply"))
    assert same_bits(read_splats(str(tmp_path / "scene.ply")), scene)


def test_a_nerfstudio_run_folder_is_read(tmp_path: Path) -> None:
    scene = random_scene(4, sh_degree=1)
    fields = {"means": scene.means, "quats": scene.quats, "scales": scene.log_scales}
    fields |= {
        "opacities": scene.opacity_logits[:, None],
        "features_dc": scene.sh[:, 0],
        "features_rest": scene.sh[:, 1:],
    }
    (tmp_path / "nerfstudio_models").mkdir()
    (tmp_path / "config.yml").touch()
    pipeline = {f"_model.gauss_params.{name}": values for name, values in fields.items()}
    torch.save({"pipeline": pipeline}, tmp_path / "nerfstudio_models" / "step-000000100.ckpt")
    assert same_bits(read_splats(tmp_path), scene)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("scene.ply", b"", r"empty file \(0 bytes\)"),
        ("scene.splat", b"", r"empty file \(0 bytes\)"),
        ("scene.spz", b"", r"empty file \(0 bytes\)"),
        ("scene.ply", b"NGSP" + bytes(60), r"found an \.spz.*Rename it to \.spz"),
        ("scene.ply", b"\x1f\x8b\x08" + bytes(60), "found gzip"),
        ("scene.ply", b"PK\x03\x04" + bytes(60), "found a zip archive"),
        ("scene.ply", b"glTF" + bytes(60), "starts with 'ply', found b'glTF"),
        ("scene.splat", b"ply\n" + bytes(28), r"found a PLY.*Rename it to \.ply"),
        ("scene.spz", b"ply\n" + bytes(60), "found a PLY"),
        ("scene.splat", bytes(33), "multiple of 32 bytes"),
        ("scene.obj", b"v 0 0 0", r"found \.obj"),
        ("scene", b"v 0 0 0", "found none"),
        ("scene.sog", bytes(99), r"found \.sog.*Convert it to \.ply"),
        ("scene.ckpt", b"not a checkpoint", "readable torch checkpoint|tensors and numbers only"),
    ],
)
def test_content_that_does_not_fit_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SplatFileError, match=said) as caught:
        read_splats(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SplatFileError, match=r"nowhere\.ply: .*found nothing there"):
        read_splats(tmp_path / "nowhere.ply")


@pytest.mark.parametrize("field", ["means", "quats", "log_scales", "opacity_logits", "sh"])
def test_nan_values_are_counted_and_named(tmp_path: Path, field: str) -> None:
    scene = random_scene(5, sh_degree=1)
    getattr(scene, field)[1:3] = float("nan")
    ply.write_ply(scene, tmp_path / "scene.ply")
    with pytest.raises(SplatFileError, match=f"found 2 of 5 Gaussians with a bad {field}"):
        read_splats(tmp_path / "scene.ply")
    with pytest.raises(InvalidInputError, match=f"2 of 5 Gaussians with a bad {field}"):
        write_splats(scene, tmp_path / "other.ply")
    assert not (tmp_path / "other.ply").exists()


def test_scales_of_zero_and_rotations_of_length_zero_are_refused(tmp_path: Path) -> None:
    flat = bytearray(SPLAT_ROW * 2)
    flat[12:16] = bytes(4)
    (tmp_path / "flat.splat").write_bytes(flat)
    with pytest.raises(SplatFileError, match="1 of 2 Gaussians with a bad log_scales"):
        read_splats(tmp_path / "flat.splat")
    (tmp_path / "unturned.splat").write_bytes(SPLAT_ROW + SPLAT_ROW[:28] + bytes([128] * 4))
    with pytest.raises(SplatFileError, match="found 1 of 2 Gaussians without one"):
        read_splats(tmp_path / "unturned.splat")


@pytest.mark.parametrize("name", ["scene.spz", "scene.obj", "scene", "scene.compressed.ply", "scene.ckpt"])
def test_formats_that_cannot_be_written_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SplatFileError, match=r"expected a suffix of \.ply, \.splat"):
        write_splats(random_scene(1), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_an_empty_scene_is_not_written(tmp_path: Path) -> None:
    empty = select_gaussians(random_scene(3), torch.zeros(3, dtype=torch.bool))
    with pytest.raises(InvalidInputError, match="found 0"):
        write_splats(empty, tmp_path / "scene.ply")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_a_missing_folder_is_not_made_up(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(SplatFileError, match=r"expected an existing folder.*Create it first"):
        write_splats(random_scene(1), tmp_path / "nowhere" / f"scene{suffix}")
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scene.ply").mkdir()
    with pytest.raises(SplatFileError, match="found a folder"):
        write_splats(random_scene(1), tmp_path / "scene.ply")
    assert [entry.name for entry in tmp_path.iterdir()] == ["scene.ply"]


def test_what_the_system_refuses_is_said(tmp_path: Path) -> None:
    with pytest.raises(SplatFileError, match=r"File name too long.*free disk space"):
        write_splats(random_scene(1), tmp_path / f"{'x' * 300}.ply")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("needs a user whom folder permissions bind, and this one may write everywhere (root)")
    with pytest.raises(SplatFileError, match="Permission denied"):
        write_splats(random_scene(1), tmp_path / "scene.ply")
    tmp_path.chmod(0o700)
    assert not list(tmp_path.iterdir())


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scene.ply"
    old, new = random_scene(3), random_scene(70_000)
    write_splats(old, path)
    blocks = []

    def break_off(parts: list[object], axis: int) -> object:
        blocks.append(len(parts))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ply.np, "concatenate", break_off)
    with pytest.raises(SplatFileError, match="No space left on device"):
        write_splats(new, path)
    monkeypatch.undo()
    assert blocks
    assert same_bits(read_splats(path), old)
    assert [entry.name for entry in tmp_path.iterdir()] == ["scene.ply"]


def test_an_existing_file_is_replaced(tmp_path: Path) -> None:
    for count in (5, 2):
        scene: GaussianScene = random_scene(count)
        write_splats(scene, tmp_path / "scene.ply")
        assert same_bits(read_splats(tmp_path / "scene.ply"), scene)
