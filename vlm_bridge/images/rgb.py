"""Pictures of every kind that Pillow knows as upright RGB of 8 bits, which is all a backbone sees."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from vlm_bridge.errors import InvalidInputError


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture in RGB, turned upright where its EXIF data says so.

    Transparency is laid over white. Greys of more than 8 bits (modes I;16, I and F) are stretched over the range of the
    picture itself: its darkest value becomes 0 and its brightest 255, because such a file does not say how many of its
    bits are used (12 of 16 in most radiographs). A flat picture becomes black, and so do values that are no numbers.
    Whoever wants another window applies it before. Of several frames, the current one is taken.

    Example:
        >>> to_rgb(Image.new("LA", (2, 1), (0, 0))).getpixel((0, 0))
        (255, 255, 255)

    Raises:
        InvalidInputError: the picture has no pixel, cannot be read to its end, or has colours that Pillow cannot
            convert.
    """
    if image.width < 1 or image.height < 1:
        raise InvalidInputError(
            f"Picture: expected at least one pixel, found {image.width} x {image.height}. Leave the picture out."
        )
    try:
        upright = ImageOps.exif_transpose(image)
        return _without_transparency(_eight_bits(upright))
    except OSError as error:
        raise InvalidInputError(
            f"Picture: expected a whole file, found a damaged one ({error}). Copy it again or leave it out."
        ) from error
    except ValueError as error:
        raise InvalidInputError(
            f"Picture: expected colours that can be made RGB, found mode {image.mode} ({error}). Convert it before."
        ) from error


def _eight_bits(image: Image.Image) -> Image.Image:
    """Deep greys as mode L; other pictures as they are."""
    if not image.mode.startswith(("I", "F")):
        return image
    # Pillow hands out big-endian greys in their own byte order; in float64 every one is exact.
    values = np.asarray(image).astype(np.float64)
    known = np.isfinite(values)
    if not known.any():
        return Image.new("L", image.size)
    low, high = values[known].min(), values[known].max()
    values = np.where(known, values, low)
    # Halved before they are subtracted, so that the widest range a float holds does not overflow.
    share = (values / 2 - low / 2) / ((high / 2 - low / 2) or 1.0)
    return Image.fromarray(np.round(255 * share).astype(np.uint8))


def _without_transparency(image: Image.Image) -> Image.Image:
    if image.mode == "La":  # Pillow converts it to LA alone
        image = image.convert("LA")
    if not image.has_transparency_data:
        return image.convert("RGB")
    opaque = Image.new("RGBA", image.size, (255, 255, 255, 255))
    opaque.alpha_composite(image.convert("RGBA"))
    return opaque.convert("RGB")
