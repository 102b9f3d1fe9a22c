"""The trained engine on a scene whose truth is known: noisy masks in, the right objects out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.vision3d.laga.ball_scene import OBJECT_COUNT, BallScene, make_ball_scene, masks_of, purity, table_of
from vision3d.errors import InvalidInputError, UnknownViewError
from vision3d.laga.affinity_config import AffinityConfig
from vision3d.laga.group_prototypes import GroupingConfig, PrototypeGroups
from vision3d.laga.trained_objects import TrainedConfig, train_objects, whole_objects
from vision3d.language.mask_features import MaskFeatures

_CONFIG = TrainedConfig(affinity=AffinityConfig(steps=250, pixels_per_step=1_024))


@pytest.fixture(scope="module")
def balls() -> BallScene:
    return make_ball_scene()


def _noisy(labels: np.ndarray) -> np.ndarray:
    """Two balls merged in views 1 and 6, one ball cut across in views 3 and 8, one mask missing in view 4."""
    noisy = labels.copy()
    for view in (1, 6):
        noisy[view][labels[view] == 1] = 0
    for view in (3, 8):
        rows, columns = np.nonzero(labels[view] == 2)
        upper = rows < np.median(rows)
        noisy[view][rows[upper], columns[upper]] = OBJECT_COUNT
    noisy[4][labels[4] == 3] = -1
    return noisy


def test_noisy_masks_give_the_true_objects(balls: BallScene) -> None:
    masks = masks_of(balls.cameras, _noisy(balls.labels)[:, None])
    table = table_of(masks)
    objects = train_objects(balls.scene, balls.cameras, masks, table, config=_CONFIG)
    assert len(objects) == OBJECT_COUNT
    assert purity(objects.gaussian_object[0], balls.gaussian_truth) >= 0.95
    clean = ~torch.isin(table.view, torch.tensor([1, 3, 4, 6, 8]))
    names = [objects.mask_object[clean & (table.number == number)].unique().tolist() for number in range(OBJECT_COUNT)]
    assert sorted(names) == [[number] for number in range(OBJECT_COUNT)], (
        "every clean mask of an object lies in one object"
    )


def test_levels_nest(balls: BallScene) -> None:
    # fine: every ball alone; coarse: balls 0 and 1 together, 2 and 3 together, the plane alone
    coarse = np.where(balls.labels >= 0, np.array([0, 0, 1, 1, 2])[balls.labels], -1)
    masks = masks_of(balls.cameras, np.stack([balls.labels, coarse], 1))
    objects = train_objects(balls.scene, balls.cameras, masks, table_of(masks), config=_CONFIG)
    assert objects.object_level.tolist() == [0] * 5 + [1] * 3
    assert purity(objects.gaussian_object[0], balls.gaussian_truth) >= 0.95
    merged = torch.tensor([0, 0, 1, 1, 2])[balls.gaussian_truth]
    coarsest = objects.gaussian_object[1]
    assert purity(torch.where(coarsest >= 0, coarsest - 5, -1), merged) >= 0.95


def test_same_seed_same_objects(balls: BallScene) -> None:
    short = TrainedConfig(affinity=AffinityConfig(steps=60, pixels_per_step=512))
    masks = masks_of(balls.cameras, balls.labels[:, None])
    table = table_of(masks)
    first, second = (
        train_objects(balls.scene, balls.cameras, masks, table, config=short).gaussian_object for _ in range(2)
    )
    assert torch.equal(first, second)


def test_trained_opacities_give_the_true_objects_too(balls: BallScene) -> None:
    affinity = AffinityConfig(steps=150, pixels_per_step=1_024, train_opacity=True)
    masks = masks_of(balls.cameras, balls.labels[:, None])
    objects = train_objects(balls.scene, balls.cameras, masks, table_of(masks), config=TrainedConfig(affinity=affinity))
    assert len(objects) == OBJECT_COUNT
    assert purity(objects.gaussian_object[0], balls.gaussian_truth) >= 0.95


def test_what_lies_in_no_mask_belongs_nowhere_unless_asked_for(balls: BallScene) -> None:
    # the plane (object 4) is masked nowhere, and one Gaussian is moved out of every view
    unmasked = np.where(balls.labels == 4, -1, balls.labels)
    masks = masks_of(balls.cameras, unmasked[:, None])
    means = balls.scene.means.clone()
    means[0] = torch.tensor([0.0, 0.0, 50.0])
    scene, table = replace(balls.scene, means=means), table_of(masks)
    affinity = AffinityConfig(steps=100, pixels_per_step=1_024)
    found = train_objects(scene, balls.cameras, masks, table, config=TrainedConfig(affinity=affinity))
    plane, own = balls.gaussian_truth == 4, found.gaussian_object[0]
    assert int(own[0]) == -1
    assert float((own[plane] == -1).float().mean()) >= 0.9
    assert float((own[1:][~plane[1:]] >= 0).float().mean()) >= 0.95
    similar = TrainedConfig(affinity=affinity, assign_by="features")
    own = train_objects(scene, balls.cameras, masks, table, config=similar).gaussian_object[0]
    assert float((own[plane] == -1).float().mean()) >= 0.9
    published = replace(similar, minimum_masked_share=0.0)
    assert int(train_objects(scene, balls.cameras, masks, table, config=published).gaussian_object.min()) >= 0


def test_features_alone_give_the_true_objects_too(balls: BallScene) -> None:
    masks = masks_of(balls.cameras, _noisy(balls.labels)[:, None])
    published = replace(_CONFIG, assign_by="features")
    objects = train_objects(balls.scene, balls.cameras, masks, table_of(masks), config=published)
    assert len(objects) == OBJECT_COUNT
    assert purity(objects.gaussian_object[0], balls.gaussian_truth) >= 0.95


def test_objects_that_are_together_in_few_views_become_whole_on_one_more_level(balls: BallScene) -> None:
    # both levels part balls 0 and 1, but for three of the twelve views, where the coarse masks hold both
    joined = balls.labels.copy()
    joined[:3][balls.labels[:3] == 1] = 0
    masks = masks_of(balls.cameras, np.stack([balls.labels, joined], 1))
    near, far = (
        train_objects(
            balls.scene, balls.cameras, masks, table_of(masks), with_whole=True,
            config=replace(_CONFIG, whole_distance=distance),
        )
        for distance in (0.0, 2.0)
    )  # fmt: skip
    assert near.gaussian_object.shape[0] == 3
    assert near.object_level.bincount().tolist() == [5, 5, 5], "at no distance nothing is joined"
    assert far.object_level.bincount().tolist() == [5, 5, 1], "at the largest everything is"
    parted, whole = near.gaussian_object[1], far.gaussian_object[2]
    assert torch.equal(parted >= 0, whole >= 0), "a whole is made of the coarsest objects"
    assert int(near.mask_object.max()) < 10, "and has no masks of its own"


def test_wholes_follow_the_distance_of_the_centres() -> None:
    centres = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0.8, 0.6, 0], [1, 0, 0]])
    groups = PrototypeGroups(
        mask_object=torch.tensor([0, 1, 2, 3]), centres=centres, object_level=torch.tensor([0, 1, 1, 1])
    )
    owner = torch.tensor([1, 2, 3, -1])
    first, second, third, none = whole_objects(
        owner, groups, level=1, config=TrainedConfig(whole_distance=0.3)
    ).tolist()
    assert second == third != first, "cosine 0.8 is near enough, 0 is not"
    assert {first, second} == {4, 5}
    assert none == -1


def test_a_distance_that_means_nothing_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="whole_distance of 0 to 2, found 'masks' and 3"):
        TrainedConfig(whole_distance=3.0)


def test_a_table_without_masks_gives_no_objects(balls: BallScene) -> None:
    masks = masks_of(balls.cameras, balls.labels[:, None])
    none = torch.zeros(0, dtype=torch.long)
    table = MaskFeatures(vectors=torch.zeros(0, 1), view=none, level=none, number=none, encoder_id="none")
    config = TrainedConfig(affinity=AffinityConfig(steps=1), grouping=GroupingConfig(minimum_cluster_size=2))
    objects = train_objects(balls.scene, balls.cameras, masks, table, config=config)
    assert len(objects) == 0
    assert bool((objects.gaussian_object == -1).all())


def test_masks_that_do_not_fit_the_cameras_are_refused(balls: BallScene) -> None:
    masks = masks_of(balls.cameras, balls.labels[:, None, :-1])
    with pytest.raises(InvalidInputError, match="64 rows and 64 columns, found 63 and 64"):
        train_objects(balls.scene, balls.cameras, masks, table_of(masks), config=_CONFIG)
    missing = balls.cameras.select(balls.cameras.names[:-1])
    masks = masks_of(balls.cameras, balls.labels[:, None])
    with pytest.raises(UnknownViewError, match="view_11"):
        train_objects(balls.scene, missing, masks, table_of(masks), config=_CONFIG)
