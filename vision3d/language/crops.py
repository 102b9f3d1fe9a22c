"""Square crops of masks for an image encoder: the pixels of one mask on a plain ground, padded and resized.

Label maps hold the number of the mask at each pixel, counted from 0, and -1 where there is none.

Source: the crop recipe of LangSplat (black ground) and LaGa (white ground): tight box without a margin, black padding
to a centred square, bilinear resize with half-pixel centres. They resize without a low-pass, `antialias=False` here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn.functional import interpolate, pad

from vision3d.errors import InvalidInputError

_LEVELS = {"white": 1.0, "black": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class CropSettings:
    """How a mask becomes a picture."""

    background: Literal["white", "black", "photo"] = "white"
    """What stands where the box is not the mask; `photo` keeps the surroundings."""
    padding: Literal["white", "black"] = "black"
    """What fills the box up to a square."""
    antialias: bool = True
    """Smooth before shrinking boxes that are larger than the encoder's picture; False samples single points."""
    minimum_pixels: int = 1
    """Masks with fewer pixels are left out."""
    batch_size: int = 64
    """Crops made and encoded at a time, which bounds the memory."""

    def __post_init__(self) -> None:
        if self.background not in (*_LEVELS, "photo") or self.padding not in _LEVELS:
            raise InvalidInputError(
                f"CropSettings: expected a background of white, black, photo and a padding of white, black, found "
                f"{self.background!r} and {self.padding!r}. Choose one of these."
            )
        if self.minimum_pixels < 1 or self.batch_size < 1:
            raise InvalidInputError(
                f"CropSettings: expected minimum_pixels and batch_size of at least 1, found {self.minimum_pixels} and "
                f"{self.batch_size}. Raise them."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskBoxes:
    """The masks of one label map that have pixels, by rising number."""

    number: Int[Tensor, " mask"]
    """Value in the label map."""
    box: Int[Tensor, "mask 4"]
    """Left, top, right, bottom in pixels; right and bottom are the first ones outside."""
    pixels: Int[Tensor, " mask"]
    """Size of each mask."""

    def __len__(self) -> int:
        return len(self.number)

    def batches(self, size: int) -> Iterator[MaskBoxes]:
        """The masks in order, at most `size` at a time."""
        parts = (self.number.split(size), self.box.split(size), self.pixels.split(size))
        for number, box, pixels in zip(*parts, strict=True):
            if len(number):
                yield MaskBoxes(number=number, box=box, pixels=pixels)


def mask_boxes(labels: Int[Tensor, "height width"], *, minimum_pixels: int = 1) -> MaskBoxes:
    """Tight boxes of all masks of at least `minimum_pixels`.

    Example:
        >>> found = mask_boxes(torch.tensor([[-1, 2, 2], [0, -1, -1]]))
        >>> found.number.tolist(), found.box.tolist(), found.pixels.tolist()
        ([0, 2], [[0, 1, 1, 2], [1, 0, 3, 1]], [1, 2])
    """
    row, column = (labels >= 0).nonzero(as_tuple=True)
    own = labels[row, column].long()
    count = int(own.max()) + 1 if len(own) else 0
    pixels = torch.bincount(own, minlength=count)
    low = torch.full((count,), max(labels.shape) + 1, dtype=torch.long, device=labels.device)
    high = torch.full_like(low, -1)
    left, top = (low.scatter_reduce(0, own, place, "amin") for place in (column, row))
    right, bottom = (high.scatter_reduce(0, own, place, "amax") + 1 for place in (column, row))
    number = (pixels >= max(1, minimum_pixels)).nonzero(as_tuple=True)[0]
    return MaskBoxes(
        number=number, box=torch.stack([left, top, right, bottom], -1)[number].reshape(-1, 4), pixels=pixels[number]
    )


def crop_masks(
    image: UInt8[Tensor, "height width 3"],
    labels: Int[Tensor, "height width"],
    masks: MaskBoxes,
    size: int,
    settings: CropSettings | None = None,
) -> Float[Tensor, "mask 3 size size"]:
    """One square picture per mask, display values 0-1.

    Raises:
        InvalidInputError: the label map is not of the image's size.
    """
    _check_sizes(image, labels)
    settings = settings or CropSettings()
    colour = image.permute(2, 0, 1).float() / 255.0
    crops = torch.empty(len(masks), 3, size, size, device=image.device)
    for place, (number, box) in enumerate(zip(masks.number.tolist(), masks.box.tolist(), strict=True)):
        left, top, right, bottom = box
        cut = colour[:, top:bottom, left:right]
        if settings.background != "photo":
            cut = torch.where(labels[top:bottom, left:right] == number, cut, _LEVELS[settings.background])
        crops[place] = _resized(_squared(cut, _LEVELS[settings.padding]), size, antialias=settings.antialias)
    return crops


def _squared(picture: Float[Tensor, "3 height width"], level: float) -> Float[Tensor, "3 side side"]:
    """The picture in the middle of a square; an odd pixel of padding goes below or to the right."""
    height, width = picture.shape[1:]
    side = max(height, width)
    above, before = (side - height) // 2, (side - width) // 2
    return pad(picture, (before, side - width - before, above, side - height - above), value=level)


def _resized(picture: Float[Tensor, "3 side side"], size: int, *, antialias: bool) -> Float[Tensor, "3 size size"]:
    return interpolate(picture[None], size=(size, size), mode="bilinear", align_corners=False, antialias=antialias)[0]


def _check_sizes(image: Tensor, labels: Tensor) -> None:
    if image.shape[:2] != labels.shape:
        raise InvalidInputError(
            f"Expected a label map of the image's size {tuple(image.shape[:2])}, found {tuple(labels.shape)}. "
            "Make the masks from this very image, or resize one of the two."
        )
