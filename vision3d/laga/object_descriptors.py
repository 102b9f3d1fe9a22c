"""`ObjectDescriptors`: a few vectors of language per object, each with a weight, gathered from all its masks.

What an object looks like changes with the side it is seen from, so its masks' vectors are clustered and every cluster's
mean becomes a descriptor. A descriptor weighs as much as its direction agrees with the object's mean vector and as its
members agree with one another.

Source: LaGa (arXiv 2505.24746), adaptive k-means and weight w_j = <g, c_j> with the centroid c_j not normalised. The
clusterings of all k are cuts of one Ward tree, refined by Lloyd steps, instead of 19 x 10 runs of k-means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.cluster.hierarchy import cut_tree, ward
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.language.mask_features import MaskFeatures

Aggregation = Literal["weighted", "direction", "compactness", "unweighted", "mean", "best_view"]
"""`weighted` is LaGa; `direction` and `compactness` use one half of the weight, `unweighted` none; `mean` keeps one
vector per object, and `best_view` the vector of its largest mask."""
AGGREGATIONS: tuple[Aggregation, ...] = ("weighted", "direction", "compactness", "unweighted", "mean", "best_view")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptorConfig:
    """How vectors of masks become descriptors of an object."""

    aggregation: Aggregation = "weighted"
    """Which descriptors and weights."""
    most_descriptors: int = 20
    """Largest k that is tried."""
    most_members: int = 400
    """Objects with more masks are clustered by an even sample of this many."""
    lloyd_steps: int = 5
    """Refinements of each cut."""

    def __post_init__(self) -> None:
        if self.aggregation not in AGGREGATIONS or self.most_descriptors < 1 or self.most_members < 3:
            raise InvalidInputError(
                f"DescriptorConfig: expected an aggregation of {', '.join(AGGREGATIONS)}, at least 1 descriptor and 3 "
                f"members, found {self.aggregation!r}, {self.most_descriptors} and {self.most_members}. Change them."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectDescriptors:
    """Descriptors of all objects, ragged: object `o` has the rows where `object` is o."""

    vectors: Float[Tensor, "descriptor dim"]
    """Unit length."""
    object: Int[Tensor, " descriptor"]
    """Object of each descriptor, rising."""
    weights: Float[Tensor, " descriptor"]
    """In 0-1 for vectors of one cone; multiplied onto the relevance."""
    encoder_id: str
    """Encoder of the vectors."""

    def __len__(self) -> int:
        return len(self.weights)


def describe_objects(
    features: MaskFeatures,
    mask_object: Int[Tensor, " mask"],
    *,
    object_count: int,
    pixels: Int[Tensor, " mask"] | None = None,
    config: DescriptorConfig = DescriptorConfig(),
) -> ObjectDescriptors:
    """Descriptors of every object from the vectors of its masks; an object without masks has none.

    Args:
        features: vectors of all masks.
        mask_object: object of each of them, -1 = none.
        object_count: how many objects there are.
        pixels: sizes of the masks, needed by `best_view`.
        config: what becomes a descriptor.
    """
    vectors, owners, weights = [], [], []
    values = features.vectors.numpy()
    for number in range(object_count):
        own = np.flatnonzero(mask_object.numpy() == number)
        if not len(own):
            continue
        best = None if pixels is None else int(pixels.numpy()[own].argmax())
        centres, weight = descriptors_of(values[own], config, largest=best)
        vectors.append(centres)
        weights.append(weight)
        owners += [number] * len(weight)
    dim = values.shape[1]
    return ObjectDescriptors(
        vectors=torch.from_numpy(np.concatenate([np.zeros((0, dim), np.float32), *vectors])),
        object=torch.tensor(owners, dtype=torch.long),
        weights=torch.from_numpy(np.concatenate([np.zeros(0, np.float32), *weights])),
        encoder_id=features.encoder_id,
    )


def descriptors_of(
    vectors: Float[ndarray, "mask dim"], config: DescriptorConfig = DescriptorConfig(), *, largest: int | None = None
) -> tuple[Float[ndarray, "descriptor dim"], Float[ndarray, " descriptor"]]:
    """Unit descriptors and weights of one object.

    Raises:
        InvalidInputError: `best_view` is asked for and nobody says which mask is the largest.
    """
    mean = vectors.mean(0)
    direction = mean / max(float(np.linalg.norm(mean)), 1e-12)
    if config.aggregation == "best_view":
        if largest is None:
            raise InvalidInputError("Expected sizes of the masks for best_view, found none. Pass `pixels`.")
        return vectors[largest : largest + 1].astype(np.float32), np.ones(1, np.float32)
    if config.aggregation == "mean":
        return direction[None].astype(np.float32), np.ones(1, np.float32)
    if len(vectors) > config.most_members:
        vectors = vectors[np.linspace(0, len(vectors) - 1, config.most_members).round().astype(int)]
    member = adaptive_clusters(vectors, most=config.most_descriptors, lloyd_steps=config.lloyd_steps)
    centres = _means(vectors, member)
    length = np.linalg.norm(centres, axis=1)
    unit = centres / np.maximum(length[:, None], 1e-12)
    agreement = unit @ direction
    weight = {
        "weighted": agreement * length,
        "direction": agreement,
        "compactness": length,
        "unweighted": np.ones_like(length),
    }[config.aggregation]
    return unit.astype(np.float32), weight.astype(np.float32)


def adaptive_clusters(
    vectors: Float[ndarray, "mask dim"], *, most: int = 20, lloyd_steps: int = 5
) -> Int[ndarray, " mask"]:
    """Cluster of each vector, with as many clusters, up to `most`, as have the best mean silhouette (Euclidean).

    One or two vectors, or vectors that are all alike, make one cluster. Equal silhouettes: the fewer clusters.

    Example:
        >>> adaptive_clusters(np.array([[1.0, 0], [0.99, 0.1], [0, 1.0], [0.1, 0.99]])).tolist()
        [0, 0, 1, 1]
    """
    count = len(vectors)
    together = np.zeros(count, np.int64)
    if count < 3 or most < 2:
        return together
    vectors = vectors.astype(np.float64)  # single precision sees equal vectors 1e-4 apart
    gram = vectors @ vectors.T
    squares = np.diag(gram)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * gram, 0))
    if distances.max() < 1e-6:
        return together
    ks = list(range(2, min(count - 1, most) + 1))
    cuts = cut_tree(ward(vectors), n_clusters=ks)
    best, best_score = together, -1.0
    for column in range(len(ks)):
        member = _refined(vectors, cuts[:, column].astype(np.int64), lloyd_steps)
        score = mean_silhouette(distances, member)
        if score > best_score + 1e-9:
            best, best_score = member, score
    return best


def mean_silhouette(distances: Float[ndarray, "row row"], member: Int[ndarray, " row"]) -> float:
    """Mean silhouette of a clustering, 0 for the only member of a cluster; -1 for fewer than two clusters."""
    if len(np.unique(member)) < 2:
        return -1.0
    count = int(member.max()) + 1
    one_hot = np.eye(count)[member]
    sizes = one_hot.sum(0)
    sums = distances @ one_hot
    own = sums[np.arange(len(member)), member] / np.maximum(sizes[member] - 1, 1)
    others = np.where((one_hot > 0) | (sizes == 0), np.inf, sums / np.maximum(sizes, 1)).min(1)
    silhouette = (others - own) / np.maximum(np.maximum(own, others), 1e-12)
    return float(np.where(sizes[member] > 1, silhouette, 0.0).mean())


def _refined(vectors: ndarray, member: ndarray, steps: int) -> ndarray:
    """The clusters after a few Lloyd steps, empty ones dropped, numbered by first appearance."""
    for _ in range(steps):
        centres = _means(vectors, member)
        moved = (0.5 * (centres**2).sum(1)[None] - vectors @ centres.T).argmin(1)
        if (moved == member).all():
            break
        member = np.unique(moved, return_inverse=True)[1]
    _, first, member = np.unique(member, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[member]


def _means(vectors: ndarray, member: ndarray) -> ndarray:
    one_hot = np.eye(int(member.max()) + 1, dtype=vectors.dtype)[member]
    return (one_hot.T @ vectors) / one_hot.sum(0)[:, None]
