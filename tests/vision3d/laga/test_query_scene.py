"""Asking a scene whose objects and vectors are known: every score here can be worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.vision3d.laga.ball_scene import OBJECT_COUNT, BallScene, make_ball_scene, masks_of, table_of
from tests.vision3d.laga.colour_words import ColourWords, vector
from tests.vision3d.laga.moved_world import moved_cameras, some_similarity, without_ties
from vision3d.errors import InvalidInputError
from vision3d.laga.laga_scene import LagaScene
from vision3d.laga.lift_objects import LiftConfig
from vision3d.laga.object_descriptors import ObjectDescriptors
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.query_scene import SceneQueries, best_level, fused_scores, query_scene, relative_scores
from vision3d.laga.train_config import TrainLagaConfig
from vision3d.laga.train_laga import train_laga
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.render_views import splats_of
from vision3d.scene.selection import select_gaussians
from vision3d.scene.transforms import apply_similarity

_SHARP = QueryConfig(neighbours=1)
"""Without smoothing a selection is exactly what the scores say."""
_VECTORS = torch.stack(
    [
        # level s: the balls and the plane
        vector(red=1),
        vector(green=1),
        vector(blue=1),
        vector(dim=0.6, anything=0.65, green=-math.sqrt(1 - 0.36 - 0.4225)),
        vector(anything=1),
        # level m: balls 0 and 1, balls 2 and 3
        vector(red=0.8, green=0.6),
        vector(blue=0.9, anything=math.sqrt(0.19)),
    ]
)
_WEIGHTS = torch.tensor([0.9, 0.9, 0.8, 0.9, 0.9, 0.5, 0.85])


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.fixture(scope="module")
def balls() -> BallScene:
    return make_ball_scene(view_count=6)


@pytest.fixture(scope="module")
def laga(balls: BallScene) -> LagaScene:
    coarse = torch.tensor([5, 5, 6, 6, -1])[balls.gaussian_truth]
    return LagaScene(
        scene=balls.scene,
        gaussian_object=torch.stack([balls.gaussian_truth, coarse]),
        object_level=torch.tensor([0] * 5 + [1] * 2),
        object_masks=torch.full((7,), 6),
        descriptors=ObjectDescriptors(
            vectors=_VECTORS, object=torch.arange(7), weights=_WEIGHTS, encoder_id="colour words 1"
        ),
        level_names=("s", "m"),
        encoder_name="colours",
    )


def _chosen_balls(chosen: torch.Tensor, balls: BallScene) -> list[int]:
    """Objects all of whose Gaussians were chosen, where nothing else was."""
    found = balls.gaussian_truth[chosen].unique()
    assert torch.equal(chosen, torch.isin(balls.gaussian_truth, found))
    return found.tolist()


def test_a_phrase_chooses_the_object_it_means(balls: BallScene, laga: LagaScene) -> None:
    result = SceneQueries(laga, ColourWords(), config=_SHARP).text("red")
    assert (result.question, result.status, result.unknown_words) == ("red", "found", ())
    assert _chosen_balls(result.chosen, balls) == [0]
    assert result.objects.tolist() == [0]
    assert result.relevance == pytest.approx(0.9 * _sigmoid(10)), "relevance of the descriptor times its weight"
    # cosines of 1 with the ball, 0.8 with the pair it is part of, and 0, below the gate, with all else
    expected = [0.9 * _sigmoid(10), 0, 0, 0, 0, 0.5 * _sigmoid(8), 0]
    assert result.object_scores.tolist() == pytest.approx(expected, abs=1e-6)
    assert result.gaussian_scores.tolist() == pytest.approx((balls.gaussian_truth == 0).float().tolist())


def test_the_level_on_which_the_phrase_is_most_relevant_is_taken(balls: BallScene, laga: LagaScene) -> None:
    # blue: 0.8 x 1.0 on the fine level, 0.85 x 0.99 on the coarse one
    result = SceneQueries(laga, ColourWords(), config=_SHARP).text("blue")
    assert 0.85 * _sigmoid(10 * (0.9 - math.sqrt(0.19))) > 0.8
    assert _chosen_balls(result.chosen, balls) == [2, 3]
    assert result.objects.tolist() == [6, 2], "objects that lie in the selection, best first"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"level": "m"}, [0, 1]),
        ({"level": "s"}, [0]),
        # (0.9 + 0.5) / 2 on ball 0, (0 + 0.5) / 2 on ball 1: 0.36 of the best
        ({"fusion": "mean"}, [0]),
        ({"fusion": "mean", "selection_threshold": 0.3}, [0, 1]),
        # 0.9 and 0.5: 0.56 of the best
        ({"fusion": "max"}, [0]),
        ({"fusion": "max", "selection_threshold": 0.5}, [0, 1]),
        ({"fusion": "best", "selection_threshold": 0.3}, [0]),
    ],
)
def test_levels_and_fusions(
    balls: BallScene, laga: LagaScene, changes: dict[str, str | float], expected: list[int]
) -> None:
    queries = SceneQueries(laga, ColourWords(), config=replace(_SHARP, **changes))
    assert _chosen_balls(queries.text("red").chosen, balls) == expected


def test_an_answer_is_found_uncertain_or_not_found(balls: BallScene, laga: LagaScene) -> None:
    # cosine 0.6 with the phrase, 0.65 with the canonical ones
    likely = 0.9 * _sigmoid(10 * (0.6 - 0.65))
    assert 0.3 < likely < 0.5
    result = SceneQueries(laga, ColourWords(), config=_SHARP).text("dim")
    assert result.status == "uncertain"
    assert result.relevance == pytest.approx(likely, abs=1e-6)
    assert _chosen_balls(result.chosen, balls) == [3]
    for changes in ({"uncertain_relevance": 0.35}, {"cosine_gate": 0.61}):
        refused = SceneQueries(laga, ColourWords(), config=replace(_SHARP, **changes)).text("dim")
        assert refused.status == "not found"
        assert not bool(refused.chosen.any())
        assert len(refused.objects) == 0
    sure = SceneQueries(laga, ColourWords(), config=replace(_SHARP, found_relevance=0.33)).text("dim")
    assert sure.status == "found"


def test_own_canonical_phrases_change_what_has_to_be_beaten(laga: LagaScene) -> None:
    queries = SceneQueries(laga, ColourWords(), config=_SHARP, negatives=("blue",))
    assert queries.text("dim").relevance == pytest.approx(0.9 * _sigmoid(6), abs=1e-6)


def test_words_the_encoder_never_learned_are_named(balls: BallScene, laga: LagaScene) -> None:
    queries = SceneQueries(laga, ColourWords(), config=_SHARP)
    absent = queries.text("purple unicorn")
    assert (absent.status, absent.relevance) == ("not found", 0.0)
    assert absent.unknown_words == ("purple", "unicorn")
    known = queries.text("red unicorn")
    assert known.unknown_words == ("unicorn",)
    assert _chosen_balls(known.chosen, balls) == [0]


def test_top_keeps_the_best_objects_of_the_level(balls: BallScene, laga: LagaScene) -> None:
    # red green: balls 0 and 1 alike, and the pair of both on the coarse level
    every = SceneQueries(laga, ColourWords(), config=_SHARP).text("red green")
    assert _chosen_balls(every.chosen, balls) == [0, 1]
    assert every.objects.tolist() == [0, 1, 5]
    for top, expected in ((1, [0]), (2, [0, 1]), (50, [0, 1])):
        result = SceneQueries(laga, ColourWords(), config=replace(_SHARP, top=top)).text("red green")
        assert _chosen_balls(result.chosen, balls) == expected
        assert result.objects.tolist() == expected
    coarse = SceneQueries(laga, ColourWords(), config=replace(_SHARP, top=1, level="m")).text("red green")
    assert coarse.objects.tolist()[0] == 5
    mixed = SceneQueries(laga, ColourWords(), config=replace(_SHARP, top=2, fusion="max")).text("red")
    assert int((mixed.object_scores > 0).sum()) == 2


def test_smoothing_keeps_a_selection_whole(balls: BallScene, laga: LagaScene) -> None:
    chosen = SceneQueries(laga, ColourWords()).text("red").chosen
    truth = balls.gaussian_truth == 0
    assert float((chosen & truth).sum() / (chosen | truth).sum()) >= 0.95


def test_a_picture_finds_what_looks_like_it(balls: BallScene, laga: LagaScene) -> None:
    queries = SceneQueries(laga, ColourWords(), config=_SHARP)
    image = np.full((6, 6, 3), (10, 10, 200), np.uint8)
    result = queries.picture(image[:, :, ::-1].copy(), name="a red crop")
    assert (result.question, result.status) == ("a red crop", "found")
    assert _chosen_balls(result.chosen, balls) == [0]
    assert 2 in balls.gaussian_truth[queries.picture(image).chosen].unique().tolist()


def _pixel_of(balls: BallScene, view: int, number: int) -> tuple[float, float]:
    rows, columns = np.nonzero(balls.labels[view] == number)
    middle = np.lexsort((columns, rows))[len(rows) // 2]
    return float(columns[middle]) + 0.5, float(rows[middle]) + 0.5


@pytest.mark.parametrize("number", range(OBJECT_COUNT))
def test_a_click_selects_what_is_there(balls: BallScene, laga: LagaScene, number: int) -> None:
    queries = SceneQueries(laga, ColourWords(), config=_SHARP)
    one_hot = torch.nn.functional.one_hot(balls.gaussian_truth, OBJECT_COUNT).float()
    for view in (0, 3):
        camera = balls.cameras.select([balls.cameras.names[view]])
        x, y = _pixel_of(balls, view, number)
        result = queries.click(camera, x=x, y=y, level="s")
        assert (result.status, result.objects.tolist()) == ("found", [number])
        assert _chosen_balls(result.chosen, balls) == [number]
        painted = CpuRenderer().rasterize(splats_of(balls.scene), camera, one_hot).channels[0, int(y), int(x)]
        shares = (painted / painted.sum()).tolist()
        assert result.object_scores.tolist() == pytest.approx([*shares, 0, 0], abs=1e-4)
        assert result.relevance == pytest.approx(max(shares), abs=1e-4)
        assert float(result.gaussian_scores.max()) == pytest.approx(1.0)


def test_a_click_takes_the_middle_level_unless_told(balls: BallScene, laga: LagaScene) -> None:
    camera = balls.cameras.select(["view_00"])
    x, y = _pixel_of(balls, 0, 3)
    assert SceneQueries(laga, ColourWords()).click(camera, x=x, y=y).objects.tolist() == [6]
    fine = SceneQueries(laga, ColourWords(), config=QueryConfig(level="s"))
    assert fine.click(camera, x=x, y=y).objects.tolist() == [3]


def test_a_click_on_what_is_in_no_object_finds_nothing(balls: BallScene, laga: LagaScene) -> None:
    # the plane is in no object of the coarse level, though balls shine through wherever it meets them
    camera = balls.cameras.select(["view_00"])
    queries = SceneQueries(laga, ColourWords())
    rows, columns = np.nonzero(balls.labels[0] >= 0)
    found = {"found": 0, "uncertain": 0, "not found": 0}
    for x, y in list(zip(columns.tolist(), rows.tolist(), strict=True))[::9]:
        click = queries.click(camera, x=x + 0.5, y=y + 0.5)
        likely = "found" if click.relevance >= 0.5 else "uncertain" if click.relevance >= 0.3 else "not found"
        assert (click.status, bool(click.chosen.any()), len(click.objects) > 0) == (
            likely,
            *[likely != "not found"] * 2,
        )
        found[likely] += click.relevance > 0
    assert min(found.values()) > 0


def test_a_click_into_the_void_finds_nothing(balls: BallScene, laga: LagaScene) -> None:
    result = SceneQueries(laga, ColourWords()).click(balls.cameras.select(["view_00"]), x=0.0, y=0.0)
    assert (result.status, result.relevance, result.objects.tolist()) == ("not found", 0.0, [])
    assert not bool(result.chosen.any())


@pytest.mark.parametrize(("x", "y"), [(-0.1, 5), (64, 5), (5, 64.5), (5, -3)])
def test_a_click_outside_is_refused(balls: BallScene, laga: LagaScene, x: float, y: float) -> None:
    with pytest.raises(InvalidInputError, match="a place within 64 x 64 pixels"):
        SceneQueries(laga, ColourWords()).click(balls.cameras.select(["view_00"]), x=x, y=y)


def test_questions_that_cannot_be_answered_are_refused(balls: BallScene, laga: LagaScene) -> None:
    with pytest.raises(InvalidInputError, match="expected vectors of encoder colour words 2"):
        SceneQueries(laga, ColourWords("colour words 2"))
    with pytest.raises(InvalidInputError, match="a level of s, m, found 'l'"):
        SceneQueries(laga, ColourWords(), config=QueryConfig(level="l"))
    queries = SceneQueries(laga, ColourWords())
    with pytest.raises(InvalidInputError, match="a level of s, m, found 'l'"):
        queries.click(balls.cameras.select(["view_00"]), x=1, y=1, level="l")
    with pytest.raises(InvalidInputError, match="found 6 cameras"):
        queries.click(balls.cameras, x=1, y=1)
    with pytest.raises(InvalidInputError, match="no empty one"):
        queries.text(" ")


def test_masks_show_the_selection_behind_what_hides_it(balls: BallScene, laga: LagaScene) -> None:
    queries = SceneQueries(laga, ColourWords(), config=_SHARP)
    result = queries.text("red")
    coverage = queries.coverage(result, balls.cameras)
    one_hot = (balls.gaussian_truth == 0).float()[:, None]
    painted = CpuRenderer().rasterize(splats_of(balls.scene), balls.cameras, one_hot).channels[..., 0]
    torch.testing.assert_close(coverage, painted)
    masks, truth = queries.masks(result, balls.cameras), torch.from_numpy(balls.labels == 0)
    assert float((masks & truth).sum() / (masks | truth).sum()) >= 0.9
    # without the other balls more of it would be seen somewhere
    alone = select_gaussians(balls.scene, balls.gaussian_truth == 0)
    bare = CpuRenderer().rasterize(splats_of(alone), balls.cameras, torch.ones(len(alone), 1)).channels[..., 0]
    hidden = bare - coverage
    assert float(hidden.max()) > 0.9
    assert float(hidden.min()) > -1e-4
    assert not bool(masks[hidden > 0.6].any())


def test_masks_follow_the_render_threshold(balls: BallScene, laga: LagaScene) -> None:
    loose = SceneQueries(laga, ColourWords(), config=replace(_SHARP, render_threshold=0.1))
    strict = SceneQueries(laga, ColourWords(), config=replace(_SHARP, render_threshold=0.9))
    result = loose.text("red")
    assert bool((loose.masks(result, balls.cameras) | ~strict.masks(result, balls.cameras)).all())
    assert int(loose.masks(result, balls.cameras).sum()) > int(strict.masks(result, balls.cameras).sum()) > 0
    nothing = loose.text("unicorn")
    assert not bool(loose.masks(nothing, balls.cameras).any())


def test_many_phrases_are_answered_like_one_by_one(laga: LagaScene) -> None:
    phrases = ("red", "unicorn", "blue")
    answers = query_scene(laga, phrases, ColourWords())
    queries = SceneQueries(laga, ColourWords())
    assert [answer.question for answer in answers] == list(phrases)
    for phrase, answer in zip(phrases, answers, strict=True):
        alone = queries.text(phrase)
        assert torch.equal(answer.chosen, alone.chosen)
        assert (answer.status, answer.relevance) == (alone.status, alone.relevance)


def test_a_scene_without_objects_says_so(balls: BallScene, laga: LagaScene) -> None:
    none = torch.zeros(0, dtype=torch.long)
    empty = replace(
        laga,
        gaussian_object=torch.full_like(laga.gaussian_object, -1),
        object_level=none,
        object_masks=none,
        descriptors=ObjectDescriptors(
            vectors=torch.zeros(0, 6), object=none, weights=torch.zeros(0), encoder_id="colour words 1"
        ),
    )
    queries = SceneQueries(empty, ColourWords())
    assert queries.text("red").status == "not found"
    assert queries.click(balls.cameras.select(["view_00"]), x=32, y=32).status == "not found"


def test_an_object_that_fills_the_scene_is_chosen(laga: LagaScene) -> None:
    # nine of ten Gaussians score alike: the lowest quarter is made of them, and may not swallow them
    everything = replace(
        laga, gaussian_object=torch.stack([torch.zeros_like(laga.gaussian_object[0]), laga.gaussian_object[1]])
    )
    result = SceneQueries(everything, ColourWords(), config=_SHARP).text("red")
    assert result.status == "found"
    assert bool(result.chosen.all())
    rest = everything.gaussian_object.clone()
    rest[0, :100] = 4
    result = SceneQueries(replace(everything, gaussian_object=rest), ColourWords(), config=_SHARP).text("red")
    assert torch.equal(result.chosen, rest[0] == 0)


@pytest.mark.parametrize(
    ("scores", "quantile", "expected"),
    [
        # the quantile at 0.25 of five values is the second one
        ([0.0, 1.0, 2.0, 3.0, 5.0], 0.25, [0.0, 0.0, 0.25, 0.5, 1.0]),
        ([1.0, 2.0, 5.0], 0.0, [0.0, 0.25, 1.0]),
        ([0.0, 1.0, 1.0, 1.0], 0.5, [0.0, 1.0, 1.0, 1.0]),
        ([0.2, 0.2], 0.25, [1.0, 1.0]),
        ([0.0, 0.0], 0.25, [0.0, 0.0]),
        ([], 0.25, []),
    ],
)
def test_relative_scores_by_hand(scores: list[float], quantile: float, expected: list[float]) -> None:
    assert relative_scores(torch.tensor(scores), quantile).tolist() == pytest.approx(expected)


def test_fused_scores_by_hand(laga: LagaScene) -> None:
    small = replace(
        laga,
        scene=select_gaussians(laga.scene, torch.arange(4)),
        gaussian_object=torch.tensor([[0, 1, -1, 2], [5, 5, 6, -1]]),
    )
    weighted = torch.tensor([0.6, 0.1, -0.5, 0, 0, 0.4, 0.2])
    cases = {
        "mean": [0.5, 0.25, 0.1, 0.0],  # what lies below 0, or in no object, counts as 0
        "max": [0.6, 0.4, 0.2, 0.0],
        "best": [0.6, 0.1, 0.0, 0.0],  # object 5 shares half of its Gaussians with the better object 0, 6 shares none:
        "disjoint": [0.6, 0.1, 0.2, 0.0],
    }
    for fusion, expected in cases.items():
        found = fused_scores(small, weighted, QueryConfig(fusion=fusion))
        assert found.tolist() == pytest.approx(expected)
        level = fused_scores(small, weighted, QueryConfig(fusion=fusion, level="m"))
        assert level.tolist() == pytest.approx([0.4, 0.4, 0.2, 0.0])
    assert best_level(small, weighted) == 0
    assert best_level(small, torch.tensor([0.1, 0, 0, 0, 0, 0.4, 0.2])) == 1
    assert best_level(small, torch.zeros(7)) == 0


def _trained(balls: BallScene, transform: torch.Tensor | None = None, scale: float = 1.0) -> LagaScene:
    """The lift engine on true masks, each mask with the vector of what it shows."""
    scene, cameras = without_ties(balls.scene), balls.cameras
    if transform is not None:
        scene, cameras = apply_similarity(scene, transform, scale), moved_cameras(cameras, transform, scale)
    masks = masks_of(cameras, balls.labels[:, None])
    table = table_of(masks)
    table = replace(table, vectors=_VECTORS[table.number], encoder_id="colour words 1")
    config = TrainLagaConfig(lift=LiftConfig(grouping="mask_graph"))
    return train_laga(scene, cameras, masks, table, config=config, encoder_name="colours")


def test_rescaling_and_rotating_the_world_changes_no_selection(balls: BallScene) -> None:
    here, there = _trained(balls), _trained(balls, some_similarity(), 10.0)
    assert torch.equal(here.gaussian_object, there.gaussian_object)
    moved = moved_cameras(balls.cameras, some_similarity(), 10.0)
    one, other = SceneQueries(here, ColourWords()), SceneQueries(there, ColourWords())
    for phrase in ("red", "green", "blue", "dim", "unicorn"):
        mine, theirs = one.text(phrase), other.text(phrase)
        assert torch.equal(mine.chosen, theirs.chosen)
        assert (mine.status, mine.relevance) == (theirs.status, theirs.relevance)
    assert int(one.text("red").chosen.sum()) >= 130  # most of the ball's 160
    torch.testing.assert_close(
        one.coverage(one.text("red"), balls.cameras), other.coverage(other.text("red"), moved), atol=1e-3, rtol=0
    )
    x, y = _pixel_of(balls, 0, 1)
    clicks = [
        queries.click(cameras.select(["view_00"]), x=x, y=y).chosen
        for queries, cameras in ((one, balls.cameras), (other, moved))
    ]
    assert torch.equal(*clicks)


def test_training_twice_gives_the_same_scene(balls: BallScene) -> None:
    one, other = _trained(balls), _trained(balls)
    assert torch.equal(one.gaussian_object, other.gaussian_object)
    assert torch.equal(one.descriptors.vectors, other.descriptors.vectors)
    assert torch.equal(one.descriptors.weights, other.descriptors.weights)
