"""3D-OVS folders written by hand: kinds of pictures, classes without one, and what is no scene."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vision3d.errors import ImageFileError, InvalidInputError
from vision3d.evaluation.three_d_ovs import read_three_d_ovs

BANANA = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]], np.uint8)


def write_scene(folder: Path, classes: str, masks: dict[str, Image.Image]) -> Path:
    root = folder / "segmentations"
    root.mkdir(parents=True)
    (root / "classes.txt").write_text(classes, encoding="utf-8")
    for name, picture in masks.items():
        (root / name).parent.mkdir(exist_ok=True)
        picture.save(root / name)
    return folder


def test_classes_of_each_view(tmp_path: Path):
    empty = Image.new("L", (4, 3))
    scene = write_scene(
        tmp_path / "bed",
        "banana\n\n a red apple \nbanana\n",
        {
            "07/banana.png": Image.fromarray(BANANA * 255).convert("RGB"),
            "00/a red apple.png": empty,
            "00/banana.png": Image.fromarray(BANANA),  # 0 and 1
            "00/notes.png": empty,
        },
    )
    found = read_three_d_ovs(scene)
    assert [(truth.view_name, truth.phrase) for truth in found] == [
        ("00", "banana"),
        ("00", "a red apple"),
        ("07", "banana"),
    ]
    for truth in (found[0], found[2]):
        assert np.array_equal(truth.mask.numpy(), BANANA > 0)
        assert truth.boxes.tolist() == [[1, 0, 2, 1]]
    assert not found[1].mask.any()
    assert found[1].boxes.shape == (0, 4)


def test_soft_edges_belong_to_the_class_from_half_upwards(tmp_path: Path):
    soft = Image.fromarray(np.array([[255, 128, 127, 0]], np.uint8))
    (truth,) = read_three_d_ovs(write_scene(tmp_path, "banana", {"00/banana.png": soft}))
    assert truth.mask.tolist() == [[True, True, False, False]]


def test_a_class_that_no_view_shows_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    scene = write_scene(tmp_path, "banana\nlion", {"00/banana.png": Image.fromarray(BANANA)})
    with caplog.at_level(logging.WARNING):
        assert len(read_three_d_ovs(scene)) == 1
    assert "lion" in caplog.text


def test_what_is_no_scene_is_refused(tmp_path: Path):
    with pytest.raises(InvalidInputError, match=r"classes\.txt: expected a list of classes"):
        read_three_d_ovs(tmp_path)
    with pytest.raises(InvalidInputError, match="found an empty file"):
        read_three_d_ovs(write_scene(tmp_path / "blank", " \n", {}))
    with pytest.raises(InvalidInputError, match="found none in 1 views"):
        read_three_d_ovs(write_scene(tmp_path / "other", "lion", {"00/banana.png": Image.fromarray(BANANA)}))


def test_cut_pictures_are_refused(tmp_path: Path):
    scene = write_scene(tmp_path, "banana", {"00/banana.png": Image.fromarray(BANANA)})
    path = scene / "segmentations" / "00" / "banana.png"
    content = path.read_bytes()
    for length in (0, 20, len(content) // 2):
        path.write_bytes(content[:length])
        with pytest.raises(ImageFileError, match=r"banana\.png"):
            read_three_d_ovs(scene)
