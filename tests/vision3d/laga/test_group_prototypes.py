"""Clusters of unit vectors that can be told by eye, and Gaussians given to the nearest."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from vision3d.errors import InvalidInputError
from vision3d.laga.affinity_field import AffinityField
from vision3d.laga.group_prototypes import GroupingConfig, assign_gaussians, cluster_vectors, group_prototypes
from vision3d.laga.prototypes import MaskPrototypes


def _around(axis: int, count: int, dim: int, spread: float = 0.02) -> torch.Tensor:
    return normalize(torch.eye(dim)[axis] + spread * torch.randn(count, dim), dim=-1)


def test_clusters_become_objects_numbered_by_their_first_mask() -> None:
    # level 0: axes 2 (first), 0, 1 and one mask farther from all of them than they are from each other;
    # level 1, channels 0-1 only: axes 1 and 0
    alone = normalize(torch.tensor([[-1.0, -1, -1, 0]]), dim=-1)
    fine = torch.cat([_around(2, 6, 4), _around(0, 7, 4), _around(1, 8, 4), alone])
    coarse = torch.cat([_around(1, 5, 2), _around(0, 6, 2)])
    vectors = torch.cat([fine, torch.cat([coarse, torch.zeros(11, 2)], 1)])
    level = torch.tensor([0] * 22 + [1] * 11)
    prototypes = MaskPrototypes(vectors=vectors, usable=torch.ones(33, dtype=torch.bool))
    groups = group_prototypes(prototypes, level, level_count=2, view_count=30)
    expected = [0] * 6 + [1] * 7 + [2] * 8 + [-1] + [3] * 5 + [4] * 6
    assert groups.mask_object.tolist() == expected
    assert groups.object_level.tolist() == [0, 0, 0, 1, 1]
    axes = torch.eye(4)[[2, 0, 1, 1, 0]]
    assert float((groups.centres * axes).sum(1).min()) > 0.99
    torch.testing.assert_close(groups.centres[0], normalize(vectors[:6].mean(0), dim=0))

    field = AffinityField(features=torch.eye(4) * 5, block_dims=(2, 2), opacity_logits=torch.zeros(4))
    assert assign_gaussians(field, groups)[0, :3].tolist() == [1, 2, 0]
    assert assign_gaussians(field, groups)[1, :2].tolist() == [4, 3]


def test_masks_that_are_not_usable_are_left_out() -> None:
    vectors = torch.cat([_around(0, 6, 3), _around(1, 6, 3)])
    usable = torch.tensor([False] + [True] * 11)
    groups = group_prototypes(
        MaskPrototypes(vectors=vectors, usable=usable), torch.zeros(12, dtype=torch.long), level_count=1, view_count=20
    )
    assert groups.mask_object.tolist() == [-1] + [0] * 5 + [1] * 6


def test_one_object_alone_is_found() -> None:
    found = cluster_vectors(_around(0, 12, 3).double().numpy(), minimum_size=5, epsilon=0.1)
    assert found.tolist() == [0] * 12


def test_equal_vectors_are_one_cluster() -> None:
    vectors = np.repeat(np.eye(3), [6, 7, 5], axis=0)
    assert cluster_vectors(vectors, minimum_size=4, epsilon=0.1).tolist() == [0] * 6 + [1] * 7 + [2] * 5


def test_fewer_masks_than_an_object_needs_make_none() -> None:
    assert cluster_vectors(np.eye(3), minimum_size=4, epsilon=0.1).tolist() == [-1, -1, -1]
    assert cluster_vectors(np.zeros((0, 3)), minimum_size=2, epsilon=0.1).tolist() == []


def test_near_clusters_are_one_at_a_coarser_level() -> None:
    # two tight clusters 0.17 apart (cosine 0.985): told apart within 0.1, one within 0.1 + 0.2, a third stays away
    near = normalize(torch.tensor([[1.0, 0, 0], [0.985, 0.1726, 0]]), dim=-1)
    vectors = torch.cat([near[:1].repeat(6, 1), near[1:].repeat(6, 1), torch.eye(3)[2:].repeat(6, 1)])
    vectors = normalize(vectors + 0.001 * torch.randn(vectors.shape), dim=-1)
    prototypes = MaskPrototypes(vectors=vectors.repeat(2, 1), usable=torch.ones(36, dtype=torch.bool))
    config = GroupingConfig(selection_epsilon=0.1, epsilon_per_level=0.2)
    level = torch.arange(2).repeat_interleave(18)
    groups = group_prototypes(prototypes, level, level_count=2, view_count=20, config=config)
    assert groups.mask_object.tolist() == [0] * 6 + [1] * 6 + [2] * 6 + [3] * 12 + [4] * 6


def test_a_level_without_objects_leaves_its_gaussians_alone() -> None:
    prototypes = MaskPrototypes(vectors=torch.zeros(0, 4), usable=torch.zeros(0, dtype=torch.bool))
    groups = group_prototypes(prototypes, torch.zeros(0, dtype=torch.long), level_count=2, view_count=5)
    field = AffinityField(features=torch.randn(6, 4), block_dims=(2, 2), opacity_logits=torch.zeros(6))
    assert assign_gaussians(field, groups).tolist() == [[-1] * 6, [-1] * 6]


def test_order_of_the_masks_changes_names_only() -> None:
    vectors = torch.cat([_around(axis, 8, 5, 0.05) for axis in range(5)]).double().numpy()
    order = np.random.default_rng(1).permutation(len(vectors))
    one = cluster_vectors(vectors, minimum_size=5, epsilon=0.1)
    other = cluster_vectors(vectors[order], minimum_size=5, epsilon=0.1)
    pairs = set(zip(one[order].tolist(), other.tolist(), strict=True))
    assert len(pairs) == 5, "each cluster keeps its members under one new name"


@pytest.mark.parametrize(
    "settings", [{"minimum_cluster_size": 1}, {"selection_epsilon": -0.1}, {"epsilon_per_level": -0.1}]
)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match="minimum_cluster_size >= 2 and epsilons >= 0"):
        GroupingConfig(**settings)  # pyright: ignore[reportArgumentType]
