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
from torch.nn.functional import avg_pool2d

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
    """Average over each pixel when a box is larger than the encoder's picture; False samples single points."""
    minimum_pixels: int = 1
    """Masks with fewer pixels are left out."""
    batch_size: int = 64
    """Crops made and encoded at a time."""

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
    crops = torch.empty(len(masks.number), 3, size, size, device=image.device)
    for rows, taps in _equal_zoom(masks, size, settings):
        fine = _sampled(image, labels, masks.number[rows], masks.box[rows], size * taps, settings)
        crops[rows] = avg_pool2d(fine, taps) if taps > 1 else fine
    return crops


def _equal_zoom(masks: MaskBoxes, size: int, settings: CropSettings) -> Iterator[tuple[Tensor, int]]:
    """Rows of masks that need the same number of samples per pixel and axis, a batch at a time."""
    side = (masks.box[:, 2:] - masks.box[:, :2]).amax(-1) if len(masks.box) else masks.number
    taps = torch.div(side + size - 1, size, rounding_mode="floor").clamp(min=1)
    if not settings.antialias:
        taps = torch.ones_like(side)
    for count in taps.unique().tolist():
        rows = (taps == count).nonzero(as_tuple=True)[0]
        for batch in rows.split(max(1, settings.batch_size // count**2)):
            yield batch, int(count)


def _sampled(
    image: Tensor, labels: Tensor, number: Tensor, box: Tensor, size: int, settings: CropSettings
) -> Float[Tensor, "mask 3 size size"]:
    """The padded squares of the masks, resized bilinearly to `size`."""
    extent = box[:, 2:] - box[:, :2]
    side = extent.amax(-1, keepdim=True)
    origin = box[:, :2] - torch.div(side - extent, 2, rounding_mode="floor")
    place = (torch.arange(size, device=image.device) + 0.5) * side / size - 0.5
    place = place.clamp(min=0.0)  # half a pixel before the first one is the first one
    first = torch.minimum(place.floor().long(), side - 1)
    second = torch.minimum(first + 1, side - 1)
    share = place - first
    result = torch.zeros(len(number), size, size, 3, device=image.device)
    for y, weight_y in ((first, 1 - share), (second, share)):
        for x, weight_x in ((first, 1 - share), (second, share)):
            weight = weight_y[:, :, None] * weight_x[:, None, :]
            colour = _colours(image, labels, number, box, (origin[:, :1] + x, origin[:, 1:] + y), settings)
            result += weight[..., None] * colour
    return result.permute(0, 3, 1, 2)


def _colours(
    image: Tensor, labels: Tensor, number: Tensor, box: Tensor, place: tuple[Tensor, Tensor], settings: CropSettings
) -> Float[Tensor, "mask row column 3"]:
    """Colours 0-1 at the crossings of columns and rows: the mask's pixels, its background, and padding around."""
    column, row = place[0][:, None, :], place[1][:, :, None]
    left, top, right, bottom = (edge[:, None, None] for edge in box.unbind(-1))
    inside = (column >= left) & (column < right) & (row >= top) & (row < bottom)
    height, width = labels.shape
    index = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    colour = image.reshape(-1, 3)[index].float() / 255.0
    if settings.background != "photo":
        own = labels.reshape(-1)[index] == number[:, None, None]
        colour = torch.where(own[..., None], colour, _LEVELS[settings.background])
    return torch.where(inside[..., None], colour, _LEVELS[settings.padding])


def _check_sizes(image: Tensor, labels: Tensor) -> None:
    if image.shape[:2] != labels.shape:
        raise InvalidInputError(
            f"Expected a label map of the image's size {tuple(image.shape[:2])}, found {tuple(labels.shape)}. "
            "Make the masks from this very image, or resize one of the two."
        )
