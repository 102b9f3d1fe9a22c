"""Pictures and mask files as arrays, without any place in a patient: training reads them by the thousand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Num, UInt8
from numpy import ndarray

from medseg.errors import StudyFileError


def read_rgb(path: Path) -> UInt8[ndarray, "height width 3"]:
    """The picture in 8-bit RGB, upright as its EXIF header says, transparency left out.

    Raises:
        StudyFileError: there is no file, or it is no picture.
    """
    return np.ascontiguousarray(_decoded(path, cv2.IMREAD_COLOR)[..., ::-1])


def read_values(path: Path) -> Num[ndarray, "height width"]:
    """The values of a mask or label map as stored, 8 or 16 bits; of colours, one channel (they are grey in a mask).

    Raises:
        StudyFileError: there is no file, or it is no picture.
    """
    values = _decoded(path, cv2.IMREAD_UNCHANGED)
    return values[..., 0] if values.ndim == 3 else values


def resized_values(values: Num[ndarray, "height width"], shape: tuple[int, int]) -> Num[ndarray, "rows columns"]:
    """The values on a grid of `shape` over the same area, each that of the nearest pixel.

    Example:
        >>> resized_values(np.array([[1, 2]]), (2, 4)).tolist()
        [[1, 1, 2, 2], [1, 1, 2, 2]]
    """
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
        for new, old in zip(shape, values.shape, strict=True)
    )
    return values[rows[:, None], columns[None, :]]


def _decoded(path: Path, flag: int) -> ndarray:
    content = np.fromfile(path, np.uint8) if path.is_file() else np.zeros(0, np.uint8)
    image = cv2.imdecode(content, flag) if content.size else None
    if image is None:
        raise StudyFileError(f"{path}: expected a picture, found none that can be read. Check the path.")
    return image
