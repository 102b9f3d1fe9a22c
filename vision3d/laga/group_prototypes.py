"""Objects from mask prototypes: a cluster of masks seen from many views is one object, and every Gaussian takes one.

Source: LaGa (arXiv 2505.24746), section 3.2: HDBSCAN on unit vectors, level by level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from sklearn.cluster import HDBSCAN
from torch import Tensor
from torch.nn.functional import normalize

from vision3d.errors import InvalidInputError
from vision3d.laga.affinity_field import AffinityField, level_dims
from vision3d.laga.prototypes import MaskPrototypes

_LEAST_CLUSTER, _LARGEST_CLUSTER = 5, 8
_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingConfig:
    """Which masks make an object."""

    minimum_cluster_size: int | None = None
    """Masks of an object at the least (published: 5); None = a sixth of the views, in 5 to 8, but no more than a third
    of the views. What a proposer merges by mistake in a few views then makes no object of its own."""
    selection_epsilon: float = 0.1
    """Clusters of the finest level nearer than this are one; distance of unit vectors."""
    epsilon_per_level: float = 0.05
    """Added to the distance at each coarser level (published: 0.1; it may chain objects over masks that hold two)."""

    def __post_init__(self) -> None:
        if (self.minimum_cluster_size or 2) < 2 or self.selection_epsilon < 0 or self.epsilon_per_level < 0:
            raise InvalidInputError(
                "GroupingConfig: expected minimum_cluster_size >= 2 and epsilons >= 0, found "
                f"{self.minimum_cluster_size}, {self.selection_epsilon} and {self.epsilon_per_level}."
            )

    def cluster_size(self, view_count: int) -> int:
        """Masks of an object at the least, with so many views.

        >>> [GroupingConfig().cluster_size(views) for views in (3, 12, 30, 48, 300)]
        [2, 4, 5, 8, 8]
        """
        if self.minimum_cluster_size is not None:
            return self.minimum_cluster_size
        wanted = max(_LEAST_CLUSTER, min(_LARGEST_CLUSTER, view_count // 6))
        return min(wanted, max(2, view_count // 3))

    def epsilon(self, level: int) -> float:
        """Distance within which clusters of `level` are one."""
        return self.selection_epsilon + self.epsilon_per_level * level


@dataclass(frozen=True, slots=True, kw_only=True)
class PrototypeGroups:
    """The objects as clusters of masks. Numbered across the levels, fine levels first, by their first mask."""

    mask_object: Int[Tensor, " mask"]
    """Object of each mask; -1 = in no cluster, or not usable."""
    centres: Float[Tensor, "object dim"]
    """Unit mean of the prototypes; channels that the object's level does not look at are 0."""
    object_level: Int[Tensor, " object"]
    """Level of each object, rising."""


def group_prototypes(
    prototypes: MaskPrototypes,
    mask_level: Int[Tensor, " mask"],
    *,
    level_count: int,
    view_count: int,
    config: GroupingConfig = GroupingConfig(),
) -> PrototypeGroups:
    """Clusters of the usable prototypes of each level."""
    mask_object = torch.full((len(mask_level),), -1, dtype=torch.long)
    centres, object_level = [prototypes.vectors.new_zeros(0, prototypes.vectors.shape[1]).cpu()], []
    for level in range(level_count):
        rows = torch.nonzero((mask_level.cpu() == level) & prototypes.usable.cpu())[:, 0]
        vectors = prototypes.vectors.cpu()[rows]
        cluster = torch.from_numpy(
            cluster_vectors(
                vectors.double().numpy(),
                minimum_size=config.cluster_size(view_count),
                epsilon=config.epsilon(level),
            )
        )
        found = int(cluster.max()) + 1 if len(cluster) else 0
        mask_object[rows] = torch.where(cluster >= 0, cluster + len(object_level), -1)
        sums = torch.zeros(found, vectors.shape[1]).index_add_(0, cluster[cluster >= 0], vectors[cluster >= 0])
        centres.append(normalize(sums, dim=-1))
        object_level += [level] * found
    return PrototypeGroups(
        mask_object=mask_object, centres=torch.cat(centres), object_level=torch.tensor(object_level, dtype=torch.long)
    )


def cluster_vectors(vectors: Float[ndarray, "row dim"], *, minimum_size: int, epsilon: float) -> Int[ndarray, " row"]:
    """Cluster of each row, numbered in the order of their first rows; -1 = in none.

    Where no two clusters can be told apart, the rows may still make a single one.
    """
    if len(vectors) < minimum_size:
        return np.full(len(vectors), -1)
    for single in (False, True):
        clustering = HDBSCAN(
            min_cluster_size=minimum_size,
            cluster_selection_epsilon=epsilon,
            allow_single_cluster=single,
            copy=True,  # pyright: ignore[reportArgumentType]
        )
        labels = clustering.fit_predict(vectors).astype(np.int64)
        if labels.max() >= 0:
            return _numbered_by_first_row(labels)
    return labels


def _numbered_by_first_row(labels: Int[ndarray, " row"]) -> Int[ndarray, " row"]:
    names, first = np.unique(labels, return_index=True)
    first = np.where(names < 0, -1, first)
    rank = np.argsort(np.argsort(first)) - int(names[0] < 0)
    return rank[np.searchsorted(names, labels)]


def assign_gaussians(field: AffinityField, groups: PrototypeGroups) -> Int[Tensor, "level gaussian"]:
    """Object with the most similar centre for every Gaussian at each level; -1 only at a level without objects."""
    dims = level_dims(field.block_dims)
    result = torch.full((len(dims), len(field.features)), -1, dtype=torch.long, device=field.features.device)
    for level, dim in enumerate(dims):
        objects = torch.nonzero(groups.object_level == level)[:, 0].to(field.features.device)
        if not len(objects):
            continue
        centres = groups.centres.to(field.features)[objects, :dim]
        vectors = field.level_vectors(level)
        best = [(part @ centres.T).argmax(1) for part in vectors.split(_ROWS_AT_ONCE)]
        result[level] = objects[torch.cat(best)]
    return result
