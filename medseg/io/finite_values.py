"""Values that are no numbers, found and replaced before they reach a model."""

from __future__ import annotations

import numpy as np
from jaxtyping import Num
from numpy import ndarray

from medseg.errors import StudyFileError
from medseg.study.study import Notice


def without_gaps(
    values: Num[ndarray, "i j k *channel"], name: str
) -> tuple[Num[ndarray, "i j k *channel"], list[Notice]]:
    """The values with NaN and infinities as the smallest number among them, and a notice that says how many.

    Raises:
        StudyFileError: not one is a number.
    """
    if values.dtype.kind != "f":
        return values, []
    known = np.isfinite(values)
    count = values.size - int(known.sum())
    if count == 0:
        return values, []
    if count == values.size:
        raise StudyFileError(f"{name}: expected numbers, found nothing but NaN and infinity. Export it again.")
    filled = np.where(known, values, values[known].min())
    text = f"{count} voxels were no numbers: they hold the smallest number of the volume."
    return filled, [Notice(code="not_finite", text=text)]
