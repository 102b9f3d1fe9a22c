"""Objects described by their own look: masks by rendering, views that show too little, and what queries gain by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.vision3d.laga.ball_scene import OBJECT_COUNT, BallScene, make_ball_scene, masks_of, table_of
from tests.vision3d.laga.colour_words import ColourWords
from vision3d.errors import InvalidInputError
from vision3d.laga.laga_scene import LagaScene
from vision3d.laga.lift_objects import LiftConfig
from vision3d.laga.object_looks import Looks, describe_by_looks, object_masks, well_seen
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.query_scene import SceneQueries
from vision3d.laga.train_config import TrainLagaConfig
from vision3d.laga.train_laga import WHOLE_LEVEL, train_laga
from vision3d.language.crops import CropSettings
from vision3d.language.mask_features import encode_views
from vision3d.masks.view_masks import ViewMasks
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.render_views import splats_of

_COLOURS = torch.tensor([[220, 0, 0], [0, 200, 0], [0, 0, 230], [0, 0, 0], [0, 0, 0]], dtype=torch.uint8)


@pytest.fixture(scope="module")
def balls() -> BallScene:
    return make_ball_scene()


def _photos(balls: BallScene) -> torch.Tensor:
    """Every ball in its colour."""
    painted = torch.cat([_COLOURS, torch.zeros(1, 3, dtype=torch.uint8)])
    return painted[torch.from_numpy(balls.labels.astype(np.int64))]


def _truth(balls: BallScene) -> LagaScene:
    masks = masks_of(balls.cameras, balls.labels[:, None])
    features = replace(
        table_of(masks), vectors=torch.ones(len(table_of(masks)), 6) / 6**0.5, encoder_id="colour words 1"
    )
    return train_laga(balls.scene, balls.cameras, masks, features)


def _halved(balls: BallScene, whole_every: int) -> ViewMasks:
    """On both levels every ball falls into an upper and a lower half, except in every so many views."""
    upper = (balls.scene.means[:, 2] > 0.35) & (balls.gaussian_truth < OBJECT_COUNT - 1)
    half = torch.where(upper, balls.gaussian_truth + OBJECT_COUNT, balls.gaussian_truth)
    one_hot = torch.nn.functional.one_hot(half, 2 * OBJECT_COUNT).float()
    channels = CpuRenderer().rasterize(splats_of(balls.scene), balls.cameras, one_hot).channels
    labels = np.where(balls.labels >= 0, channels.argmax(-1).numpy(), -1)
    labels[::whole_every] = balls.labels[::whole_every]
    return masks_of(balls.cameras, np.repeat(labels[:, None], 2, axis=1))


def test_masks_of_objects_are_what_is_seen_of_them(balls: BallScene) -> None:
    laga = _truth(balls)
    found = object_masks(laga, balls.cameras)
    assert (found.view_names, found.level_names) == (balls.cameras.names, laga.level_names)
    of_truth = [int(laga.gaussian_object[0][balls.gaussian_truth == number].mode().values) for number in range(5)]
    for number, own in enumerate(of_truth):
        true, seen = balls.labels == number, found.labels[:, 0] == own
        assert (true & seen).sum() / (true | seen).sum() > 0.93, number
    none = replace(laga, gaussian_object=torch.full_like(laga.gaussian_object, -1))
    assert (object_masks(none, balls.cameras).labels == -1).all()


def test_views_that_show_little_of_an_object_do_not_describe_it() -> None:
    labels = np.full((2, 1, 4, 10), -1)
    labels[0, 0, :, :5], labels[0, 0, 0, 5:] = 7, 3  # 20 pixels of object 7, 5 of object 3
    labels[1, 0, 0, :2], labels[1, 0, 1, :] = 7, 3  # 2 pixels of object 7, a tenth of its best view; 10 of object 3
    masks = ViewMasks(labels=labels, view_names=("a", "b"), level_names=("m",), source="hand")
    kept, pixels = well_seen(masks, object_count=8)
    assert pixels[:, [3, 7]].tolist() == [[5, 20], [10, 2]]
    assert int(pixels.sum()) == 37
    expected = labels.copy()
    expected[1][labels[1] == 7] = -1
    assert np.array_equal(kept, expected)


def test_a_scene_without_objects_is_described_by_nothing(balls: BallScene) -> None:
    laga = _truth(balls)
    none = torch.zeros(0, dtype=torch.long)
    empty = replace(
        laga, gaussian_object=torch.full_like(laga.gaussian_object, -1), object_level=none, object_masks=none,
        descriptors=replace(laga.descriptors, vectors=torch.zeros(0, 6), object=none, weights=torch.zeros(0)),
    )  # fmt: skip
    found = describe_by_looks(empty, balls.cameras, Looks(images=_photos(balls), encoder=ColourWords()))
    assert (found.object_count, len(found.descriptors.vectors)) == (0, 0)
    assert SceneQueries(found, ColourWords()).text("red").status == "not found"


def test_words_find_objects_by_their_looks_whatever_vectors_their_masks_had(balls: BallScene) -> None:
    laga = _truth(balls)
    looks = Looks(images=_photos(balls), encoder=ColourWords())
    dark = CropSettings(background="black", minimum_pixels=20)  # the mean colour of a crop is that of the ball
    described = describe_by_looks(laga, balls.cameras, looks, crops=dark)
    assert described.facts["described_by"] == "looks"
    for ball, word in enumerate(("red", "green", "blue")):
        own = balls.gaussian_truth == ball
        blind = SceneQueries(laga, ColourWords(), config=QueryConfig(neighbours=1)).text(word).chosen
        chosen = SceneQueries(described, ColourWords(), config=QueryConfig(neighbours=1)).text(word).chosen
        assert (chosen & own).sum() / (chosen | own).sum() > 0.93
        assert (blind & own).sum() / (blind | own).sum() < 0.5, "all masks had one vector"


def test_balls_of_parted_masks_are_more_whole_on_the_last_level(balls: BallScene) -> None:
    masks = _halved(balls, whole_every=6)
    photos, encoder = _photos(balls), ColourWords()
    features = encode_views(photos, masks.labels, encoder)
    config = TrainLagaConfig(lift=LiftConfig(together_shares=(0.5,), whole_share=0.14))
    by_masks = train_laga(balls.scene, balls.cameras, masks, features, config=config)
    assert by_masks.level_names == ("0", "1"), "masks describe the objects of their own levels only"
    looks = Looks(images=photos, encoder=encoder)
    by_looks = train_laga(balls.scene, balls.cameras, masks, features, config=config, looks=looks)
    assert by_looks.level_names == ("0", "1", WHOLE_LEVEL)
    assert torch.equal(by_looks.gaussian_object[:2], by_masks.gaussian_object)
    for ball in range(OBJECT_COUNT - 1):
        parted, whole = (_largest_share(by_looks.gaussian_object[level], balls, ball) for level in (1, 2))
        assert parted < 0.65
        assert whole > parted + 0.1


def _largest_share(owner: torch.Tensor, balls: BallScene, ball: int) -> float:
    """Share of a ball's Gaussians in the object that has most of them."""
    own = owner[balls.gaussian_truth == ball]
    return float((own == own[own >= 0].mode().values).float().mean())


def test_looks_of_another_encoder_or_another_number_of_photos_are_refused(balls: BallScene) -> None:
    laga, photos = _truth(balls), _photos(balls)
    with pytest.raises(InvalidInputError, match="expected vectors of encoder other"):
        describe_by_looks(laga, balls.cameras, Looks(images=photos, encoder=ColourWords("other")))
    with pytest.raises(InvalidInputError, match="Expected 12 photos, found 11"):
        describe_by_looks(laga, balls.cameras, Looks(images=photos[:11], encoder=ColourWords()))


def test_what_is_never_seen_has_no_descriptor(balls: BallScene) -> None:
    laga = _truth(balls)
    hidden = replace(laga, object_level=torch.cat([laga.object_level, torch.tensor([0])]),
                     object_masks=torch.cat([laga.object_masks, torch.tensor([0])]))  # fmt: skip
    found = describe_by_looks(hidden, balls.cameras, Looks(images=_photos(balls), encoder=ColourWords()))
    assert set(found.descriptors.object.tolist()) == set(range(OBJECT_COUNT))
