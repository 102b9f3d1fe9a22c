"""`most_likely_presence`: in which slices a target is there, smoothed along the slices; and where its run ends.

Each slice has evidence of its own (log-odds that it shows the target). A chain of two states, absent and present, that
seldom change between neighbours, is decoded by Viterbi's algorithm: a single wrong slice does not tear a mask apart,
and a single lucky one does not start another.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from medseg.errors import InvalidInputError


def most_likely_presence(
    evidence: Float[ndarray, " slice"], stay: float = 0.9, certain: int | None = None
) -> Bool[ndarray, " slice"]:
    """The likeliest course of presence.

    Args:
        evidence: Log-odds of each slice, above 0 for present; cut to 30 either way.
        stay: Chance that the next slice is in the same state, 0.5 to below 1; 0.5 leaves slices on their own.
        certain: A slice that is known to show the target, as when somebody points at it.

    Example:
        >>> most_likely_presence(np.array([-2.0, 3.0, -0.5, 3.0, -3.0, 0.5, -3.0]), stay=0.8).tolist()
        [False, True, True, True, False, False, False]

    Raises:
        InvalidInputError: evidence is not a number, `stay` is out of range, or there is no slice `certain`.
    """
    count = len(evidence)
    if np.isnan(evidence).any() or not 0.5 <= stay < 1 or (certain is not None and not 0 <= certain < count):
        raise InvalidInputError(
            f"Presence: expected evidence without NaN, stay of 0.5 to below 1, a certain slice in 0-{count - 1}, found "
            f"stay {stay} and slice {certain}. Change them."
        )
    if not count:
        return np.zeros(0, dtype=bool)
    odds = np.clip(evidence.astype(np.float64), -30.0, 30.0)
    said = -np.logaddexp(0.0, np.stack([odds, -odds], axis=1))  # log-probability of absent and of present
    if certain is not None:
        said[certain, 0] = -np.inf
    change = np.log([[stay, 1 - stay], [1 - stay, stay]])
    best, came_from = said[0], np.zeros((count, 2), dtype=int)
    for number in range(1, count):
        reached = best[:, None] + change
        came_from[number] = reached.argmax(axis=0)
        best = reached.max(axis=0) + said[number]
    states = np.zeros(count, dtype=int)
    states[-1] = int(best.argmax())
    for number in range(count - 1, 0, -1):
        states[number - 1] = came_from[number, states[number]]
    return states.astype(bool)


def run_through(
    present: Bool[ndarray, " slice"],
    areas: Int[ndarray, " slice"],
    key: int,
    *,
    gap: int = 3,
    least_share: float = 0.02,
) -> Bool[ndarray, " slice"]:
    """The slices of the target that `key` shows: from there outwards both ways, until it stops.

    It stops before `gap` slices in a row that are absent or draw less than `least_share` of the largest area so far.

    Example:
        >>> areas = np.array([9, 0, 0, 0, 50, 60, 0, 40, 1, 1, 1, 30])
        >>> run_through(areas > 0, areas, key=5).nonzero()[0].tolist()
        [4, 5, 7]
    """
    kept = np.zeros(len(present), dtype=bool)
    if not present[key]:
        return kept
    kept[key] = True
    for step in (1, -1):
        largest, missed = int(areas[key]), 0
        number = key + step
        while 0 <= number < len(present) and missed < gap:
            largest = max(largest, int(areas[number]))
            if present[number] and areas[number] >= least_share * largest and areas[number] > 0:
                kept[number], missed = True, 0
            else:
                missed += 1
            number += step
    return kept
