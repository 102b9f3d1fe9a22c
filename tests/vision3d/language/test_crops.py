"""Crops of masks: numbers worked by hand, and the published recipe in plain loops of PIL and OpenCV."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.language.crops import CropSettings, MaskBoxes, crop_masks, mask_boxes

Background = Literal["white", "black", "photo"]
SHARP = CropSettings(antialias=False)


def grey(rows: list[list[int]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.uint8)[..., None].expand(-1, -1, 3).contiguous()


def red_of(rows: list[list[int]], labels: list[list[int]], size: int, settings: CropSettings) -> Tensor:
    """The red channel of the crop of mask 0."""
    numbers = torch.tensor(labels)
    crops = crop_masks(grey(rows), numbers, mask_boxes(numbers), size, settings)
    assert torch.equal(crops[0, 0], crops[0, 1])
    return crops[0, 0]


def some_view(seed: int, height: int = 40, width: int = 56) -> tuple[Tensor, Tensor]:
    """Smooth colours, and six masks with holes of all shapes among pixels without a mask."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    labels = cv2.resize(random.integers(-1, 6, (7, 9)).astype(np.float32), (width, height), interpolation=0)
    return torch.from_numpy(image.copy()), torch.from_numpy(labels.astype(np.int64))


def test_a_flat_mask_lies_in_the_upper_half_above_black_padding():
    # The box is 2 x 1: (2 - 1) // 2 = 0 rows of padding above, one below.
    crop = red_of([[9, 9, 9], [9, 51, 102], [9, 9, 9]], [[-1, -1, -1], [-1, 0, 0], [-1, -1, -1]], 2, SHARP)
    torch.testing.assert_close(crop, torch.tensor([[0.2, 0.4], [0.0, 0.0]]))


def test_padding_of_three_is_one_before_and_two_after():
    # 1 wide, 4 tall: (4 - 1) // 2 = 1 column to the left, 2 to the right.
    crop = red_of([[255]] * 4, [[0]] * 4, 4, SHARP)
    torch.testing.assert_close(crop, torch.tensor([[0.0, 1.0, 0.0, 0.0]] * 4))


@pytest.mark.parametrize(("background", "outside"), [("white", 1.0), ("black", 0.0), ("photo", 0.2)])
def test_pixels_of_the_box_that_are_not_the_mask(background: Background, outside: float):
    crop = red_of([[102, 51], [102, 102]], [[0, -1], [0, 0]], 2, CropSettings(background=background, antialias=False))
    torch.testing.assert_close(crop, torch.tensor([[0.4, outside], [0.4, 0.4]]))


def test_white_padding():
    crop = red_of([[51, 51]], [[0, 0]], 2, CropSettings(padding="white", antialias=False))
    torch.testing.assert_close(crop, torch.tensor([[0.2, 0.2], [1.0, 1.0]]))


def test_growing_samples_between_pixel_centres():
    # Pixel i of 4 looks at (i + 0.5) * 2 / 4 - 0.5 = -0.25, 0.25, 0.75, 1.25; the ends stay on the outer pixels.
    for antialias in (False, True):
        crop = red_of([[0, 255], [0, 255]], [[0, 0], [0, 0]], 4, CropSettings(antialias=antialias))
        torch.testing.assert_close(crop[0], torch.tensor([0.0, 0.25, 0.75, 1.0]))


def test_shrinking_without_smoothing_looks_at_two_pixels():
    # Pixel i of 2 looks at (i + 0.5) * 8 / 2 - 0.5 = 1.5 and 5.5: halfway between 1 and 2, and 5 and 6.
    row = [255, 51, 102, 255, 255, 204, 153, 255]
    crop = red_of([row] * 8, [[0] * 8] * 8, 2, SHARP)
    torch.testing.assert_close(crop[0], torch.tensor([0.3, 0.7]))


def test_shrinking_with_smoothing_weighs_all_pixels_by_a_triangle():
    # A triangle of half-width 4 around 2 weighs the pixel centres 0.5 .. 5.5 by 5 7 7 5 3 1 eighths, 28 in all.
    row = [255, 0, 0, 0, 0, 255, 0, 0]
    crop = red_of([row] * 8, [[0] * 8] * 8, 2, CropSettings())
    torch.testing.assert_close(crop[0], torch.tensor([6 / 28, 7 / 28]))


