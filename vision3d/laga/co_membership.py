"""How often two superpoints lie in one mask, over all views that see both, and the objects that follow.

No single mask has to be right: an object that the proposer splits in most views is put together by the views that do
not, as long as it is split in other ways than its surroundings are.

Source: the region affinity of SAI3D (Yin et al., CVPR 2024), there on surface points and with greedy region growing;
here with blending weights, and the best pair of all joined first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_array

_SEEN_PIXELS = 1.0
"""A superpoint that paints less than this in a view, in pixels, is not seen there."""
_LEAST_VIEWS = 1.0
"""Pairs that fewer views see together are not joined on their own account."""
_WELL_SEEN = 0.5
"""From this share of its best view on, a superpoint is fully seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoMembership:
    """What the views say about each pair of superpoints."""

    together: Float[ndarray, "superpoint superpoint"]
    """Views that have the two in one mask, each view counting as much as it sees of both."""
    both: Float[ndarray, "superpoint superpoint"]
    """Views that see both, counted likewise."""


def co_membership(
    masks: Float[ndarray, "superpoint mask"], views: Float[ndarray, "superpoint view"], view_of: Int[ndarray, " mask"]
) -> CoMembership:
    """How often superpoints lie in one mask, and how often they could.

    Args:
        masks: contribution of each superpoint to each mask of one level.
        views: contribution of each superpoint to each view.
        view_of: view of each mask.
    """
    best = views.max(axis=1, keepdims=True, initial=0.0)
    seen = np.minimum(views / np.maximum(_WELL_SEEN * best, 1e-12), 1.0) * (views >= _SEEN_PIXELS)
    share = masks / np.maximum(views[:, view_of], 1e-12) * seen[:, view_of]
    return CoMembership(together=share @ share.T, both=seen @ seen.T)


def joined(pairs: CoMembership, *, least: float) -> Int[ndarray, " superpoint"]:
    """Clusters, numbered by first appearance: the two that share a mask most often become one, down to `least`.

    The counts of joined clusters are added, so what no view sees together says nothing for or against joining.
    """
    state = _Joining(pairs)
    count = len(pairs.both)
    for _ in range(count - 1):
        if not state.join_best(least):
            break
    _, first, member = np.unique(state.member, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[member]


class _Joining:
    """Counts between clusters, with the best partner of each kept at hand."""

    def __init__(self, pairs: CoMembership) -> None:
        self._together, self._both = pairs.together.astype(np.float64), pairs.both.astype(np.float64)
        count = len(self._both)
        self.member = np.arange(count)
        self._alive = np.ones(count, bool)
        self._rate = _rate(self._together, self._both)
        np.fill_diagonal(self._rate, -1.0)
        self._best = self._rate.argmax(axis=1) if count else np.zeros(0, np.int64)
        self._value = self._rate[np.arange(count), self._best]

    def join_best(self, least: float) -> bool:
        """Join the pair of highest rate; False where none reaches `least`."""
        one = int(self._value.argmax())
        if self._value[one] < least:
            return False
        other = int(self._best[one])
        for counts in (self._together, self._both):
            counts[one] += counts[other]
            counts[:, one] += counts[:, other]
        row = _rate(self._together[one], self._both[one])
        self._alive[other] = False
        row[~self._alive] = -1.0
        row[one] = -1.0
        self._rate[one], self._rate[:, one] = row, row
        self._rate[other], self._rate[:, other] = -1.0, -1.0
        self._value[other] = -2.0
        self.member[self.member == other] = one
        self._refresh(one, other, row)
        return True

    def _refresh(self, one: int, other: int, row: Float[ndarray, " cluster"]) -> None:
        stale = np.flatnonzero(self._alive & ((self._best == one) | (self._best == other)))
        stale = np.union1d(stale, [one])
        self._best[stale] = self._rate[stale].argmax(axis=1)
        self._value[stale] = self._rate[stale, self._best[stale]]
        better = self._alive & (row > self._value)
        self._best[better], self._value[better] = one, row[better]


def _rate(together: ndarray, both: ndarray) -> ndarray:
    return np.where(both >= _LEAST_VIEWS, together / np.maximum(both, 1e-12), 0.0)


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
