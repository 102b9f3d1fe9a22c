"""Masks people already have: every layout gives the same label maps, and what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vision3d.errors import InvalidInputError
from vision3d.masks.coco_masks import decoded, unpacked_counts
from vision3d.masks.own_masks import read_langsplat, read_own_masks

NAMES = ("photos/a.jpg", "photos/b.JPG")
SIZE = (12, 8)
TRUTH = np.full((2, 8, 12), -1)
TRUTH[:, 1:5, 2:7] = 0
TRUTH[0, 3:7, 8:11] = 1
TRUTH[1, 2:4, 3:5] = 1
"""One rectangle each, and a second: beside the first one in a, inside it in b."""


def same_masks(found: np.ndarray, truth: np.ndarray) -> bool:
    """Equal up to the numbers of the masks."""
    pairs = set(zip(found.ravel().tolist(), truth.ravel().tolist(), strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) and (
        ((found < 0) == (truth < 0)).all()
    )


def png(path: Path, values: np.ndarray, dtype: type = np.uint8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(dtype)).save(path)


@pytest.mark.parametrize(("scale", "dtype"), [(1, np.uint8), (7, np.uint8), (300, np.uint16)])
def test_instance_pictures_of_8_and_16_bits(tmp_path: Path, scale: int, dtype: type) -> None:
    for stem, truth in zip("ab", TRUTH, strict=True):
        png(tmp_path / f"{stem}.png", (truth + 1) * scale, dtype)
    masks = read_own_masks(tmp_path, NAMES, SIZE)
    assert masks.view_names == NAMES
    assert masks.level_names == ("object",)
    assert all(same_masks(found[0], truth) for found, truth in zip(masks.labels, TRUTH, strict=True))


def test_a_palette_is_numbers(tmp_path: Path) -> None:
    picture = Image.fromarray((TRUTH[0] + 1).astype(np.uint8), mode="P")
    picture.putpalette([0, 0, 0, 250, 10, 10, 10, 10, 250])
    picture.save(tmp_path / "a.png")
    assert same_masks(read_own_masks(tmp_path, NAMES[:1], SIZE).labels[0, 0], TRUTH[0])


def test_folders_are_levels_from_fine_to_coarse(tmp_path: Path) -> None:
    for level, keep in (("l", 1), ("s", 2)):
        for stem, truth in zip("ab", TRUTH, strict=True):
            png(tmp_path / level / f"{stem}.png", np.where(truth < keep, truth + 1, 0))
    masks = read_own_masks(tmp_path, NAMES, SIZE)
    assert masks.level_names == ("s", "l")
    assert same_masks(masks.labels[1, 0], TRUTH[1])
    assert same_masks(masks.labels[1, 1], np.where(TRUTH[1] < 1, TRUTH[1], -1))


def langsplat(truth: np.ndarray) -> np.ndarray:
    """Four levels whose numbers run on: all masks, the second one, the first one, none."""
    levels = [truth, np.where(truth == 1, 2, -1), np.where(truth == 0, 3, -1), np.full_like(truth, -1)]
    return np.stack(levels).astype(np.float32)


def test_langsplat_arrays(tmp_path: Path) -> None:
    for stem, truth in zip("ab", TRUTH, strict=True):
        np.save(tmp_path / f"{stem}_s.npy", langsplat(truth))
    masks = read_own_masks(tmp_path, NAMES, SIZE)
    assert masks.level_names == ("s", "m", "l")
    assert masks.labels.dtype == np.int16
    np.testing.assert_array_equal(masks.labels[:, 0], np.where(TRUTH == 1, 0, -1))
    np.testing.assert_array_equal(masks.labels[:, 1], np.where(TRUTH == 0, 0, -1))
    assert (masks.labels[:, 2] == -1).all()
    numbers = read_langsplat(tmp_path / "a_s.npy", SIZE)[1]
    assert [row.tolist() for row in numbers] == [[2], [3], []]


def coco(segment) -> dict:
    content: dict = {"images": [], "annotations": []}
    for number, (stem, truth) in enumerate(zip("ab", TRUTH, strict=True)):
        content["images"].append({"id": number, "file_name": f"x/{stem}.png", "width": 12, "height": 8})
        whole = np.isin(truth, [0, 1]) & (np.arange(12) < 7) & (np.arange(8) < 5)[:, None]
        for mask in (truth == 1, whole if stem == "b" else truth == 0):
            content["annotations"].append({"image_id": number, "segmentation": segment(mask)})
    return content


def runs(mask: np.ndarray) -> dict:
    flat = np.concatenate([[False], mask.T.ravel(), [True]])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    ends = np.append(ends[ends < mask.size], mask.size)
    return {"size": list(mask.shape), "counts": np.diff(np.concatenate([[0], ends])).tolist()}


def test_coco_run_lengths_with_the_small_mask_on_top(tmp_path: Path) -> None:
    """In b the second rectangle lies inside the first, whose annotation covers both."""
    (tmp_path / "all.json").write_text(json.dumps(coco(runs)))
    masks = read_own_masks(tmp_path, NAMES, SIZE)
    assert all(same_masks(found[0], truth) for found, truth in zip(masks.labels, TRUTH, strict=True))


def test_coco_polygons(tmp_path: Path) -> None:
    def corners(mask: np.ndarray) -> list[list[int]]:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        left, right, top, bottom = columns[0], columns[-1], rows[0], rows[-1]
        return [[int(value) for value in (left, top, right, top, right, bottom, left, bottom)]]

    (tmp_path / "all.json").write_text(json.dumps(coco(corners)))
    masks = read_own_masks(tmp_path, NAMES, SIZE)
    assert all(same_masks(found[0], truth) for found, truth in zip(masks.labels, TRUTH, strict=True))


@pytest.mark.parametrize("seed", range(6))
def test_packed_runs_are_those_of_pycocotools(seed: int) -> None:
    coder = pytest.importorskip("pycocotools.mask")
    random = np.random.default_rng(seed)
    mask = random.random((41, 67)) < random.choice([0.02, 0.5, 0.98])
    packed = coder.encode(np.asfortranarray(mask.astype(np.uint8)))
    np.testing.assert_array_equal(decoded(packed, 41, 67), mask)
    assert sum(unpacked_counts(packed["counts"])) == mask.size


def test_masks_of_larger_photos_are_brought_to_size(tmp_path: Path) -> None:
    png(tmp_path / "a.png", np.kron(TRUTH[0] + 1, np.ones((3, 3))))
    assert same_masks(read_own_masks(tmp_path, NAMES[:1], SIZE).labels[0, 0], TRUTH[0])


def test_the_source_changes_with_the_files(tmp_path: Path) -> None:
    png(tmp_path / "a.png", TRUTH[0] + 1)
    first = read_own_masks(tmp_path, NAMES[:1], SIZE).source
    assert read_own_masks(tmp_path, NAMES[:1], SIZE).source == first
    png(tmp_path / "a.png", TRUTH[1] + 1)
    assert read_own_masks(tmp_path, NAMES[:1], SIZE).source != first


def refused(folder: Path, match: str, size: tuple[int, int] = SIZE) -> None:
    with pytest.raises(InvalidInputError, match=match):
        read_own_masks(folder, NAMES[:1], size)


def test_an_empty_folder_and_missing_photos_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, "found none of them")
    png(tmp_path / "other.png", TRUTH[0] + 1)
    refused(tmp_path, r"a\.png: expected the masks")


def test_colours_and_other_shapes_are_refused(tmp_path: Path) -> None:
    png(tmp_path / "a.png", np.zeros((8, 12, 3)))
    refused(tmp_path, "not colours")
    png(tmp_path / "a.png", TRUTH[0] + 1)
    refused(tmp_path, "shape of the photo", size=(12, 12))


def test_arrays_that_are_none_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a_s.npy", np.array([{"a": 1}], dtype=object))
    refused(tmp_path, "array of numbers")
    np.save(tmp_path / "a_s.npy", np.zeros((3, 8, 12)))
    refused(tmp_path, r"\[4 height width\]")


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        "[]",
        '{"images": [{"id": 1, "file_name": "a.jpg", "width": 12, "height": 8}]}',
        '{"images": [{"id": 1, "file_name": "a.jpg", "width": 12, "height": 8}], '
        '"annotations": [{"image_id": 1, "segmentation": {"size": [8, 12], "counts": [3, 4]}}]}',
        '{"images": [{"id": 1, "file_name": "a.jpg", "width": 12, "height": 8}], '
        '"annotations": [{"image_id": 1, "segmentation": {"size": [8, 9], "counts": [72]}}]}',
    ],
)
def test_broken_coco_files_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "masks.json").write_text(content)
    refused(tmp_path, r"masks\.json: expected")


def test_coco_without_the_photo_is_refused(tmp_path: Path) -> None:
    (tmp_path / "masks.json").write_text('{"images": [], "annotations": []}')
    refused(tmp_path, "found none of 1: photos/a.jpg")