def plain_crop(image: np.ndarray, own: np.ndarray, size: int, background: Background, *, antialias: bool) -> np.ndarray:
    """The published recipe, a mask at a time on bytes."""
    kept = image.copy()
    if background != "photo":
        kept[~own] = 255 if background == "white" else 0
    rows, columns = np.nonzero(own.any(1))[0], np.nonzero(own.any(0))[0]
    box = kept[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = box.shape[:2]
    square = np.zeros((max(height, width),) * 2 + (3,), np.uint8)
    above, before = (len(square) - height) // 2, (len(square) - width) // 2
    square[above : above + height, before : before + width] = box
    if antialias:
        return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BILINEAR))
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("background", ["white", "black", "photo"])
@pytest.mark.parametrize("size", [7, 32, 96])
def test_equals_the_published_recipe_mask_by_mask(background: Background, antialias: bool, size: int):
    image, labels = some_view(seed=size)
    masks = mask_boxes(labels)
    crops = crop_masks(image, labels, masks, size, CropSettings(background=background, antialias=antialias))
    for crop, number in zip(crops, masks.number.tolist(), strict=True):
        plain = plain_crop(image.numpy(), (labels == number).numpy(), size, background, antialias=antialias)
        # Both others round to bytes, PIL after each of its two passes.
        assert np.abs(crop.permute(1, 2, 0).numpy() * 255 - plain).max() <= 1.01


@given(st.integers(0, 1000), st.integers(1, 5))
def test_one_by_one_equals_all_at_once(seed: int, size: int):
    image, labels = some_view(seed)
    masks = mask_boxes(labels)
    alone = [crop_masks(image, labels, batch, 16) for batch in masks.batches(size)]
    assert torch.equal(torch.cat(alone), crop_masks(image, labels, masks, 16))


@given(st.integers(0, 1000), st.integers(1, 300))
def test_boxes_are_the_tight_ones(seed: int, minimum: int):
    labels = some_view(seed)[1]
    expected = []
    for number in range(6):
        rows, columns = np.nonzero((labels == number).numpy())
        if len(rows) >= minimum:
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            expected.append((number, [int(edge) for edge in box], len(rows)))
    masks = mask_boxes(labels, minimum_pixels=minimum)
    found = list(zip(masks.number.tolist(), masks.box.tolist(), masks.pixels.tolist(), strict=True))
    assert found == expected


def test_a_view_without_masks_has_no_crops():
    labels = torch.full((4, 5), -1, dtype=torch.int16)
    masks = mask_boxes(labels)
    assert len(masks) == 0
    assert list(masks.batches(4)) == []
    assert crop_masks(grey([[0] * 5] * 4), labels, masks, 8).shape == (0, 3, 8, 8)


@pytest.mark.usefixtures("unchecked_shapes")
def test_label_maps_of_another_size_are_refused():
    labels = torch.zeros(3, 4, dtype=torch.int64)
    with pytest.raises(InvalidInputError, match=r"size \(2, 4\), found \(3, 4\)"):
        crop_masks(grey([[0] * 4] * 2), labels, mask_boxes(labels), 8)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    "wrong", [{"background": "blur"}, {"padding": "photo"}, {"minimum_pixels": 0}, {"batch_size": 0}]
)
def test_settings_out_of_range_are_refused(wrong: dict):
    with pytest.raises(InvalidInputError, match="expected"):
        CropSettings(**wrong)


def test_a_batch_keeps_numbers_boxes_and_sizes_together():
    masks = mask_boxes(torch.tensor([[0, 1, 1, 2]]))
    first, second = masks.batches(2)
    assert isinstance(first, MaskBoxes)
    assert (first.number.tolist(), second.number.tolist()) == ([0, 1], [2])
    assert (first.pixels.tolist(), second.box.tolist()) == ([1, 2], [[3, 0, 4, 1]])
