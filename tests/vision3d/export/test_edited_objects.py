"""Objects after edits: they follow their Gaussians, vanish with them, and copies are objects of their own."""

from __future__ import annotations

import pytest
import torch

from tests.vision3d.export.ball_laga import WHOLE, make_ball_laga
from tests.vision3d.laga.colour_words import ColourWords
from tests.vision3d.scene.random_scenes import random_scene
from vision3d.errors import InvalidInputError
from vision3d.export.edit_history import start_editing
from vision3d.export.edited_objects import follow_objects
from vision3d.export.edits import Duplicate, Move, Remove, unedited
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.query_scene import SceneQueries

CONFIG = QueryConfig(neighbours=1, level="m")


@pytest.fixture(scope="module")
def made():
    return make_ball_laga(4)


def test_without_edits_nothing_changes(made) -> None:
    followed = follow_objects(made.laga, unedited(made.laga.scene))
    assert torch.equal(followed.gaussian_object, made.laga.gaussian_object)
    assert torch.equal(followed.object_level, made.laga.object_level)
    assert torch.equal(followed.descriptors.vectors, made.laga.descriptors.vectors)
    assert torch.equal(followed.descriptors.object, made.laga.descriptors.object)


def test_a_removed_thing_cannot_be_found_and_the_others_can(made) -> None:
    history = start_editing(made.laga.scene).apply(Remove(chosen=made.truth == 0))
    laga = follow_objects(made.laga, history.now)
    queries = SceneQueries(laga, ColourWords(), config=CONFIG)
    assert laga.object_count == made.laga.object_count - 3  # two halves and the whole
    assert queries.text("red").status == "not found"
    assert torch.equal(queries.text("blue").chosen, made.truth[made.truth != 0] == 4)


def test_a_copy_is_an_object_of_its_own_with_the_words_of_its_original(made) -> None:
    history = start_editing(made.laga.scene).apply(Duplicate(chosen=made.truth == 0, offset=(0.0, 0.0, 3.0)))
    laga = follow_objects(made.laga, history.now)
    assert laga.object_count == made.laga.object_count + 3
    assert torch.equal(laga.object_level.sort().values, laga.object_level)
    answer = SceneQueries(laga, ColourWords(), config=CONFIG).text("red")
    assert len(answer.objects) == 2
    original, copy = sorted(answer.objects.tolist())
    row = laga.gaussian_object[1]
    assert (row[: len(made.truth)][made.truth == 0] == original).all()
    assert (row[len(made.truth) :] == copy).all()


def test_a_moved_thing_stays_the_same_object(made) -> None:
    history = start_editing(made.laga.scene).apply(Move(chosen=made.truth == 1, offset=(9.0, 0.0, 0.0)))
    laga = follow_objects(made.laga, history.now)
    assert torch.equal(laga.gaussian_object, made.laga.gaussian_object)
    assert laga.scene.means[laga.gaussian_object[1] == WHOLE + 1, 0].min() > 8


def test_edits_of_another_scene_are_refused(made) -> None:
    with pytest.raises(InvalidInputError, match="scene that was edited"):
        follow_objects(made.laga, unedited(random_scene(len(made.truth) + 1)))
