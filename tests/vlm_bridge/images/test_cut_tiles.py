"""Tiles of pictures: as transformers cuts them, and one by one as in a batch."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import GotOcr2ImageProcessor, GotOcr2ImageProcessorPil

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.images.cut_tiles import cut_tiles
from vlm_bridge.images.tile_batch import IMAGENET_MEAN, IMAGENET_STD, TilingConfig

SMALL = TilingConfig(tile_size=28, max_tiles=12)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def settings(config: TilingConfig) -> dict:
    return {
        "size": {"height": config.tile_size, "width": config.tile_size},
        "crop_to_patches": True,
        "min_patches": config.min_tiles,
        "max_patches": config.max_tiles,
        "image_mean": config.mean,
        "image_std": config.std,
    }


def test_random_sizes_equal_transformers_value_for_value() -> None:
    draw = random.Random(3)
    processor = GotOcr2ImageProcessorPil(**settings(SMALL))
    for number in range(100):
        image = noise(draw.randint(1, 300), draw.randint(1, 300), number)
        ours = cut_tiles([image], SMALL)
        theirs = processor([image], return_tensors="pt")
        assert ours.counts == tuple(theirs["num_patches"].tolist())
        # Both divide the same 8-bit values; 1e-6 is a few last places of a float32 near 2.
        torch.testing.assert_close(ours.pixels, theirs["pixel_values"].float(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("config", [TilingConfig(), TilingConfig(max_tiles=1), TilingConfig(min_tiles=2, max_tiles=4)])
def test_full_size_tiles_equal_transformers(config: TilingConfig) -> None:
    images = [noise(700, 300), noise(64, 64, 1), noise(500, 1200, 2)]
    theirs = GotOcr2ImageProcessorPil(**settings(config))(images, return_tensors="pt")
    ours = cut_tiles(images, config)
    assert ours.counts == tuple(theirs["num_patches"].tolist())
    torch.testing.assert_close(ours.pixels, theirs["pixel_values"].float(), rtol=0, atol=1e-6)


def test_torchvision_processor_agrees_within_its_rounding() -> None:
    image = noise(200, 130)
    theirs = GotOcr2ImageProcessor(**settings(SMALL))([image], return_tensors="pt")["pixel_values"]
    # It resizes in another order of sums: values differ by at most one or two of 255 steps, each 1 / (255 * 0.224).
    assert (cut_tiles([image], SMALL).pixels - theirs).abs().max() < 2.5 / (255 * 0.224)


def test_tiles_go_row_by_row_and_the_thumbnail_is_last() -> None:
    side = 28
    colours = np.array([[10, 20, 30], [40, 50, 60]], dtype=np.uint8)
    image = Image.fromarray(np.kron(colours, np.ones((side, side), dtype=np.uint8)))
    plain = TilingConfig(tile_size=side, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    batch = cut_tiles([image], plain)
    assert batch.counts == (7,)
    middles = (batch.pixels[:6, 0, side // 2, side // 2] * 255).round()
    assert middles.tolist() == [10, 20, 30, 40, 50, 60]
    # The mean of the whole, where bicubic overshoot at the edges cancels to less than one step.
    assert float(batch.pixels[6].mean() * 255) == pytest.approx(35, abs=1)


def test_normalisation_is_that_of_imagenet() -> None:
    batch = cut_tiles([Image.new("RGB", (5, 5), (255, 0, 51))], SMALL)
    expected = [
        (value - mean) / std for value, mean, std in zip((1.0, 0.0, 0.2), IMAGENET_MEAN, IMAGENET_STD, strict=True)
    ]
    assert batch.pixels[0, :, 3, 3].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("size", "count"),
    [((1, 2000), 13), ((2000, 1), 13), ((1, 1), 1), ((3, 90), 13), ((90, 3), 13), ((30, 1), 13), ((1, 2), 3)],
)
def test_narrow_pictures_keep_their_colours(size: tuple[int, int], count: int) -> None:
    batch = cut_tiles([Image.new("RGB", size, (255, 0, 0))], SMALL)
    # 12 tiles and the thumbnail; 1 x 2 is exactly two tiles and the thumbnail.
    assert batch.counts == (count,)
    assert torch.all(batch.pixels[:, 0] > 2)
    assert torch.all(batch.pixels[:, 1] < -2)


def test_batch_equals_one_by_one() -> None:
    images = [noise(40, 90), noise(28, 28, 1).convert("L"), noise(100, 30, 2).convert("RGBA")]
    batch = cut_tiles(images, SMALL)
    alone = [cut_tiles([image], SMALL) for image in images]
    assert batch.counts == tuple(one.counts[0] for one in alone)
    assert torch.equal(batch.pixels, torch.cat([one.pixels for one in alone]))


def test_no_pictures_give_no_tiles() -> None:
    batch = cut_tiles([], SMALL)
    assert batch.counts == ()
    assert tuple(batch.pixels.shape) == (0, 3, 28, 28)


def test_empty_picture_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="0 x 7"):
        cut_tiles([Image.new("RGB", (0, 7))], SMALL)
