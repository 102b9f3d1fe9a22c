"""Run lengths of a mask as COCO writes them: columns first, beginning with the pixels outside; numbers or text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from medseg.errors import RecordError

_FIRST_LETTER = 48
_BITS = 5


def encode_mask(mask: Bool[ndarray, "height width"]) -> str:
    """The mask as COCO's compressed text.

    Example:
        >>> encode_mask(np.array([[False, True], [False, True]]))
        '22'
    """
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    counts = np.diff(edges).tolist()
    return encode_counts([0, *counts] if flat.size and flat[0] else counts)


def decode_mask(runs: str | Sequence[int], size: tuple[int, int]) -> Bool[ndarray, "height width"]:
    """The mask of `size` (height, width) that the runs tell.

    Example:
        >>> decode_mask([2, 2], (2, 2)).tolist()
        [[False, True], [False, True]]

    Raises:
        RecordError: the runs are no runs, or do not fill the picture exactly.
    """
    counts = np.asarray(decode_counts(runs) if isinstance(runs, str) else runs, np.int64)
    pixels = size[0] * size[1]
    if counts.ndim != 1 or (counts < 0).any() or int(counts.sum()) != pixels:
        raise RecordError(
            f"Run lengths: expected numbers >= 0 that add up to {pixels} pixels ({size[0]} x {size[1]}), found "
            f"{len(counts)} that add up to {int(counts.sum())}. Write the mask again."
        )
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape(size, order="F")


def encode_counts(counts: Sequence[int]) -> str:
    """Run lengths as text: each as the difference to the last of its kind, 5 bits per letter."""
    letters = []
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            part = value & 0x1F
            value >>= _BITS
            more = value != (-1 if part & 0x10 else 0)
            letters.append(chr((part | (0x20 if more else 0)) + _FIRST_LETTER))
    return "".join(letters)


def decode_counts(text: str) -> list[int]:
    """The run lengths that a text tells.

    Raises:
        RecordError: a letter that no such text has, or a number that is cut.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        part = ord(letter) - _FIRST_LETTER
        if not 0 <= part < 64:
            raise RecordError(f"Run lengths: expected letters 0 to o, found {letter!r}. Write the mask again.")
        value |= (part & 0x1F) << shift
        shift += _BITS
        if part & 0x20:
            continue
        if part & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise RecordError("Run lengths: expected whole numbers, found a text that is cut. Write the mask again.")
    return counts
