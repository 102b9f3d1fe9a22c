"""Questions from other threads, answered from the last scene that was published."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("nerfstudio", reason="needs nerfstudio: pip install 'vision3d-medseg[nerfstudio]'")

from tests.vision3d.laga.ball_scene import OBJECT_COUNT, BallScene, make_ball_scene
from tests.vision3d.laga.colour_words import ColourWords, vector
from vision3d.laga.laga_scene import LagaScene
from vision3d.laga.object_descriptors import ObjectDescriptors
from vision3d.nerfstudio_plugin.live_answers import LAYERS, LiveAnswers, camera_along, object_colours

_VECTORS = torch.stack([vector(red=1), vector(green=1), vector(blue=1), vector(dim=1), vector(anything=1)])


@pytest.fixture(scope="module")
def balls() -> BallScene:
    return make_ball_scene(view_count=4)


@pytest.fixture
def laga(balls: BallScene) -> LagaScene:
    descriptors = ObjectDescriptors(
        vectors=_VECTORS,
        object=torch.arange(OBJECT_COUNT),
        weights=torch.full((OBJECT_COUNT,), 0.9),
        encoder_id=ColourWords().encoder_id,
    )
    return LagaScene(
        scene=balls.scene,
        gaussian_object=balls.gaussian_truth[None],
        object_level=torch.zeros(OBJECT_COUNT, dtype=torch.long),
        object_masks=torch.ones(OBJECT_COUNT, dtype=torch.long),
        descriptors=descriptors,
        level_names=("m",),
        encoder_name="colour words",
    )


def test_a_question_waits_for_the_scene_and_is_then_answered(balls: BallScene, laga: LagaScene) -> None:
    answers, told = LiveAnswers(), []
    answers.listen(lambda: told.append(answers.shown))
    answers.ask("red")
    assert answers.shown is None
    assert answers.layers(balls.cameras.select(["view_00"]), torch.zeros(64, 64, 3)) == {}
    answers.publish(laga, ColourWords())
    shown = answers.shown
    assert shown is not None
    assert shown.result is not None
    assert shown.result.status == "found"
    assert float((balls.gaussian_truth[shown.result.chosen] == 0).float().mean()) > 0.95  # smoothing takes neighbours
    assert told == [None, shown]


def test_layers_show_the_answer_where_it_is(balls: BallScene, laga: LagaScene) -> None:
    answers = LiveAnswers()
    answers.publish(laga, ColourWords())
    answers.ask("green")
    picture = torch.full((64, 64, 3), 0.8)
    layers = answers.layers(balls.cameras.select(["view_00"]), picture)
    assert set(layers) | {"rgb"} == set(LAYERS)
    truth = balls.labels[0] == 1
    lit = (layers["selection"] - picture).abs().amax(-1).numpy() < 0.01
    assert (lit & truth).sum() > 0.9 * truth.sum()
    assert (lit & ~truth).sum() < 0.2 * truth.sum()
    relevance = layers["relevance"][..., 0].numpy()
    assert relevance[truth].mean() > 0.8 > 0.2 > relevance[balls.labels[0] == 0].mean()


def test_what_is_not_found_lights_nothing(balls: BallScene, laga: LagaScene) -> None:
    answers = LiveAnswers()
    answers.publish(laga, ColourWords())
    answers.ask("nothing")
    shown = answers.shown
    assert shown is not None
    assert shown.result is not None
    assert shown.result.status == "not found"
    assert not bool(shown.channels[:, :2].any())
    answers.ask("  ")
    assert answers.shown is not None
    assert answers.shown.result is None


def test_a_click_takes_what_lies_along_its_ray(balls: BallScene, laga: LagaScene) -> None:
    answers = LiveAnswers()
    answers.publish(laga, ColourWords())
    row = 2
    y, x = (int(value.mean()) for value in np.nonzero(balls.labels[row] == 3))
    camera = balls.cameras
    local = torch.linalg.inv(camera.intrinsics[row]) @ torch.tensor([x + 0.5, y + 0.5, 1.0])
    direction = camera.world_to_camera[row, :3, :3].T @ local
    answers.click(camera.camera_centres[row], direction)
    shown = answers.shown
    assert shown is not None
    assert shown.result is not None
    assert shown.result.objects.tolist() == [3]


def test_level_and_threshold_ask_again(balls: BallScene, laga: LagaScene) -> None:
    answers = LiveAnswers()
    answers.publish(laga, ColourWords())
    answers.ask("red")
    first = answers.shown
    answers.set_level("m")
    answers.set_level("of another scene")
    answers.set_threshold(0.3)
    assert answers.shown is not first
    assert answers.level_names == ("m",)


def test_the_camera_of_a_click_looks_along_the_ray() -> None:
    origin, direction = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.3, -2.0, 0.5])
    camera = camera_along(origin, direction, pixel_angle=1e-3)
    seen = camera.world_to_camera[0] @ torch.cat([origin + 3 * direction, torch.ones(1)])
    assert seen[:2].tolist() == pytest.approx([0, 0], abs=1e-5)
    assert float(seen[2]) == pytest.approx(3 * float(direction.norm()), rel=1e-5)


def test_objects_have_colours_of_their_own() -> None:
    colours = object_colours(40)
    assert len({tuple(row) for row in colours.tolist()}) == 40
    assert float((colours[1:] - colours[:-1]).abs().sum(1).min()) > 0.3
    assert object_colours(0).shape == (0, 3)
