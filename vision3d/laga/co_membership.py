"""How often two superpoints lie in one mask, over all views that see both, and the objects that follow.

No single mask has to be right: an object that the proposer splits in most views is put together by the views that do
not, as long as it is split in other ways than its surroundings are.

Source: the region affinity of SAI3D (Yin et al., CVPR 2024), there on surface points and with greedy region growing;
here with blending weights, all levels alike, and average linkage.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_array
from scipy.spatial.distance import squareform

_SEEN_PIXELS = 1.0
"""A superpoint that paints less than this in a view, in pixels, is not seen there."""
_WELL_SEEN = 0.5
"""From this share of its best view on, a superpoint is fully seen."""


def co_membership(
    masks: Float[ndarray, "superpoint mask"], views: Float[ndarray, "superpoint view"], view_of: Int[ndarray, " mask"]
) -> Float[ndarray, "superpoint superpoint"]:
    """Probability 0-1 that two superpoints lie in one mask of a view that sees both; 0 where no view does.

    Args:
        masks: contribution of each superpoint to each mask of one level.
        views: contribution of each superpoint to each view.
        view_of: view of each mask.
    """
    best = views.max(axis=1, keepdims=True, initial=0.0)
    seen = np.minimum(views / np.maximum(_WELL_SEEN * best, 1e-12), 1.0) * (views >= _SEEN_PIXELS)
    share = masks / np.maximum(views[:, view_of], 1e-12) * seen[:, view_of]
    together = (share @ share.T).astype(np.float32)
    both = (seen @ seen.T).astype(np.float32)
    return np.where(both >= 1.0, together / np.maximum(both, 1e-12), 0.0)


def linked(affinity: Float[ndarray, "row row"], *, least: float) -> Int[ndarray, " row"]:
    """Clusters by average linkage, whose mean affinity stays at `least` or above; numbered by first appearance."""
    count = len(affinity)
    if count < 2:
        return np.zeros(count, np.int64)
    distance = np.clip(1.0 - (affinity + affinity.T) / 2, 0.0, 1.0)
    np.fill_diagonal(distance, 0.0)
    names = fcluster(linkage(squareform(distance, checks=False), "average"), 1.0 - least, "distance")
    _, first, member = np.unique(names, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[member]


def masks_of_clusters(
    masks: Float[ndarray, "superpoint mask"],
    views: Float[ndarray, "superpoint view"],
    view_of: Int[ndarray, " mask"],
    cluster: Int[ndarray, " superpoint"],
    *,
    own_share: float,
    covered_share: float,
) -> Int[ndarray, " mask"]:
    """Cluster of each mask; -1 where it holds too much of others, or too little of what its view sees of the cluster.

    Args:
        masks: contribution of each superpoint to each mask of one level.
        views: contribution of each superpoint to each view.
        view_of: view of each mask.
        cluster: cluster of each superpoint.
        own_share: least share of the mask that is of the cluster.
        covered_share: least share of the cluster, as its view sees it, that is in the mask.
    """
    count = int(cluster.max(initial=-1)) + 1
    if not count or not masks.shape[1]:
        return np.full(masks.shape[1], -1)
    gather = csr_array((np.ones(len(cluster)), (cluster, np.arange(len(cluster)))), shape=(count, len(cluster)))
    inside, seen = gather @ masks, gather @ views
    best = inside.argmax(axis=0)
    own = inside[best, np.arange(masks.shape[1])]
    fits = (own >= own_share * masks.sum(axis=0)) & (own >= covered_share * seen[best, view_of]) & (own > 0)
    return np.where(fits, best, -1)
