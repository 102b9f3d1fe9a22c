"""From masks and their vectors to a scene that can be asked, with both engines."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

from tests.vision3d.laga.ball_scene import OBJECT_COUNT, BallScene, make_ball_scene, masks_of, purity, table_of
from vision3d.errors import InvalidInputError
from vision3d.laga.affinity_config import AffinityConfig
from vision3d.laga.lift_objects import LiftConfig
from vision3d.laga.object_descriptors import DescriptorConfig
from vision3d.laga.scene_objects import SceneObjects
from vision3d.laga.train_config import ENGINES, TrainLagaConfig
from vision3d.laga.train_laga import mask_pixels, masks_per_object, train_laga
from vision3d.laga.trained_objects import TrainedConfig
from vision3d.language.mask_features import MaskFeatures
from vision3d.masks.view_masks import ViewMasks

_CONFIG = TrainLagaConfig(
    lift=LiftConfig(grouping="mask_graph"),
    trained=TrainedConfig(affinity=AffinityConfig(steps=250, pixels_per_step=1_024)),
)


@pytest.fixture(scope="module")
def balls() -> BallScene:
    return make_ball_scene()


def _features(balls: BallScene) -> tuple[ViewMasks, MaskFeatures]:
    """True masks; every thing looks one way from one half of the views and another way from the other half."""
    masks = masks_of(balls.cameras, balls.labels[:, None])
    table = table_of(masks)
    looks = 2 * table.number + (table.view >= 6)
    return masks, replace(table, vectors=torch.eye(2 * OBJECT_COUNT)[looks], encoder_id="looks")


@pytest.mark.parametrize("engine", ENGINES)
def test_both_engines_give_things_with_both_their_looks(balls: BallScene, engine: str) -> None:
    masks, features = _features(balls)
    laga = train_laga(
        balls.scene, balls.cameras, masks, features, config=replace(_CONFIG, engine=engine), encoder_name="by look"
    )
    assert laga.object_count == OBJECT_COUNT
    assert purity(laga.gaussian_object[0], balls.gaussian_truth) >= 0.94
    assert (laga.encoder_id, laga.encoder_name, laga.level_names) == ("looks", "by look", ("0",))
    # a thing is seen 6 times from either side, so it has two descriptors, each at 45 degrees to their mean
    assert laga.object_masks.tolist() == [12] * OBJECT_COUNT
    assert laga.descriptors.object.tolist() == [number for number in range(OBJECT_COUNT) for _ in "ab"]
    assert laga.descriptors.weights.tolist() == pytest.approx([0.5**0.5] * 2 * OBJECT_COUNT)
    for number in range(OBJECT_COUNT):
        looks = laga.descriptors.vectors[laga.descriptors.object == number].argmax(1).sort().values
        assert looks[1] == looks[0] + 1
        truth = balls.gaussian_truth[laga.gaussian_object[0] == number].mode().values
        assert int(looks[0]) == 2 * int(truth)
    assert laga.facts["views"] == 12
    assert laga.facts["masks"] == "truth"
    assert laga.facts["config"]["engine"] == engine


def test_the_best_view_is_the_largest_mask(balls: BallScene) -> None:
    masks, features = _features(balls)
    features = replace(features, vectors=torch.eye(len(features)))
    config = replace(_CONFIG, descriptors=DescriptorConfig(aggregation="best_view"))
    laga = train_laga(balls.scene, balls.cameras, masks, features, config=config)
    for number, row in enumerate(laga.descriptors.vectors.argmax(1).tolist()):
        label = int(features.number[row])
        sizes = (balls.labels == label).sum((1, 2))
        assert sizes[features.view[row]] == sizes.max()
        assert int(balls.gaussian_truth[laga.gaussian_object[0] == number].mode().values) == label


def test_pixels_of_masks_are_counted() -> None:
    labels = np.array([[[[0, 0, -1], [4, 4, 4]], [[1, 1, 1], [1, 1, -1]]]], np.int16)
    masks = ViewMasks(labels=labels, view_names=("a",), level_names=("s", "m"), source="drawn")
    column = torch.zeros(4, dtype=torch.long)
    features = MaskFeatures(
        vectors=torch.eye(4),
        view=column,
        level=torch.tensor([1, 0, 0, 0]),
        number=torch.tensor([1, 4, 7, 0]),
        encoder_id="e",
    )
    assert mask_pixels(masks, features).tolist() == [5, 3, 0, 2], "the third is nowhere to be seen"


def test_masks_per_object() -> None:
    objects = SceneObjects(
        gaussian_object=torch.tensor([[0, 2]]),
        mask_object=torch.tensor([2, -1, 2, 0]),
        object_level=torch.zeros(3, dtype=torch.long),
    )
    assert masks_per_object(objects).tolist() == [1, 0, 2]


def test_a_table_of_other_masks_is_refused(balls: BallScene) -> None:
    masks, features = _features(balls)
    with pytest.raises(InvalidInputError, match="views 0 to 11, found 1 to 12"):
        train_laga(balls.scene, balls.cameras, masks, replace(features, view=features.view + 1), config=_CONFIG)


def test_every_engine_of_the_type_is_listed() -> None:
    assert get_args(get_type_hints(TrainLagaConfig)["engine"]) == ENGINES
