"""Masks along a camera path: against the truth of every pixel, and as PNG and COCO files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from tests.vision3d.export.ball_laga import make_ball_laga
from tests.vision3d.laga.colour_words import ColourWords
from vision3d.errors import InvalidInputError
from vision3d.export.coco_file import CocoAnnotations, packed_counts, run_lengths
from vision3d.export.mask_files import write_masks
from vision3d.export.path_masks import path_masks
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.query_scene import SceneQueries
from vision3d.masks.coco_masks import coco_labels, decoded, mask_of_counts, unpacked_counts


@pytest.fixture(scope="module")
def made():
    return make_ball_laga(4)


def test_masks_of_all_objects_are_the_true_pixels(made) -> None:
    chosen = {f"ball {ball}": made.truth == ball for ball in range(4)}
    for row, one in enumerate(path_masks(made.laga.scene, chosen, made.balls.cameras)):
        assert one.view == made.balls.cameras.names[row]
        for ball in range(4):
            truth = made.balls.labels[row] == ball
            mask = one.masks[f"ball {ball}"]
            assert (mask & truth).sum() / (mask | truth).sum() >= 0.85


def test_a_selection_is_seen_as_the_query_sees_it(made) -> None:
    queries = SceneQueries(made.laga, ColourWords(), config=QueryConfig(neighbours=1))
    answer = queries.text("green")
    rows = answer.chosen.nonzero().flatten()
    (seen,) = path_masks(made.laga.scene, {"green": rows}, made.balls.cameras.select(["view_02"]))
    assert np.array_equal(seen.masks["green"], queries.masks(answer, made.balls.cameras.select(["view_02"]))[0].numpy())


@pytest.mark.parametrize(
    ("chosen", "threshold"), [({}, 0.5), ({"a": torch.tensor([0])}, 0.0), ({"a": torch.ones(3, dtype=torch.bool)}, 0.5)]
)
def test_nothing_to_mask_is_refused(made, chosen, threshold: float) -> None:
    with pytest.raises(InvalidInputError):
        path_masks(made.laga.scene, chosen, made.balls.cameras, threshold=threshold)


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)))
def test_run_lengths_come_back(mask: np.ndarray) -> None:
    runs = run_lengths(mask)
    assert np.array_equal(mask_of_counts(runs, *mask.shape), mask)
    assert unpacked_counts(packed_counts(runs)) == runs


@given(st.lists(st.integers(0, 2**21), max_size=12))
def test_any_counts_come_back_from_letters(counts: list[int]) -> None:
    assert unpacked_counts(packed_counts(counts)) == counts


def test_the_files_hold_the_masks(made, tmp_path: Path) -> None:
    chosen = {"red ball": made.truth == 0, "a green one": made.truth == 1}
    cameras = made.balls.cameras
    masks = list(path_masks(made.laga.scene, chosen, cameras))
    stems = {"red ball": "01_red_ball", "a green one": "02_a_green_one"}
    written = write_masks(masks, tmp_path, stems=stems, views=cameras.names)
    content = json.loads((tmp_path / "masks.json").read_text())
    assert [image["file_name"] for image in content["images"]] == list(cameras.names)
    assert {category["id"]: category["name"] for category in content["categories"]} == {1: "red ball", 2: "a green one"}
    for annotation in content["annotations"]:
        view = content["images"][annotation["image_id"] - 1]["file_name"]
        name = content["categories"][annotation["category_id"] - 1]["name"]
        truth = masks[cameras.names.index(view)].masks[name]
        assert np.array_equal(decoded(annotation["segmentation"], 64, 64), truth)
        left, top, width, height = annotation["bbox"]
        assert truth[top : top + height, left : left + width].sum() == truth.sum() == annotation["area"]
        assert np.array_equal(np.asarray(Image.open(tmp_path / written[name][view])) == 255, truth)
    labels = coco_labels(content, tmp_path, set(cameras.names))
    assert set(labels) == set(cameras.names)


def test_an_empty_mask_leaves_the_picture_alone() -> None:
    annotations = CocoAnnotations(("a",))
    annotations.add("x.png", "a", np.zeros((3, 4), bool))
    assert annotations.content["annotations"] == []
    assert annotations.content["images"] == [{"id": 1, "file_name": "x.png", "width": 4, "height": 3}]
    with pytest.raises(InvalidInputError, match="one size"):
        annotations.add("x.png", "a", np.zeros((4, 4), bool))
