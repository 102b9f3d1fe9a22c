"""Grouping masks of many views into objects by the agreement of all views, without training anything.

Two masks of one level belong together when nearly every view that sees both has one mask that holds both. A mask that
many views tear apart (a proposer merged two things there) takes no part in this; like every mask left over it joins, at
the end, the object that makes most of it.

Source: view consensus of MaskClustering (Yan et al., CVPR 2024), there on points of a scan; here a mask is its row of
blending weights over Gaussians, and all shares are sums of these weights.

Memory grows with the entries of the rows and with masks x views (a byte each), never with masks x masks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray
from scipy.sparse import csr_array, vstack
from scipy.sparse.csgraph import connected_components

from vision3d.errors import InvalidInputError
from vision3d.laga.mask_relations import (
    MaskLevel,
    Relations,
    agreeing_pairs,
    common_view_counts,
    mask_level,
    matrix_shape,
    relations_of,
    views_that_hold,
)

_SAMPLED_ROWS = 4096
"""Masks whose pairs say how many views a pair usually has in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskGraphConfig:
    """When masks are one object."""

    visible_share: float = 0.3
    """A mask is seen by a view that sees at least this share of its weight."""
    contained_share: float = 0.8
    """A mask lies in another view's mask that holds at least this share of what that view sees of it."""
    consensus: float = 0.9
    """Share of the common views that must hold two masks in one."""
    torn_share: float = 0.4
    """Masks torn apart by more than this share of the other views that see them are left over."""
    minimum_masks: int = 3
    """Objects of fewer masks are dropped."""
    rounds: int = 10
    """Merging rounds, from pairs with many common views to pairs with few."""
    join_share: float = 0.5
    """A mask left over joins the object that holds at least this share of its weight."""

    def __post_init__(self) -> None:
        shares = (self.visible_share, self.contained_share, self.consensus, self.torn_share, self.join_share)
        if not all(0 < share <= 1 for share in shares) or min(self.minimum_masks, self.rounds) < 1:
            raise InvalidInputError(
                f"MaskGraphConfig: expected shares above 0 and up to 1, at least 1 mask and 1 round, found {shares}, "
                f"{self.minimum_masks} and {self.rounds}. Change them."
            )


def group_masks(
    rows: csr_array, view_of: Int[ndarray, " mask"], seen: csr_array, config: MaskGraphConfig
) -> Int[ndarray, " mask"]:
    """Object of each mask of one level, numbered from 0 by falling weight; -1 = in no object.

    Args:
        rows: [mask gaussian] weights of the masks, a Gaussian's weight in several masks of one view adding up to at
            most what the view sees of it.
        view_of: view of each mask, a row of `seen`.
        seen: [view gaussian] weight of each Gaussian in each view.
        config: when masks are one object.
    """
    if not len(view_of):
        return np.zeros(0, np.int64)
    level = mask_level(rows, view_of, seen)
    single = _relations(rows, level, config)
    kept = np.flatnonzero(~_torn(single, level, config))
    member = np.full(len(view_of), -1)
    if len(kept):
        relations = Relations(sees=single.sees[kept], holds=csr_array(single.holds[kept]))
        member[kept] = _clusters(csr_array(rows[kept]), relations, level, config)
    return _settled(rows, member, config)


def _relations(rows: csr_array, level: MaskLevel, config: MaskGraphConfig) -> Relations:
    return relations_of(rows, level, visible_share=config.visible_share, contained_share=config.contained_share)


def _torn(relations: Relations, level: MaskLevel, config: MaskGraphConfig) -> Bool[ndarray, " mask"]:
    """Masks that too many of the other views that see them cannot hold in one mask."""
    mine = (np.arange(len(level.view_of)), level.view_of)
    sees, held = relations.sees.copy(), views_that_hold(relations, level)
    sees[mine] = held[mine] = False
    views = sees.sum(1)
    return (views > 0) & (views - held.sum(1) > config.torn_share * views)


def _clusters(
    rows: csr_array, relations: Relations, level: MaskLevel, config: MaskGraphConfig
) -> Int[ndarray, " mask"]:
    """Cluster of each mask, merged round by round: pairs with many common views first, then those with few."""
    member = np.arange(len(relations.sees))
    for least in _thresholds(relations.sees, config):
        pairs = agreeing_pairs(relations, least=int(least), consensus=config.consensus)
        count, merged = connected_components(pairs, directed=False)
        if count < len(merged):
            member = merged[member]
            relations = _merged(rows, member, relations, merged, level, config)
    return member


