"""Which views see a set of Gaussians, and which masks hold it: the facts a mask graph is made of, kept sparse.

A view has at most one mask that holds a row (a mask or a cluster of masks) when more than half of the row must lie in
it, so a row is held by at most as many masks as there are views. All products are made block by block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Bool, Int, UInt16
from numpy import ndarray
from scipy.sparse import csr_array, diags_array, vstack

_BLOCK_ROWS = 512
_BLOCK_PAIRS = 1 << 20
_ONES_OF = np.array([bin(word).count("1") for word in range(1 << 16)], np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskLevel:
    """The masks of one level, as rows are compared with them."""

    view_of: Int[ndarray, " mask"]
    """View of each mask."""
    seen_by: csr_array
    """[gaussian view] 1 where the view sees the Gaussian."""
    lies_in: csr_array
    """[gaussian mask] share of what the mask's view sees of the Gaussian that lies in the mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relations:
    """What the views say about some rows."""

    sees: Bool[ndarray, "row view"]
    """Views that see enough of the row."""
    holds: csr_array
    """[row mask] 1 where the mask holds nearly all its view sees of the row."""


def matrix_shape(matrix: csr_array) -> tuple[int, int]:
    """Rows and columns."""
    return cast(tuple[int, int], matrix.shape)


def mask_level(rows: csr_array, view_of: Int[ndarray, " mask"], seen: csr_array) -> MaskLevel:
    """The masks of one level, from their weights and those of whole views, both over Gaussians."""
    fractions = rows.copy()
    total = np.asarray(seen[np.repeat(view_of, np.diff(rows.indptr)), rows.indices]).ravel() if rows.nnz else 1.0
    fractions.data = np.minimum(rows.data / np.maximum(total, 1e-12), 1.0)
    is_seen = csr_array((np.ones_like(seen.data), seen.indices, seen.indptr), shape=seen.shape)
    return MaskLevel(view_of=view_of, seen_by=csr_array(is_seen.T), lies_in=csr_array(fractions.T))


def relations_of(rows: csr_array, level: MaskLevel, *, visible_share: float, contained_share: float) -> Relations:
    """Views that see at least `visible_share` of each row, and their masks that hold `contained_share` of that."""
    count, views = matrix_shape(rows)[0], matrix_shape(level.seen_by)[1]
    sees, parts = np.zeros((count, views), bool), [csr_array((0, len(level.view_of)), dtype=np.float32)]
    for start in range(0, count, _BLOCK_ROWS):
        block = csr_array(rows[start : start + _BLOCK_ROWS])
        weight = np.asarray(block.sum(axis=1)).ravel()
        unit = diags_array(1.0 / np.maximum(weight, 1e-12)) @ block
        share = (unit @ level.seen_by).toarray()
        sees[start : start + _BLOCK_ROWS] = share >= visible_share
        inside = (unit @ level.lies_in).tocoo()
        row, mask = inside.coords
        view = level.view_of[mask]
        held = (share[row, view] >= visible_share) & (inside.data >= contained_share * share[row, view])
        places = (row[held], mask[held])
        parts.append(csr_array((np.ones(len(places[0]), np.float32), places), shape=inside.shape))
    return Relations(sees=sees, holds=csr_array(vstack(parts)))


def views_that_hold(relations: Relations, level: MaskLevel) -> Bool[ndarray, "row view"]:
    """Views in which some mask holds the row."""
    result = np.zeros(relations.sees.shape, bool)
    row, mask = relations.holds.tocoo().coords
    result[row, level.view_of[mask]] = True
    return result


def agreeing_pairs(relations: Relations, *, least: int, consensus: float) -> csr_array:
    """[row row] upper triangle, 1 for pairs of rows that enough of their common views hold in one mask.

    Args:
        relations: what the views say about the rows.
        least: common views a pair needs.
        consensus: share of them that must hold both in one mask.
    """
    holds, count = relations.holds, len(relations.sees)
    words = _packed(relations.sees)
    transposed = csr_array(holds.T)
    rows, columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, count, _BLOCK_ROWS):
        supporters = csr_array(csr_array(holds[start : start + _BLOCK_ROWS]) @ transposed).tocoo()
        left, right = supporters.coords[0].astype(np.int64) + start, supporters.coords[1]
        for part in _blocks(np.flatnonzero(left < right), _BLOCK_PAIRS):
            observers = _ONES_OF[words[left[part]] & words[right[part]]].sum(1, dtype=np.int64)
            # a little less than asked for, so that 9 of 10 is 0.9 whatever the rounding
            agree = (observers >= least) & (supporters.data[part] >= consensus * observers - 1e-6)
            rows.append(left[part][agree])
            columns.append(right[part][agree].astype(np.int64))
    places = (np.concatenate(rows), np.concatenate(columns))
    return csr_array((np.ones(len(places[0]), bool), places), shape=(count, count))


def common_view_counts(sees: Bool[ndarray, "row view"], *, most_rows: int) -> Int[ndarray, " pair"]:
    """Numbers of views each two rows have in common, where there are any; of an even sample of `most_rows` rows."""
    if len(sees) > most_rows:
        sees = sees[np.linspace(0, len(sees) - 1, most_rows).round().astype(int)]
    values = sees.astype(np.float32)
    counts = np.zeros(sees.shape[1] + 1, np.int64)
    for start in range(0, len(values), _BLOCK_ROWS):
        common = (values[start : start + _BLOCK_ROWS] @ values[start:].T).astype(np.int64)
        upper = np.triu_indices(common.shape[0], 1, common.shape[1])
        counts += np.bincount(common[upper], minlength=len(counts))
    return np.repeat(np.arange(1, len(counts)), counts[1:])


def _packed(sees: Bool[ndarray, "row view"]) -> UInt16[ndarray, "row word"]:
    padded = np.zeros((len(sees), -(-sees.shape[1] // 16) * 16), bool)
    padded[:, : sees.shape[1]] = sees
    return np.packbits(padded, axis=1).view(np.uint16)


def _blocks(values: ndarray, size: int) -> Iterator[ndarray]:
    return (values[start : start + size] for start in range(0, len(values), size))
