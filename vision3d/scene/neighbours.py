"""Nearest neighbours among points, exact, on the CPU (scipy's k-d tree), in blocks that keep memory bounded."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from vision3d.errors import InvalidInputError

_BLOCK_ROWS = 1 << 17


def k_nearest(
    points: Float[Tensor, "point 3"], k: int, queries: Float[Tensor, "query 3"] | None = None
) -> tuple[Float[Tensor, "row neighbour"], Int[Tensor, "row neighbour"]]:
    """Distances and rows of the `k` points nearest to each query, nearest first.

    Without `queries` the points look for one another and a point is never its own neighbour (points at the same place
    are). Where fewer than `k` points are there to be found, all of them are returned: the second dimension is
    min(k, available).

    Args:
        points: where to search, any unit; no gradient flows.
        k: neighbours wanted, at least 1.
        queries: where to search from; None for the points themselves.

    Returns:
        Distances in the unit and dtype of the points, and int64 rows of `points`, on their device.

    Raises:
        InvalidInputError: k below 1, or a coordinate that is not finite.

    Example:
        >>> distances, rows = k_nearest(torch.tensor([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]]), 1)
        >>> distances.flatten().tolist(), rows.flatten().tolist()
        ([1.0, 1.0, 2.0], [1, 0, 1])
    """
    if k < 1:
        raise InvalidInputError(f"k_nearest: expected k of at least 1, found {k}. Ask for one neighbour or more.")
    places = _finite_rows(points, "points")
    starts = places if queries is None else _finite_rows(queries, "queries")
    available = len(places) - 1 if queries is None else len(places)
    columns = min(k, max(available, 0))
    distances = np.zeros((len(starts), columns))
    rows = np.zeros((len(starts), columns), np.int64)
    if columns and len(starts):
        tree = KDTree(places)
        for start in range(0, len(starts), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            own = np.arange(start, min(start + _BLOCK_ROWS, len(starts))) if queries is None else None
            distances[block], rows[block] = _nearest_in_tree(tree, starts[block], columns, own)
    return (
        torch.from_numpy(distances).to(device=points.device, dtype=points.dtype),
        torch.from_numpy(rows).to(points.device),
    )


def mean_neighbour_distance(points: Float[Tensor, "point 3"], k: int = 3) -> Float[Tensor, " point"]:
    """Mean distance of each point to its `k` nearest others (to all others where there are fewer).

    Raises:
        InvalidInputError: fewer than two points.
    """
    if len(points) < 2:
        raise InvalidInputError(
            f"mean_neighbour_distance: expected at least 2 points, found {len(points)}. One point has no neighbour."
        )
    distances, _ = k_nearest(points, k)
    return distances.mean(1)


def _nearest_in_tree(
    tree: KDTree, starts: np.ndarray, columns: int, own: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest points of each start; rows listed in `own` are left out of their own answer."""
    wanted = columns if own is None else columns + 1
    found = tree.query(starts, k=wanted)
    distances, rows = (np.asarray(part).reshape(len(starts), wanted) for part in found)
    if own is None:
        return distances, rows
    dropped = rows == own[:, None]
    # among many points at one place the tree may not list the start itself: then the farthest goes
    dropped[~dropped.any(axis=1), -1] = True
    return distances[~dropped].reshape(-1, columns), rows[~dropped].reshape(-1, columns)


def _finite_rows(points: Tensor, what: str) -> np.ndarray:
    rows = points.detach().cpu().double().numpy()
    bad = int((~np.isfinite(rows)).any(axis=1).sum())
    if bad:
        raise InvalidInputError(
            f"k_nearest: expected finite {what}, found {bad} of {len(rows)} with NaN or infinity. Remove them first."
        )
    return rows
