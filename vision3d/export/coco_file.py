"""COCO annotations of masks: one category per selection, one image per view, masks as packed run lengths.

Source: the format as the COCO data set documents it; the packed form is a variable-length code of differences, read
back by `vision3d.masks.coco_masks` and by pycocotools.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from vision3d.errors import InvalidInputError

_FIRST_LETTER, _BITS, _MORE, _SIGN = 48, 5, 0x20, 0x10


class CocoAnnotations:
    """Collects masks view by view; `content` is what a JSON file holds."""

    def __init__(self, names: tuple[str, ...]) -> None:
        """Start with the names of the selections, which become categories 1, 2, ..."""
        self._number = {name: place for place, name in enumerate(names, start=1)}
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, file_name: str, name: str, mask: Bool[ndarray, "height width"]) -> None:
        """Add the mask of one selection in one picture; an empty mask adds the picture alone.

        Raises:
            InvalidInputError: the picture was added with another size.
        """
        height, width = mask.shape
        image = self._image(file_name, height, width)
        if not mask.any():
            return
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        left, top = int(columns[0]), int(rows[0])
        self._annotations.append(
            {
                "id": len(self._annotations) + 1,
                "image_id": image["id"],
                "category_id": self._number[name],
                "segmentation": {"size": [height, width], "counts": packed_counts(run_lengths(mask))},
                "area": int(mask.sum()),
                "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
                "iscrowd": 0,
            }
        )

    @property
    def content(self) -> dict[str, Any]:
        """Images, categories and annotations."""
        categories = [{"id": number, "name": name} for name, number in self._number.items()]
        return {"images": self._images, "categories": categories, "annotations": self._annotations}

    def _image(self, file_name: str, height: int, width: int) -> dict[str, Any]:
        found = next((image for image in reversed(self._images) if image["file_name"] == file_name), None)
        if found is None:
            found = {"id": len(self._images) + 1, "file_name": file_name, "width": width, "height": height}
            self._images.append(found)
        if (found["width"], found["height"]) != (width, height):
            raise InvalidInputError(
                f"{file_name}: expected masks of {found['width']} x {found['height']}, found {width} x {height}. "
                "Give all masks of a picture in one size."
            )
        return found


def run_lengths(mask: Bool[ndarray, "height width"]) -> list[int]:
    """Lengths of the runs of a mask, outside first, down one column after the other.

    Example:
        >>> run_lengths(np.array([[False, True], [True, False]]))
        [1, 2, 1]
    """
    flat = mask.T.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate([[0], changes, [len(flat)]])).tolist()
    return [0, *runs] if flat[:1].any() else runs


def packed_counts(counts: list[int]) -> str:
    """Run lengths as letters of five bits, from the fourth run on as the difference to the run before last.

    Example:
        >>> packed_counts([1, 2, 1, 4])
        '1212'
    """
    letters = []
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        while True:
            bits, value = value & 0x1F, value >> _BITS
            # nothing more is needed once the sign of these five bits says what is left
            finished = value == (-1 if bits & _SIGN else 0)
            letters.append(chr((bits if finished else bits | _MORE) + _FIRST_LETTER))
            if finished:
                break
    return "".join(letters)
