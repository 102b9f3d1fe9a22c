"""Ground truth written as instance masks: what is asked where, and files that are not of the layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vision3d.errors import InvalidInputError
from vision3d.evaluation.instance_scene import LEAST_PIXELS, read_instance_ids, read_instance_scene

_OBJECTS = [{"name": "mug", "side_phrases": ["the mug's print"]}, {"name": "ball", "side_phrases": []}]
_QUERIES = [
    {"phrase": "mug", "kind": "name", "ids": [1]},
    {"phrase": "round things", "kind": "category", "ids": [1, 2]},
    {"phrase": "unicorn", "kind": "absent", "ids": []},
]


def _write(folder: Path, content: Any) -> None:
    (folder / "masks").mkdir(exist_ok=True)
    (folder / "objects.json").write_text(json.dumps(content), encoding="utf-8")
    first = np.zeros((12, 16), np.uint8)
    first[2:8, 3:9] = 1  # 36 pixels
    first[9:11, 10:15] = 2  # 10 pixels
    second = np.zeros((12, 16), np.uint8)
    second[0, : LEAST_PIXELS // 2] = 1
    second[1:3, : LEAST_PIXELS // 4] = 1  # one pixel short
    second[5:10, 0:8] = 2  # 40 pixels
    for name, mask in (("a", first), ("b", second)):
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _write(tmp_path, {"objects": _OBJECTS, "queries": _QUERIES})
    return tmp_path


def test_phrases_are_asked_where_what_they_mean_is_seen(folder: Path) -> None:
    scene = read_instance_scene(folder, ["a.jpg", "b.png"])
    asked = [(truth.phrase, truth.view_name, int(truth.mask.sum())) for truth in scene.truths]
    # in b the mug has 15 + 14 pixels, one short of what is asked
    assert asked == [("mug", "a.jpg", 36), ("round things", "a.jpg", 46), ("round things", "b.png", 69)]
    assert scene.truths[0].boxes.tolist() == [[3, 2, 9, 8]]
    assert scene.truths[1].boxes.tolist() == [[3, 2, 9, 8], [10, 9, 15, 11]]
    assert scene.kinds == {"mug": "name", "round things": "category", "unicorn": "absent"}
    assert scene.absent == ("unicorn",)
    assert scene.side_objects == ("mug",)


def test_numbers_are_read_as_they_were_written(folder: Path) -> None:
    ids = read_instance_ids(folder, "photos/a.jpg")
    assert ids.shape == (12, 16)
    assert torch.bincount(ids.flatten()).tolist() == [146, 36, 10]


def test_numbers_above_a_byte_are_read(folder: Path) -> None:
    Image.fromarray(np.full((4, 4), 700, np.uint16)).save(folder / "masks" / "c.png")
    assert read_instance_ids(folder, "c").unique().tolist() == [700]


@pytest.mark.parametrize(
    "content",
    [
        {"objects": _OBJECTS},
        {"objects": _OBJECTS, "queries": [{"phrase": "mug", "kind": "name"}]},
        {"objects": [{"name": "mug"}], "queries": _QUERIES},
        [1, 2],
        {"objects": 3, "queries": 4},
    ],
)
def test_files_of_another_layout_are_refused(tmp_path: Path, content: Any) -> None:
    _write(tmp_path, content)
    with pytest.raises(InvalidInputError, match=r"expected objects\.json and masks/<view>\.png, found"):
        read_instance_scene(tmp_path, ["a"])


def test_missing_and_broken_files_are_refused(folder: Path) -> None:
    with pytest.raises(InvalidInputError, match="FileNotFoundError"):
        read_instance_scene(folder, ["nowhere"])
    (folder / "masks" / "a.png").write_bytes(b"no picture")
    with pytest.raises(InvalidInputError, match="UnidentifiedImageError"):
        read_instance_scene(folder, ["a"])
    (folder / "objects.json").write_text("{", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="JSONDecodeError"):
        read_instance_scene(folder, ["b"])


def test_coloured_masks_are_refused(folder: Path) -> None:
    Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(folder / "masks" / "a.png")
    with pytest.raises(InvalidInputError, match="12 x 16 x 3"):
        read_instance_scene(folder, ["a"])
