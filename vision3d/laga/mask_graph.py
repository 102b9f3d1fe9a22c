"""Grouping masks of many views into objects by the agreement of all views, without training anything.

Two masks of one level belong together when nearly every view that sees both has one mask that holds both. A mask that
many views tear apart (a proposer merged two things there) belongs nowhere and is left out.

Source: view consensus of MaskClustering (Yan et al., CVPR 2024), there on points of a scan; here a mask is its row of
blending weights over Gaussians, and all shares are sums of these weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.sparse import csr_array, diags_array
from scipy.sparse.csgraph import connected_components


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
    """Masks torn apart by more than this share of the views that see them are left out."""
    minimum_masks: int = 3
    """Objects of fewer masks are dropped."""
    rounds: int = 10
    """Merging rounds, from pairs with many common views to pairs with few."""
    join_share: float = 0.5
    """A mask left over joins the object that holds at least this share of its weight."""


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
    if not rows.shape[0]:
        return np.zeros(0, np.int64)
    fractions = _fractions(rows, view_of, seen)
    is_seen = csr_array((np.ones_like(seen.data), seen.indices, seen.indptr), shape=seen.shape)
    torn = _torn(rows, view_of, fractions, is_seen, config)
    member = np.where(torn, -1, np.arange(len(torn)))
    for least in _thresholds(rows[np.flatnonzero(~torn)], is_seen, config):
        member = _merged(rows, view_of, fractions, is_seen, member, least, config)
    return _settled(rows, member, config)


def _fractions(rows: csr_array, view_of: ndarray, seen: csr_array) -> csr_array:
    """[mask gaussian] share of what the mask's view sees of a Gaussian that lies in the mask."""
    result = rows.copy()
    order = np.repeat(view_of, np.diff(rows.indptr))
    total = np.asarray(seen[order, rows.indices]).ravel() if rows.nnz else np.zeros(0)
    result.data = np.minimum(rows.data / np.maximum(total, 1e-12), 1.0)
    return result


def _shares(
    rows: csr_array, view_of: ndarray, fractions: csr_array, is_seen: csr_array, config: MaskGraphConfig
) -> tuple[Bool[ndarray, "row view"], Bool[ndarray, "row mask"]]:
    """Which views see each row, and which masks of those views hold it."""
    weight = np.asarray(rows.sum(axis=1)).ravel()
    unit = diags_array(1.0 / np.maximum(weight, 1e-12)) @ rows
    share = (unit @ is_seen.T).toarray()
    inside = (unit @ fractions.T).toarray()
    sees = share >= config.visible_share
    holds = (inside >= config.contained_share * share[:, view_of]) & sees[:, view_of]
    return sees, holds


def _torn(
    rows: csr_array, view_of: ndarray, fractions: csr_array, is_seen: csr_array, config: MaskGraphConfig
) -> Bool[ndarray, " mask"]:
    sees, holds = _shares(rows, view_of, fractions, is_seen, config)
    sees[np.arange(len(view_of)), view_of] = False
    holds[np.arange(len(view_of)), np.arange(len(view_of))] = False
    views = sees.sum(1)
    held = _views_of(holds, view_of, is_seen.shape[0]).sum(1)
    return (views > 0) & (views - held > config.torn_share * views)


def _views_of(holds: Bool[ndarray, "row mask"], view_of: ndarray, count: int) -> Bool[ndarray, "row view"]:
    """Views in which some mask holds the row."""
    result = np.zeros((len(holds), count), bool)
    row, mask = np.nonzero(holds)
    result[row, view_of[mask]] = True
    return result


def _thresholds(rows: csr_array, is_seen: csr_array, config: MaskGraphConfig) -> Int[ndarray, " round"]:
    """Least numbers of common views, falling: what well-seen pairs say comes first."""
    weight = np.asarray(rows.sum(axis=1)).ravel()
    sees = ((diags_array(1.0 / np.maximum(weight, 1e-12)) @ rows) @ is_seen.T).toarray() >= config.visible_share
    common = sees.astype(np.float32) @ sees.T.astype(np.float32)
    pairs = common[np.triu_indices(len(common), 1)]
    if not len(pairs[pairs > 0]):
        return np.ones(1, np.int64)
    levels = np.quantile(pairs[pairs > 0], np.linspace(0.95, 0.0, config.rounds))
    return np.maximum(1, np.floor(levels)).astype(np.int64)


def _merged(
    rows: csr_array, view_of: ndarray, fractions: csr_array, is_seen: csr_array, member: ndarray, least: int,
    config: MaskGraphConfig,
) -> Int[ndarray, " mask"]:  # fmt: skip
    """One round: clusters with enough common views that agree become one."""
    kept = np.flatnonzero(member >= 0)
    if not len(kept):
        return member
    _, cluster = np.unique(member[kept], return_inverse=True)
    count = int(cluster.max()) + 1
    gather = csr_array((np.ones(len(kept), np.float32), (cluster, kept)), shape=(count, rows.shape[0]))
    sees, holds = _shares(gather @ rows, view_of, fractions, is_seen, config)
    # what a mask of the cluster itself says counts as held in its own view
    supporters = (holds.astype(np.float32) @ holds.T.astype(np.float32))
    seen = sees.astype(np.float32)
    observers = seen @ seen.T
    agree = (observers >= least) & (supporters >= config.consensus * observers)
    _, merged = connected_components(csr_array(agree), directed=False)
    result = member.copy()
    result[kept] = merged[cluster]
    return result


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
    owner = dominant_rows(weights)
    result = cluster.copy()
    for mask in np.flatnonzero(cluster < 0):
        span = slice(rows.indptr[mask], rows.indptr[mask + 1])
        owners, data = owner[rows.indices[span]], rows.data[span]
        votes = np.bincount(owners[owners >= 0], weights=data[owners >= 0], minlength=len(names))
        if len(data) and votes.max() >= config.join_share * data.sum():
            result[mask] = int(votes.argmax())
    order = np.argsort(-np.asarray(weights.sum(axis=1)).ravel(), kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return np.where(result >= 0, rank[result], -1)


def object_weights(rows: csr_array, member: Int[ndarray, " mask"], count: int) -> csr_array:
    """[object gaussian] summed weights of each object's masks; masks with -1 count nowhere."""
    own = np.flatnonzero(member >= 0)
    gather = csr_array((np.ones(len(own), np.float32), (member[own], own)), shape=(count, rows.shape[0]))
    return csr_array(gather @ rows)


def dominant_rows(weights: csr_array) -> Int[ndarray, " gaussian"]:
    """Row with the largest weight in each column; -1 where all are 0. Ties go to the lower row."""
    columns = weights.tocsc()
    result = np.full(weights.shape[1], -1)
    for column in np.flatnonzero(np.diff(columns.indptr)):
        span = slice(columns.indptr[column], columns.indptr[column + 1])
        rows, data = columns.indices[span], columns.data[span]
        best = data.max()
        if best > 0:
            result[column] = rows[data == best].min()
    return result


def summed_share(weights: csr_array, total: Float[ndarray, " gaussian"]) -> csr_array:
    """[object gaussian] share of a Gaussian's weight over all views that lies in the object's masks."""
    return csr_array(weights @ diags_array(1.0 / np.maximum(total, 1e-12)))
