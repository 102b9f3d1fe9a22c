"""`greedy_pairs`: predictions and references matched one to one, the best first; precision and recall read from it.

Who is left over stays left over: an unmatched prediction is a false positive, an unmatched reference a false negative.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

_COCO_RECALLS = np.linspace(0, 1, 101)


def greedy_pairs(values: Float[ndarray, "prediction reference"], least: float = 0.0) -> list[tuple[int, int]]:
    """Pairs of prediction and reference, highest value first; among equals, the first in order of mention.

    Args:
        values: IoU of each prediction with each reference.
        least: pairs below it are not made.

    Example:
        >>> greedy_pairs(np.array([[0.9, 0.8], [0.7, 0.1]]))
        [(0, 0), (1, 1)]
    """
    pairs: list[tuple[int, int]] = []
    rows, columns = set(), set()
    for place in np.argsort(-values, axis=None, kind="stable"):
        row, column = divmod(int(place), values.shape[1])
        if row in rows or column in columns or values[row, column] < least:
            continue
        pairs.append((row, column))
        rows.add(row)
        columns.add(column)
    return pairs


def detection_hits(
    values: Float[ndarray, "prediction reference"], scores: Sequence[float], least: float = 0.5
) -> list[bool]:
    """Per prediction, whether it finds a reference that none of higher score has found, as COCO decides it.

    Predictions are gone through by falling score; each takes the free reference it overlaps most, of IoU `least` and
    more.
    """
    hits = [False] * len(scores)
    free = set(range(values.shape[1]))
    for row in np.argsort(-np.asarray(scores, dtype=float), kind="stable"):
        best = max(sorted(free), key=lambda column, row=row: values[row, column], default=None)
        if best is not None and values[row, best] >= least:
            free.remove(best)
            hits[int(row)] = True
    return hits


def average_precision(hits: Sequence[bool], scores: Sequence[float], references: int) -> float:
    """Area below precision over recall at COCO's 101 places, over a whole set; NaN without references.

    Example:
        >>> average_precision([True, False], [0.9, 0.8], 1)
        1.0
        >>> average_precision([False, True], [0.9, 0.8], 1)
        0.5
    """
    if not references:
        return float("nan")
    if not len(hits):
        return 0.0
    order = np.argsort(-np.asarray(scores, dtype=float), kind="stable")
    found = np.cumsum(np.asarray(hits, dtype=bool)[order])
    precision = found / np.arange(1, len(found) + 1)
    # Precision never rises again with recall: the best that is reached at this recall or beyond.
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(found / references, _COCO_RECALLS, side="left")
    return float(np.append(envelope, 0.0)[places].mean())
