"""Labelled scans written by hand, with faces behind the vertices as in the published files."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import torch

from vision3d.errors import InvalidInputError, SplatFileError
from vision3d.evaluation.scannet import CLASS_NAMES, CLASS_SETS, SCENES, read_scannet

HEADER = """ply
format binary_little_endian 1.0
comment labels
element vertex {count}
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
property uchar alpha
property ushort {label}
element face 1
property list uchar int vertex_indices
end_header
"""


def write_scan(folder: Path, labels: list[int], name: str = "scene0000_00", label: str = "label") -> Path:
    folder.mkdir(exist_ok=True)
    rows = b"".join(
        struct.pack("<3f4BH", place, 0.5, -place, 9, 9, 9, 255, number) for place, number in enumerate(labels)
    )
    path = folder / f"{name}_vh_clean_2.labels.ply"
    path.write_bytes(HEADER.format(count=len(labels), label=label).encode() + rows + struct.pack("<B3i", 3, 0, 1, 2))
    return path


def test_positions_and_labels(tmp_path: Path):
    write_scan(tmp_path, [1, 0, 40])
    truth = read_scannet(tmp_path)
    assert truth.scene == "scene0000_00"
    assert truth.labels.tolist() == [1, 0, 40]
    torch.testing.assert_close(truth.positions, torch.tensor([[0, 0.5, 0], [1, 0.5, -1], [2, 0.5, -2]]))


def test_the_class_sets_are_the_published_ones():
    assert {count: len(set(numbers)) for count, numbers in CLASS_SETS.items()} == {19: 19, 15: 15, 10: 10}
    assert set(CLASS_SETS[10]) < set(CLASS_SETS[15]) < set(CLASS_SETS[19])
    assert [CLASS_NAMES[number] for number in CLASS_SETS[10]] == [
        "wall", "floor", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "toilet",
    ]  # fmt: skip
    only_in_19 = {CLASS_NAMES[number] for number in set(CLASS_SETS[19]) - set(CLASS_SETS[15])}
    assert only_in_19 == {"picture", "refrigerator", "shower curtain", "bathtub"}
    assert len(CLASS_NAMES) == 40
    assert len(set(SCENES)) == 10


def test_what_is_no_labelled_scan_is_refused(tmp_path: Path):
    with pytest.raises(InvalidInputError, match="found 0"):
        read_scannet(tmp_path)
    write_scan(tmp_path / "two", [1, 2, 3])
    write_scan(tmp_path / "two", [1, 2, 3], name="scene0001_00")
    with pytest.raises(InvalidInputError, match="found 2"):
        read_scannet(tmp_path / "two")
    write_scan(tmp_path / "plain", [1, 2, 3], label="quality")
    with pytest.raises(SplatFileError, match="without label"):
        read_scannet(tmp_path / "plain")
    write_scan(tmp_path / "raw", [1, 2, 1163])  # the numbers of another label set
    with pytest.raises(SplatFileError, match="1 to 1163"):
        read_scannet(tmp_path / "raw")
    write_scan(tmp_path / "empty", [])
    with pytest.raises(SplatFileError, match="no vertex"):
        read_scannet(tmp_path / "empty")
    path = write_scan(tmp_path / "cut", [1, 2, 3])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(SplatFileError, match="cut"):
        read_scannet(tmp_path / "cut")
