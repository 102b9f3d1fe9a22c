"""LERF-OVS frames written by hand: merged categories, fractions, boxes, and files that are no annotation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from vision3d.errors import InvalidInputError
from vision3d.evaluation.lerf_ovs import read_lerf_ovs


def entry(category: Any, segmentation: Any, bbox: Any) -> dict[str, Any]:
    return {"category": category, "segmentation": segmentation, "bbox": bbox}


def write_frame(folder: Path, number: int, objects: Any, **info: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"name": f"frame_{number:05d}.jpg", "height": 6, "width": 8} | info
    path = folder / f"frame_{number:05d}.json"
    path.write_text(json.dumps({"info": facts, "objects": objects}), encoding="utf-8")
    path.with_suffix(".jpg").write_bytes(b"the photo beside it is not read")
    return path


def test_objects_of_one_category_are_one_pair(tmp_path: Path):
    write_frame(
        tmp_path,
        41,
        [
            entry("spoon", [[0, 0], [1, 0], [1, 1], [0, 1]], [0, 0, 1, 1]),
            entry("Stainless steel pots", [[3.9, 2.9], [6.2, 2.9], [6.2, 4.7], [3.9, 4.7]], [[3.9, 2.9], [6.2, 4.7]]),
            entry(" spoon ", [[6, 5], [7, 5], [7, 5]], [7, 5, 6, 5]),
        ],
    )
    write_frame(tmp_path, 7, [entry("spoon", [[2, 2], [2, 2], [2, 2]], [2, 2, 2, 2])])
    early, spoon, pots = read_lerf_ovs(tmp_path)
    assert [truth.view_name for truth in (early, spoon, pots)] == [
        "frame_00007.jpg",
        "frame_00041.jpg",
        "frame_00041.jpg",
    ]
    assert (early.phrase, spoon.phrase, pots.phrase) == ("spoon", "spoon", "Stainless steel pots")
    # Four pixels of the square and two of the line; the second box is turned to left, top, right, bottom.
    assert spoon.mask.nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [5, 6], [5, 7]]
    assert spoon.boxes.tolist() == [[0, 0, 1, 1], [6, 5, 7, 5]]
    # Fractions of corners are cut off: columns 3 to 6, rows 2 to 4.
    assert int(pots.mask.sum()) == 12
    assert pots.mask[2:5, 3:7].all()
    torch.testing.assert_close(pots.boxes, torch.tensor([[3.9, 2.9, 6.2, 4.7]]))
    assert early.mask.nonzero().tolist() == [[2, 2]]


def test_a_frame_without_objects_has_no_pairs(tmp_path: Path):
    write_frame(tmp_path, 1, [])
    assert read_lerf_ovs(tmp_path) == []


SQUARE = [[0, 0], [1, 0], [1, 1]]


@pytest.mark.parametrize(
    "wrong",
    [
        entry("", SQUARE, [0, 0, 1, 1]),
        entry(7, SQUARE, [0, 0, 1, 1]),
        entry("spoon", [[0, 0], [1, 1]], [0, 0, 1, 1]),
        entry("spoon", [0, 0, 1, 1, 2, 2], [0, 0, 1, 1]),
        entry("spoon", [[0, 0], [1, None], [1, 1]], [0, 0, 1, 1]),
        entry("spoon", [[0, 0], [1], [1, 1]], [0, 0, 1, 1]),
        entry("spoon", SQUARE, [0, 0, 1]),
        entry("spoon", SQUARE, [0, 0, 1, float("nan")]),
        {"category": "spoon", "segmentation": SQUARE},
        "spoon",
    ],
)
def test_objects_that_are_none_are_refused_with_their_file(tmp_path: Path, wrong: Any):
    path = write_frame(tmp_path, 2, [entry("mug", SQUARE, [0, 0, 1, 1]), wrong])
    with pytest.raises(InvalidInputError, match="expected info with name") as caught:
        read_lerf_ovs(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("cut", [0, 1, 40, -2])
def test_cut_files_are_refused(tmp_path: Path, cut: int):
    path = write_frame(tmp_path, 2, [entry("mug", SQUARE, [0, 0, 1, 1])])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InvalidInputError, match="Download it again"):
        read_lerf_ovs(tmp_path)


@pytest.mark.parametrize("info", [{"height": 0}, {"width": "wide"}, {"height": None}])
def test_sizes_that_are_none_are_refused(tmp_path: Path, info: dict):
    write_frame(tmp_path, 2, [], **info)
    with pytest.raises(InvalidInputError, match="expected"):
        read_lerf_ovs(tmp_path)


def test_folders_without_frames_are_refused(tmp_path: Path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InvalidInputError, match="label/<scene>"):
            read_lerf_ovs(folder)
