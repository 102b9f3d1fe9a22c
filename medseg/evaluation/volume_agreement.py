"""Agreement of volumes after Bland and Altman: mean difference and the limits that hold 95 % of differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeAgreement:
    """Differences predicted minus reference; NaN where there are too few pairs."""

    bias_ml: float
    """Mean difference."""
    low_ml: float
    """Bias minus 1.96 standard deviations (of a sample) of the differences."""
    high_ml: float
    """Bias plus the same."""
    pairs: int
    """How many volumes were compared."""


def volume_agreement(predicted_ml: Sequence[float], reference_ml: Sequence[float]) -> VolumeAgreement:
    """Bias and limits of agreement; the limits need two pairs and more.

    Source: Bland, Altman, Lancet 1986; without the intervals of the limits themselves.

    Example:
        >>> found = volume_agreement([11.0, 9.0, 10.0], [10.0, 10.0, 10.0])
        >>> found.bias_ml, round(found.high_ml, 2)
        (0.0, 1.96)
    """
    gaps = np.asarray(predicted_ml, dtype=float) - np.asarray(reference_ml, dtype=float)
    bias = float(gaps.mean()) if len(gaps) else float("nan")
    width = 1.96 * float(gaps.std(ddof=1)) if len(gaps) > 1 else float("nan")
    return VolumeAgreement(bias_ml=bias, low_ml=bias - width, high_ml=bias + width, pairs=len(gaps))
