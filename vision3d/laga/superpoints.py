"""Superpoints: small groups of Gaussians that lie together and are held by the same masks.

Grouping works on a few thousand superpoints instead of all Gaussians, so its cost does not grow with the scene.

Source: divisive partitioning along principal directions (Boley 1998), on places and on a random sketch of the masks
that hold each Gaussian; the sketch makes Gaussians on two sides of a border differ however near they are.
"""

from __future__ import annotations

import heapq

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_array

from vision3d.laga.mask_relations import matrix_shape

_SKETCH_DIM = 24
_LEAST_MEMBERS = 4


def superpoints(
    means: Float[ndarray, "gaussian 3"],
    rows: csr_array,
    *,
    count: int = 2_000,
    place_weight: float = 1.0,
    seed: int = 0,
) -> Int[ndarray, " gaussian"]:
    """Superpoint of each Gaussian, numbered from 0 without gaps.

    Neither the scene's scale nor its place or turn matters.

    Args:
        means: centres of the Gaussians, any unit.
        rows: [mask gaussian] contributions to the finest masks.
        count: superpoints at the most.
        place_weight: what a distance of the scene's radius counts against holding entirely different masks.
        seed: of the sketch.
    """
    sketch = np.random.default_rng(seed).standard_normal((matrix_shape(rows)[0], _SKETCH_DIM)).astype(np.float32)
    signature = np.asarray(rows.T @ sketch)
    signature /= np.maximum(np.linalg.norm(signature, axis=1, keepdims=True), 1e-12)
    place = means - means.mean(axis=0)
    distance = np.linalg.norm(place, axis=1)
    place = place / max(float(np.median(distance)), 1e-30)
    # far away Gaussians (sky, floaters) must not take all the splits
    place *= np.minimum(1.0, 4.0 / np.maximum(np.linalg.norm(place, axis=1, keepdims=True), 1e-12))
    return divided(np.concatenate([signature, place_weight * place], axis=1), count=count)


def divided(vectors: Float[ndarray, "row dim"], *, count: int) -> Int[ndarray, " row"]:
    """Cluster of each vector: the cluster of largest spread is cut at its mean across its principal direction.

    Example:
        >>> divided(np.array([[0.0], [0.1], [5.0], [5.1], [0.2], [5.2], [0.3], [5.3]]), count=2)
        array([0, 0, 1, 1, 0, 1, 0, 1])
    """
    result = np.zeros(len(vectors), np.int64)
    everything = np.arange(len(vectors))
    heap = [(-_spread(vectors), 0, everything)]
    found = 1
    while heap and found < count:
        _, number, members = heapq.heappop(heap)
        upper = _upper_half(vectors[members])
        if upper is None:
            continue
        for side, rows in ((number, members[~upper]), (found, members[upper])):
            result[rows] = side
            if len(rows) >= 2 * _LEAST_MEMBERS:
                heapq.heappush(heap, (-_spread(vectors[rows]), side, rows))
        found += 1
    # numbered by first appearance, so that the order of the cuts does not show
    _, first, member = np.unique(result, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[member]


def _spread(vectors: ndarray) -> float:
    """Sum of squared distances to the mean."""
    return float(((vectors - vectors.mean(0)) ** 2).sum())


def _upper_half(vectors: ndarray) -> ndarray | None:
    """Members beyond the mean along the principal direction; None where all are alike."""
    centred = vectors - vectors.mean(0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    along = centred @ directions[:, -1]
    along = along * (1.0 if along[0] <= 0 else -1.0)  # the first member is always below: eigenvectors have no sign
    upper = along > 0
    return upper if upper.any() and not upper.all() else None
