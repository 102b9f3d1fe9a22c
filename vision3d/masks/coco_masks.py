"""Label maps from COCO annotations: polygons, run lengths, and run lengths packed into a string.

Source: the format as the COCO data set documents it; the packed form is a variable-length code of differences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64
from numpy import ndarray
from PIL import Image, ImageDraw

from vision3d.errors import InvalidInputError

_FIRST_LETTER, _BITS, _MORE, _SIGN = 48, 5, 0x20, 0x10
_BROKEN = (KeyError, TypeError, ValueError, IndexError, AttributeError)


def coco_labels(content: Any, path: Path, wanted: set[str]) -> dict[str, Int64[ndarray, "height width"]]:
    """Label map of every wanted image, by the stem of its file name; -1 = no mask, smaller masks over larger ones.

    Raises:
        InvalidInputError: the content is no COCO file, or a mask does not fit its image.
    """
    try:
        images = {image["id"]: image for image in content["images"] if Path(image["file_name"]).stem in wanted}
        masks: dict[Any, list[ndarray]] = {number: [] for number in images}
        for annotation in content["annotations"]:
            if (image := images.get(annotation["image_id"])) is not None:
                size = int(image["height"]), int(image["width"])
                masks[image["id"]].append(decoded(annotation["segmentation"], *size))
        return {
            Path(image["file_name"]).stem: _painted(masks[number], int(image["height"]), int(image["width"]))
            for number, image in images.items()
        }
    except _BROKEN as error:
        raise InvalidInputError(
            f"{path}: expected COCO images (id, file_name, width, height) and annotations (image_id, segmentation), "
            f"found something else ({type(error).__name__}: {error}). Correct the file."
        ) from error


def decoded(segmentation: Any, height: int, width: int) -> Bool[ndarray, "height width"]:
    """The mask of one annotation.

    Example:
        >>> decoded({"size": [2, 2], "counts": [1, 2, 1]}, 2, 2).astype(int).tolist()
        [[0, 1], [1, 0]]

    Raises:
        ValueError: it does not fit the image.
    """
    if isinstance(segmentation, Mapping):
        rows, columns = segmentation["size"]
        if (rows, columns) != (height, width):
            raise ValueError(f"a mask of {columns} x {rows} in an image of {width} x {height}")
        counts = segmentation["counts"]
        counts = unpacked_counts(counts) if isinstance(counts, str | bytes) else counts
        return mask_of_counts(counts, height, width)
    canvas = Image.new("1", (width, height))
    for corners in segmentation:
        ImageDraw.Draw(canvas).polygon([float(value) for value in corners], fill=1)
    return np.asarray(canvas)


def mask_of_counts(counts: Sequence[int], height: int, width: int) -> Bool[ndarray, "height width"]:
    """A mask from the lengths of its runs, outside first, down one column after the other.

    Raises:
        ValueError: the runs do not fill the image.
    """
    lengths = np.asarray(counts, np.int64)
    if (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(f"runs of {int(lengths.sum())} pixels in an image of {width} x {height}")
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(width, height).T


def unpacked_counts(packed: str | bytes) -> list[int]:
    """Run lengths from their packed form: five bits a letter, from the fourth run on as differences.

    The difference is to the run before last, which lies on the same side of the mask.

    Example:
        >>> unpacked_counts("1212")
        [1, 2, 1, 4]
    """
    letters = packed.encode("ascii") if isinstance(packed, str) else packed
    counts: list[int] = []
    place = 0
    while place < len(letters):
        value, shift, more = 0, 0, True
        while more:
            letter = letters[place] - _FIRST_LETTER
            value |= (letter & 0x1F) << shift
            more = bool(letter & _MORE)
            place, shift = place + 1, shift + _BITS
            if not more and letter & _SIGN:
                value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts


def _painted(masks: list[ndarray], height: int, width: int) -> Int64[ndarray, "height width"]:
    labels = np.full((height, width), -1, np.int64)
    for number, mask in enumerate(sorted(masks, key=lambda mask: -int(mask.sum()))):
        labels[mask] = number
    return labels