def _thresholds(sees: Bool[ndarray, "mask view"], config: MaskGraphConfig) -> Int[ndarray, " round"]:
    """Least numbers of common views, falling: what well-seen pairs say comes first."""
    pairs = common_view_counts(sees, most_rows=_SAMPLED_ROWS)
    if not len(pairs):
        return np.ones(1, np.int64)
    levels = np.quantile(pairs, np.linspace(0.95, 0.0, config.rounds))
    return np.maximum(1, np.floor(levels)).astype(np.int64)


def _merged(
    rows: csr_array,
    member: Int[ndarray, " mask"],
    before: Relations,
    merged: Int[ndarray, " old_cluster"],
    level: MaskLevel,
    config: MaskGraphConfig,
) -> Relations:
    """What the views say about the clusters after a round; clusters that did not grow keep what was said."""
    sizes = np.bincount(merged)
    grown = np.flatnonzero(sizes > 1)
    place = np.full(len(sizes), -1)
    place[grown] = np.arange(len(grown))
    fresh = _relations(object_weights(rows, place[member], len(grown)), level, config)
    old = np.flatnonzero(sizes[merged] == 1)
    order = np.argsort(np.concatenate([merged[old], grown]))
    return Relations(
        sees=np.concatenate([before.sees[old], fresh.sees])[order],
        holds=csr_array(csr_array(vstack([before.holds[old], fresh.holds]))[order]),
    )


def _settled(rows: csr_array, member: ndarray, config: MaskGraphConfig) -> Int[ndarray, " mask"]:
    """Small clusters dropped, masks left over joined to the object that holds them, numbered by falling weight."""
    names, counts = np.unique(member[member >= 0], return_counts=True)
    names = names[counts >= config.minimum_masks]
    if not len(names):
        return np.full(len(member), -1)
    place = np.full(int(member.max()) + 2, -1)
    place[names] = np.arange(len(names))
    cluster = place[member]
    weights = object_weights(rows, cluster, len(names))
    result = cluster.copy()
    result[cluster < 0] = _joined(csr_array(rows[np.flatnonzero(cluster < 0)]), weights, config)
    order = np.argsort(-np.asarray(weights.sum(axis=1)).ravel(), kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return np.where(result >= 0, rank[result], -1)


def _joined(rows: csr_array, weights: csr_array, config: MaskGraphConfig) -> Int[ndarray, " mask"]:
    """The object whose Gaussians make enough of each mask, -1 where there is none."""
    owner = dominant_rows(weights)
    owned = np.flatnonzero(owner >= 0)
    shape = (len(owner), matrix_shape(weights)[0])
    votes = csr_array(rows @ csr_array((np.ones(len(owned), np.float32), (owned, owner[owned])), shape=shape))
    total = np.asarray(rows.sum(axis=1)).ravel()
    most = votes.max(axis=1).toarray().ravel()
    return np.where(most >= config.join_share * total, dominant_rows(csr_array(votes.T)), -1)


def object_weights(rows: csr_array, member: Int[ndarray, " mask"], count: int) -> csr_array:
    """[object gaussian] summed weights of each object's masks; masks with -1 count nowhere."""
    own = np.flatnonzero(member >= 0)
    gather = csr_array((np.ones(len(own), np.float32), (member[own], own)), shape=(count, len(member)))
    return csr_array(gather @ rows)


def dominant_rows(weights: csr_array) -> Int[ndarray, " gaussian"]:
    """Row with the largest weight in each column; -1 where all are 0. Ties go to the lower row."""
    height, width = matrix_shape(weights)
    columns = weights.tocsc()
    lengths = np.diff(columns.indptr)
    filled = np.flatnonzero(lengths)
    result = np.full(width, -1)
    if len(filled):
        starts = columns.indptr[filled]
        best = np.maximum.reduceat(columns.data, starts)
        reached = columns.data == np.repeat(best, lengths[filled])
        result[filled] = np.minimum.reduceat(np.where(reached, columns.indices, height), starts)
        result[filled[best <= 0]] = -1
    return result
