"""Where things lie in a picture: halves, pieces, sides, above and below. Left and right are the image's."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Bool
from numpy import ndarray
from scipy import ndimage

Side = Literal["upper", "lower", "left", "right"]
_HALF_PIXELS = 12
"""Smallest half that is worth a question."""
_EXTENT = 6
"""Smallest extent that is halved, pixels."""
_PIECE_SHARE = 0.05
"""Smaller pieces of a mask are crumbs."""
_CLEARLY_LARGER = 1.3
_THIRDS_MARGIN = 0.04


def half(mask: Bool[ndarray, "height width"], side: Side) -> Bool[ndarray, "height width"] | None:
    """The part of a mask on one side of the middle of its extent; None where that is too small to speak of.

    Example:
        >>> mask = np.zeros((20, 20), bool)
        >>> mask[5:15] = True
        >>> np.flatnonzero(half(mask, "upper").any(1)).tolist()
        [5, 6, 7, 8, 9]
    """
    axis = 0 if side in ("upper", "lower") else 1
    places = np.flatnonzero(mask.any(1 - axis))
    if len(places) == 0 or places[-1] - places[0] + 1 < _EXTENT:
        return None
    middle = (places[0] + places[-1]) / 2
    first = np.arange(mask.shape[axis]) <= middle
    kept = first if side in ("upper", "left") else ~first
    part = mask & (kept[:, None] if axis == 0 else kept[None, :])
    return part if part.sum() >= _HALF_PIXELS and part.sum() < mask.sum() else None


def pieces(mask: Bool[ndarray, "height width"]) -> list[Bool[ndarray, "height width"]]:
    """Connected pieces from the largest to the smallest, without crumbs of less than 5 % of the mask."""
    labels = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, structure=np.ones((3, 3), int), output=labels)
    areas = np.bincount(labels.ravel())[1:]
    order = [number for number in np.argsort(-areas, kind="stable") if areas[number] >= _PIECE_SHARE * areas.sum()]
    return [labels == number + 1 for number in order]


def extreme_piece(mask: Bool[ndarray, "height width"], rank: str) -> Bool[ndarray, "height width"] | None:
    """The `largest` or `smallest` of 2 to 6 pieces; None where none is clearly so."""
    found = pieces(mask)
    if not 2 <= len(found) <= 6:
        return None
    areas = [int(piece.sum()) for piece in found]
    if rank == "largest":
        return found[0] if areas[0] >= _CLEARLY_LARGER * areas[1] else None
    clear = areas[-2] >= _CLEARLY_LARGER * areas[-1]
    crumbs = mask.sum() - sum(areas)
    return found[-1] if clear and crumbs == 0 and areas[-1] >= _HALF_PIXELS else None


def pair(mask: Bool[ndarray, "height width"]) -> tuple[Bool[ndarray, "height width"], ...] | None:
    """The two pieces from the image's left to its right; None where there are not two clearly beside each other."""
    found = pieces(mask)
    if len(found) != 2:
        return None
    columns = [np.nonzero(piece.any(0))[0].mean() for piece in found]
    if abs(columns[0] - columns[1]) < 0.1 * mask.shape[1]:
        return None
    return (found[0], found[1]) if columns[0] < columns[1] else (found[1], found[0])


def lungs_of(mask: Bool[ndarray, "height width"]) -> dict[str, Bool[ndarray, "height width"]]:
    """The patient's lungs from the mask of both in an upright frontal radiograph, whose left is the patient's right.

    Empty where they are not two pieces that lie beside each other, each of at least a fifth of the mask.
    """
    two = pair(mask)
    if two is None or min(piece.sum() for piece in two) < 0.2 * mask.sum():
        return {}
    return {"right lung": two[0], "left lung": two[1]}


def relation(mask: Bool[ndarray, "height width"], other: Bool[ndarray, "height width"]) -> str:
    """`above` or `below` where nearly all of the mask lies so to the other one, else nothing."""
    if not mask.any() or not other.any():
        return ""
    first, middle, last = _quartile_rows(mask)
    first_other, middle_other, last_other = _quartile_rows(other)
    if last < first_other and middle < middle_other:
        return "above"
    return "below" if first > last_other and middle > middle_other else ""


def _quartile_rows(mask: Bool[ndarray, "height width"]) -> tuple[int, int, int]:
    """Rows above which a quarter, half and three quarters of the mask lie."""
    below = np.cumsum(mask.sum(1))
    quarter, half_of_it, most = np.searchsorted(below, below[-1] * np.array([0.25, 0.5, 0.75]))
    return int(quarter), int(half_of_it), int(most)


def level_with(mask: Bool[ndarray, "height width"], other: Bool[ndarray, "height width"]) -> bool:
    """Whether the median rows are within a twentieth of the picture's height."""
    return abs(_quartile_rows(mask)[1] - _quartile_rows(other)[1]) < 0.05 * mask.shape[0]


def place_words(mask: Bool[ndarray, "height width"]) -> str | None:
    """Where the centre of a mask lies, in nine words; None near a border between two of them."""
    rows, columns = np.nonzero(mask)
    if len(rows) == 0:
        return None
    down = _third((rows.mean() + 0.5) / mask.shape[0], ("top", "", "bottom"))
    across = _third((columns.mean() + 0.5) / mask.shape[1], ("left", "", "right"))
    if down is None or across is None:
        return None
    words = " ".join(word for word in (down, across) if word)
    return f"at the {words}" if words else "in the middle"


def _third(value: float, names: tuple[str, str, str]) -> str | None:
    if min(abs(value - 1 / 3), abs(value - 2 / 3)) < _THIRDS_MARGIN:
        return None
    return names[min(int(value * 3), 2)]
