"""A picture as a query: what it shows is looked for, by the same recipe the masks of a scene were encoded with."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.language.crops import CropSettings, crop_masks, mask_boxes
from vision3d.language.image_text_encoder import ImageTextEncoder


def encode_image_query(
    image: UInt8[Tensor, "height width 3"], encoder: ImageTextEncoder, settings: CropSettings | None = None
) -> Float[Tensor, " dim"]:
    """Unit vector of a crop around one thing: padded to a square, resized and encoded.

    The whole crop counts as the thing, so cut it close. Padding and smoothing follow `settings`, as they did for the
    masks it is compared with; there is no background.

    Raises:
        InvalidInputError: the crop has no pixels.
    """
    if 0 in image.shape:
        raise InvalidInputError(
            f"Expected a crop of a photo with at least one pixel, found one of shape {tuple(image.shape)}. "
            "Draw a larger box."
        )
    everything = torch.zeros(image.shape[:2], dtype=torch.int64, device=image.device)
    crop = crop_masks(image, everything, mask_boxes(everything), encoder.image_size, settings)
    return encoder.encode_images(crop)[0]
