"""`gaussian_owner`: the object each Gaussian belongs to, by what the masks of the objects show of it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from numpy import ndarray
from scipy.sparse import csr_array

from vision3d.laga.mask_contributions import MaskContributions
from vision3d.laga.mask_graph import dominant_rows, object_weights


def gaussian_owner(
    contributions: MaskContributions,
    own: Int[ndarray, " mask"],
    group: Int[ndarray, " mask"],
    fallback: Int[ndarray, " gaussian"] | None = None,
    *,
    minimum_peak: float = 0.0,
) -> Int[ndarray, " gaussian"]:
    """Object of one level that holds most of each Gaussian; -1 where more of it lies in no mask, or it is never seen.

    Args:
        contributions: of all masks.
        own: rows of the level's masks.
        group: object of each of them, -1 = none.
        fallback: object of Gaussians that no mask of an object shows; None = none.
        minimum_peak: Gaussians that are never plainer than this belong nowhere.
    """
    rows = csr_array(contributions.masks[own])
    count = int(group.max(initial=-1)) + 1
    weights = object_weights(rows, group, count)
    owner = dominant_rows(weights)
    total = np.asarray(contributions.views.sum(axis=0)).ravel()
    masked = np.asarray(rows.sum(axis=0)).ravel()
    best = np.zeros(len(owner))
    if count:
        best = weights.max(axis=0).toarray().ravel()
    if fallback is not None:
        owner = np.where((best <= 0) & (masked > 0.5 * total), fallback, owner)
        best = np.where(best > 0, best, masked)
    # what lies in no mask of this level competes like an object
    return np.where((best > total - masked) & (contributions.peak >= minimum_peak), owner, -1)
