"""When a phrase is found, uncertain or not found: whose thresholds count, and what nobody knows."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.vision3d.laga.ball_scene import OBJECT_COUNT, make_ball_scene
from tests.vision3d.laga.colour_words import ColourWords, vector
from vision3d.laga.laga_scene import LagaScene
from vision3d.laga.object_descriptors import ObjectDescriptors
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.query_scene import SceneQueries

_SHARP = QueryConfig(neighbours=1)


@pytest.fixture(scope="module")
def laga() -> LagaScene:
    balls = make_ball_scene(view_count=1)
    looks = [vector(red=1), vector(green=1), vector(blue=1), vector(anything=1), vector(anything=1)]
    return LagaScene(
        scene=balls.scene,
        gaussian_object=balls.gaussian_truth[None],
        object_level=torch.zeros(OBJECT_COUNT, dtype=torch.long),
        object_masks=torch.full((OBJECT_COUNT,), 6),
        descriptors=ObjectDescriptors(
            vectors=torch.stack(looks),
            object=torch.arange(OBJECT_COUNT),
            weights=torch.full((OBJECT_COUNT,), 0.9),
            encoder_id="colour words 1",
        ),
        level_names=("m",),
        encoder_name="colours",
    )


def test_a_phrase_of_unknown_words_alone_is_not_found_whatever_the_thresholds(laga: LagaScene) -> None:
    lenient = replace(_SHARP, cosine_gate=-1.0, found_relevance=0.0, uncertain_relevance=0.0)
    queries = SceneQueries(laga, ColourWords(), config=lenient)
    unknown, known = queries.text("zebra"), queries.text("red zebra")
    assert (unknown.status, unknown.relevance, unknown.unknown_words) == ("not found", 0.0, ("zebra",))
    assert not bool(unknown.chosen.any())
    assert (known.status, known.unknown_words) == ("found", ("zebra",))


def test_the_encoder_says_from_where_on_a_phrase_is_found_unless_told(laga: LagaScene) -> None:
    encoder = ColourWords()
    assert SceneQueries(laga, encoder).found_relevances == (0.5, 0.3)
    encoder.found_relevances = (0.95, 0.92)
    assert SceneQueries(laga, encoder, config=_SHARP).text("red").status == "not found"
    told = replace(_SHARP, uncertain_relevance=0.5)
    assert SceneQueries(laga, encoder, config=told).text("red").status == "uncertain"
