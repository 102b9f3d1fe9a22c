"""Photos on disk: their size from the header, their pixels as stored.

Rotation noted in EXIF is never applied, neither to the size nor to the pixels: camera files speak of stored pixels.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vision3d.errors import ImageFileError

_DAMAGE = (
    KeyError,
    UnidentifiedImageError,
    Image.DecompressionBombError,
    OSError,
    EOFError,
    SyntaxError,  # Pillow's word for a broken PNG chunk
    ValueError,
    struct.error,
)
_TIFF_WIDTH, _TIFF_HEIGHT, _ORIENTATION = 256, 257, 274
# Pillow turns TIFF photos as their orientation tag says, and only these; this turns them back.
_TURNED_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def photo_size(path: Path) -> tuple[int, int]:
    """Width and height of a photo as stored, from its header alone.

    Raises:
        ImageFileError: the file is missing or no image.
    """
    try:
        with Image.open(path) as image:
            tags = getattr(image, "tag_v2", None)
            return image.size if tags is None else (int(tags[_TIFF_WIDTH]), int(tags[_TIFF_HEIGHT]))
    except _DAMAGE as error:
        raise _undecodable(path, error) from error


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """RGB pixels of a photo as stored (RGBA where some are not opaque), 8 bits a channel.

    Grey is repeated, CMYK and palettes are converted, 16-bit and float files (0-1, 0-255 or 0-65535) are scaled; of
    an animation the first frame is read.

    Raises:
        ImageFileError: the file is missing, cut or not an image.
    """
    try:
        with Image.open(path) as opened:
            image = _as_stored(opened)
            if image.mode.startswith(("I", "F")):
                return _from_high_depth(path, np.asarray(image, np.float64), whole=image.mode.startswith("I"))
            if "A" not in image.getbands() and "transparency" not in image.info:
                return np.asarray(image.convert("RGB"))
            pixels = np.asarray(image.convert("RGBA"))
            return pixels if (pixels[..., 3] < 255).any() else np.ascontiguousarray(pixels[..., :3])
    except _DAMAGE as error:
        raise _undecodable(path, error) from error


def _as_stored(image: Image.Image) -> Image.Image:
    tags = getattr(image, "tag_v2", {})
    turn = _TURNED_BACK.get(tags.get(_ORIENTATION, 1))
    image.load()
    return image if turn is None else image.transpose(turn)


def _undecodable(path: Path, error: BaseException) -> ImageFileError:
    found = "no such file" if isinstance(error, FileNotFoundError) else f"one that cannot be decoded ({error})"
    return ImageFileError(f"{path}: expected a photo, found {found}. Copy it again or remove its view.")


def _from_high_depth(path: Path, values: NDArray[np.float64], *, whole: bool) -> NDArray[np.uint8]:
    if not np.isfinite(values).all():
        raise ImageFileError(f"{path}: expected finite pixels, found NaN or infinity. Convert the photo to 8 bits.")
    largest = values.max(initial=0.0)
    if whole:
        top = 255.0 if largest <= 255.0 else 65_535.0
    else:
        top = next((step for step in (1.0, 255.0) if largest <= step), 65_535.0)
    grey = np.clip(np.round(values * (255.0 / top)), 0, 255).astype(np.uint8)
    return np.dstack([grey, grey, grey])
