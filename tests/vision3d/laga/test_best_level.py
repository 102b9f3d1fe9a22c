"""A whole takes the place of its part where it fits nearly as well."""

from __future__ import annotations

import pytest
import torch

from tests.vision3d.laga.ball_scene import make_ball_scene
from vision3d.laga.laga_scene import LagaScene
from vision3d.laga.object_descriptors import ObjectDescriptors
from vision3d.laga.query_scene import best_level


@pytest.fixture(scope="module")
def laga() -> LagaScene:
    """On level s balls 0-3 and the plane; on level m object 5 is balls 0 and 1, object 6 balls 2 and 3."""
    balls = make_ball_scene(view_count=2)
    coarse = torch.tensor([5, 5, 6, 6, -1])[balls.gaussian_truth]
    return LagaScene(
        scene=balls.scene,
        gaussian_object=torch.stack([balls.gaussian_truth, coarse]),
        object_level=torch.tensor([0] * 5 + [1] * 2),
        object_masks=torch.full((7,), 2),
        descriptors=ObjectDescriptors(
            vectors=torch.ones(7, 1), object=torch.arange(7), weights=torch.ones(7), encoder_id="none"
        ),
        level_names=("s", "m"),
        encoder_name="none",
    )


@pytest.mark.parametrize(
    ("whole", "other", "level"),
    [(0.58, 0.0, 1), (0.56, 0.0, 0), (0.0, 0.59, 0)],
    ids=["nearly the score", "less of it", "another thing"],
)
def test_the_level_of_the_whole_is_taken_where_it_nearly_fits(
    laga: LagaScene, whole: float, other: float, level: int
) -> None:
    assert best_level(laga, torch.tensor([0.6, 0, 0, 0, 0, whole, other])) == level


def test_a_coarser_best_object_keeps_its_level(laga: LagaScene) -> None:
    assert best_level(laga, torch.tensor([0.1, 0, 0, 0, 0, 0.4, 0.2])) == 1
    assert best_level(laga, torch.zeros(7)) == 0
