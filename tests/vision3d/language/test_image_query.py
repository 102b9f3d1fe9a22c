"""A crop as a query means the same as a mask of the same pixels."""

from __future__ import annotations

import pytest
import torch

from vision3d.errors import InvalidInputError
from vision3d.language.crops import CropSettings
from vision3d.language.image_query import encode_image_query
from vision3d.language.mask_features import encode_masks
from vision3d.language.open_clip_encoder import OpenClipEncoder


@pytest.mark.parametrize("shape", [(1, 1), (9, 20), (90, 31)])
@pytest.mark.parametrize("settings", [None, CropSettings(padding="white", antialias=False, minimum_pixels=50)])
def test_equals_a_mask_that_fills_the_crop(
    encoder: OpenClipEncoder, shape: tuple[int, int], settings: CropSettings | None
):
    photo = torch.randint(0, 256, (100, 60, 3), dtype=torch.uint8)
    labels = torch.full((1, 100, 60), -1)
    top, left, (height, width) = 5, 7, shape
    labels[0, top : top + height, left : left + width] = 4
    crop = photo[top : top + height, left : left + width]
    kept = None if settings is None else CropSettings(padding=settings.padding, antialias=settings.antialias)
    mask = encode_masks(photo, labels, encoder, kept).vectors[0]
    torch.testing.assert_close(encode_image_query(crop, encoder, settings), mask, atol=1e-6, rtol=0)


def test_a_crop_without_pixels_is_refused(encoder: OpenClipEncoder):
    with pytest.raises(InvalidInputError, match=r"\(0, 5, 3\)"):
        encode_image_query(torch.zeros(0, 5, 3, dtype=torch.uint8), encoder)
