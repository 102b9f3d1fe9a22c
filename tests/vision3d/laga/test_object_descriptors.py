"""Descriptors of objects: scikit-learn's silhouette and k-means, and weights worked by hand."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy import ndarray
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from vision3d.errors import InvalidInputError
from vision3d.laga.object_descriptors import (
    AGGREGATIONS,
    Aggregation,
    DescriptorConfig,
    adaptive_clusters,
    describe_objects,
    descriptors_of,
    mean_silhouette,
)
from vision3d.language.mask_features import MaskFeatures


def _clusters(sizes: tuple[int, ...], *, dim: int = 16, spread: float = 0.05, seed: int = 0) -> tuple[ndarray, ndarray]:
    """Unit vectors around random directions, shuffled, and the cluster of each."""
    random = np.random.default_rng(seed)
    truth = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centres = np.linalg.qr(random.standard_normal((dim, len(sizes))))[0].T
    vectors = centres[truth] + spread * random.standard_normal((len(truth), dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), truth


def _distances(vectors: ndarray) -> ndarray:
    return np.linalg.norm(vectors[:, None].astype(float) - vectors[None], axis=-1)


def _same_partition(one: ndarray, other: ndarray) -> bool:
    return bool(((one[:, None] == one[None]) == (other[:, None] == other[None])).all())


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(8, 40))
def test_silhouette_is_scikit_learns(seed: int, clusters: int, count: int) -> None:
    random = np.random.default_rng(seed)
    member = np.concatenate(
        [np.arange(clusters), random.integers(0, clusters, count - clusters)]
    )  # with single members
    vectors = random.standard_normal((count, 3))
    expected = float(silhouette_score(vectors, member))
    assert mean_silhouette(_distances(vectors), member) == pytest.approx(expected, abs=1e-9)
    assert mean_silhouette(_distances(vectors), member * 2) == pytest.approx(expected, abs=1e-9), (
        "numbers may have gaps"
    )


def test_one_cluster_has_no_silhouette() -> None:
    assert mean_silhouette(_distances(np.eye(3)), np.zeros(3, int)) == -1.0


@pytest.mark.parametrize("sizes", [(6, 6), (9, 4, 5), (3, 12, 5, 7), (5, 5, 5, 5, 5, 5, 5)])
def test_k_is_the_one_the_published_search_chooses(sizes: tuple[int, ...]) -> None:
    vectors, truth = _clusters(sizes)
    best, choice = -1.0, np.zeros(len(vectors), int)
    for k in range(2, min(len(vectors) - 1, 20) + 1):
        member = KMeans(k, random_state=42).set_params(n_init=10).fit_predict(vectors)
        score = float(silhouette_score(vectors, member))
        if score > best:
            best, choice = score, member
    found = adaptive_clusters(vectors)
    assert found.max() + 1 == len(sizes)
    assert _same_partition(found, choice)
    assert _same_partition(found, truth)


def test_the_most_clusters_is_kept_to() -> None:
    vectors, truth = _clusters((6, 6, 6, 6))
    assert adaptive_clusters(vectors, most=3).max() + 1 == 3
    assert adaptive_clusters(vectors, most=1).tolist() == [0] * 24
    assert _same_partition(adaptive_clusters(vectors, most=4), truth)


@pytest.mark.parametrize("count", [1, 2, 5, 300])
def test_equal_vectors_and_pairs_are_one_cluster(count: int) -> None:
    vector = torch.nn.functional.normalize(torch.randn(512), dim=0).numpy()
    assert adaptive_clusters(np.tile(vector, (count, 1))).tolist() == [0] * count
    assert adaptive_clusters(_clusters((1, 1))[0]).tolist() == [0, 0]


def test_lloyd_steps_never_widen_the_clusters() -> None:
    # spread widely, so that the cut of the tree is not yet what Lloyd's steps settle on
    vectors, _ = _clusters((20, 20, 20), dim=3, spread=0.35, seed=2)

    def inertia(steps: int) -> float:
        member = adaptive_clusters(vectors, most=3, lloyd_steps=steps)
        return sum(float(np.square(part - part.mean(0)).sum()) for part in (vectors[member == m] for m in set(member)))

    assert inertia(5) < inertia(0)


def _worked_vectors() -> ndarray:
    # 3 views of one side, along x with cosine 0.8 to either hand, and 2 of another, along y: means (0.8667, 0, 0) in
    # the mean of (1, 0, 0) and (0.8, 0, +-0.6), and (0, 1, 0)
    return np.array([[1, 0, 0], [0.8, 0, 0.6], [0.8, 0, -0.6], [0, 1, 0], [0, 1, 0]], np.float32)


_GLOBAL = (2.6 / math.hypot(2.6, 2.0), 2.0 / math.hypot(2.6, 2.0))
"""The unit mean vector of the five: (2.6, 2, 0) / 5 brought to length 1."""


@pytest.mark.parametrize(
    ("aggregation", "weights"),
    [
        ("weighted", (_GLOBAL[0] * 2.6 / 3, _GLOBAL[1])),
        ("direction", _GLOBAL),
        ("compactness", (2.6 / 3, 1.0)),
        ("unweighted", (1.0, 1.0)),
    ],
)
def test_weights_by_hand(aggregation: Aggregation, weights: tuple[float, float]) -> None:
    vectors, found = descriptors_of(_worked_vectors(), DescriptorConfig(aggregation=aggregation, most_descriptors=2))
    np.testing.assert_allclose(vectors, [[1, 0, 0], [0, 1, 0]], atol=1e-6)
    np.testing.assert_allclose(found, weights, rtol=1e-6)


def test_the_weight_is_the_product_with_the_raw_centroid_whatever_the_clusters() -> None:
    values, _ = _clusters((8, 5, 6), spread=0.2)
    member = adaptive_clusters(values)
    mean = values.mean(0)
    expected = [float(mean / np.linalg.norm(mean) @ values[member == number].mean(0)) for number in range(3)]
    np.testing.assert_allclose(descriptors_of(values)[1], expected, rtol=1e-5)


def test_mean_and_best_view_are_one_vector_of_weight_one() -> None:
    vectors, weights = descriptors_of(_worked_vectors(), DescriptorConfig(aggregation="mean"))
    np.testing.assert_allclose(vectors, [[*_GLOBAL, 0]], atol=1e-6)
    assert weights.tolist() == [1.0]
    best = DescriptorConfig(aggregation="best_view")
    vectors, weights = descriptors_of(_worked_vectors(), best, largest=2)
    np.testing.assert_array_equal(vectors, _worked_vectors()[[2]])
    assert weights.tolist() == [1.0]
    with pytest.raises(InvalidInputError, match="Pass `pixels`"):
        descriptors_of(_worked_vectors(), best)


def test_large_objects_are_described_by_a_sample() -> None:
    values, _ = _clusters((300, 300))
    centres, weights = descriptors_of(values, DescriptorConfig(most_members=100))
    every, all_weights = descriptors_of(values, DescriptorConfig(most_members=600))
    assert len(centres) == len(every) == 2
    cosine = centres @ every.T
    assert np.sort(cosine.max(1)).min() > 0.999
    np.testing.assert_allclose(np.sort(weights), np.sort(all_weights), atol=0.02)


def test_objects_are_described_one_by_one() -> None:
    one, two = _clusters((5, 6), seed=1)[0], _clusters((7,), seed=2)[0]
    vectors = torch.from_numpy(np.concatenate([one, two, one[:2]]))
    owners = torch.tensor([3] * 11 + [1] * 7 + [-1, -1])
    order = torch.randperm(20)
    column = torch.zeros(20, dtype=torch.long)
    features = MaskFeatures(vectors=vectors[order], view=column, level=column, number=column, encoder_id="e")
    found = describe_objects(features, owners[order], object_count=5)
    assert found.encoder_id == "e"
    assert sorted(set(found.object.tolist())) == [1, 3], "objects without masks have no descriptor"
    assert found.object.tolist() == sorted(found.object.tolist())
    assert len(found) == len(found.vectors) == len(found.object)
    # order within an object follows the shuffled table, so compare as sets
    expected, weights = descriptors_of(one)
    cosine = found.vectors[found.object == 3].numpy() @ expected.T
    np.testing.assert_allclose(cosine.max(1), 1.0, atol=1e-5)
    np.testing.assert_allclose(found.weights[found.object == 3].numpy(), weights[cosine.argmax(1)], rtol=1e-5)


def test_the_best_view_is_the_mask_with_the_most_pixels() -> None:
    column = torch.zeros(4, dtype=torch.long)
    features = MaskFeatures(vectors=torch.eye(4), view=column, level=column, number=column, encoder_id="e")
    found = describe_objects(
        features,
        torch.tensor([0, 1, 0, 1]),
        object_count=2,
        pixels=torch.tensor([5, 70, 6, 7]),
        config=DescriptorConfig(aggregation="best_view"),
    )
    assert found.vectors.argmax(1).tolist() == [2, 1]


def test_every_aggregation_has_a_name() -> None:
    assert get_args(Aggregation) == AGGREGATIONS


@pytest.mark.parametrize("wrong", [{"most_descriptors": 0}, {"most_members": 2}])
def test_settings_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidInputError, match="at least 1 descriptor and 3 members"):
        DescriptorConfig(**wrong)  # pyright: ignore[reportArgumentType]
