"""Requests that name nothing: each object is shown to a judge, and what the judge means is selected."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.vision3d.laga.ball_files import CONFIG, BallFiles, know_colours, write_ball_files
from tests.vision3d.laga.colour_words import ColourWords
from vision3d.errors import InvalidInputError
from vision3d.laga.laga_scene import LagaScene, load_laga_scene, splats_path
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.query_run import Questions, query_run
from vision3d.laga.query_run_config import QueryRunConfig
from vision3d.laga.query_scene import SceneQueries
from vision3d.laga.query_views import QueryViews, query_views
from vision3d.laga.reason_config import ReasonConfig
from vision3d.laga.reasoning import close_ups, reason
from vision3d.laga.scene_files import find_scene_files
from vision3d.laga.train_scene import train_scene

_CONFIG = QueryRunConfig(device="cpu", query=QueryConfig(neighbours=1), reason=ReasonConfig(minimum_pixels=20))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> BallFiles:
    written = write_ball_files(tmp_path_factory.mktemp("balls"))
    with pytest.MonkeyPatch.context() as patch:
        know_colours(patch)
        train_scene(written.run, written.data, config=CONFIG)
    return written


class LikesGreen:
    """Means whatever is greener in its middle than it is red, and remembers what it was shown."""

    def __init__(self, sure: float = 0.9) -> None:
        self.sure = sure
        self.shown: list[Image.Image] = []

    def __call__(self, pictures: Sequence[Image.Image], request: str) -> Tensor:
        self.shown += pictures
        return torch.tensor([self.sure if self._green(picture) else 0.1 for picture in pictures])

    def _green(self, picture: Image.Image) -> bool:
        values = np.asarray(picture).astype(int)
        side = len(values)
        middle = values[side // 3 : -(side // 3) or None, side // 3 : -(side // 3) or None].mean((0, 1))
        return bool(middle[1] > middle[0] + 20 and middle[1] > middle[2] + 20)


def _views(files: BallFiles, laga: LagaScene) -> QueryViews:
    return query_views(laga, find_scene_files(splats_path(files.laga)), files.data, config=_CONFIG)


def _asked(files: BallFiles, out: Path, judge: LikesGreen, config: QueryRunConfig = _CONFIG) -> dict:
    questions = Questions(requests=["what is ripe?"])
    query_run(files.laga, questions, out, config=config, encoder=ColourWords(), data=files.data, judge=judge)
    return json.loads((out / "answers.json").read_text(encoding="utf-8"))["answers"][0]


def test_everything_the_judge_means_is_selected(files: BallFiles, tmp_path: Path) -> None:
    judge = LikesGreen()
    answer = _asked(files, tmp_path, judge)
    assert (answer["kind"], answer["status"], answer["relevance"]) == ("request", "found", 0.9)
    laga = load_laga_scene(files.laga)
    assert len(answer["objects"]) == 3, "three of the five balls are green"
    assert len(judge.shown) == laga.object_count == 5
    assert all(picture.width == picture.height for picture in judge.shown)
    phrase = query_run(
        files.laga, Questions(phrases=["green"]), tmp_path / "words", config=_CONFIG, encoder=ColourWords()
    )[0].result  # fmt: skip
    assert answer["objects"] == sorted(phrase.objects.tolist()), "the same objects as the word finds"


def test_an_unsure_judge_gives_an_uncertain_answer_and_a_doubting_one_none(files: BallFiles, tmp_path: Path) -> None:
    unsure = _asked(files, tmp_path / "unsure", LikesGreen(0.4))
    assert (unsure["status"], unsure["relevance"]) == ("uncertain", 0.4)
    assert unsure["objects"], "the best ones are shown"
    none = _asked(files, tmp_path / "none", LikesGreen(0.2))
    assert (none["status"], none["objects"], none["gaussians"]) == ("not found", [], 0)


def test_small_objects_and_unknown_levels(files: BallFiles, tmp_path: Path) -> None:
    judge = LikesGreen()
    hidden = QueryRunConfig(device="cpu", reason=ReasonConfig(minimum_pixels=100_000))
    assert _asked(files, tmp_path, judge, hidden)["status"] == "not found"
    assert judge.shown == []
    other = QueryRunConfig(device="cpu", reason=ReasonConfig(level="huge"))
    with pytest.raises(InvalidInputError, match="Expected a level of m, found 'huge'"):
        _asked(files, tmp_path, judge, other)


def test_requests_need_words_and_a_judge(files: BallFiles, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="Expected a judge"):
        query_run(files.laga, Questions(requests=["what is ripe?"]), tmp_path, config=_CONFIG, encoder=ColourWords())
    with pytest.raises(InvalidInputError, match="at least one word"):
        Questions(requests=[" "])
    queries = SceneQueries(load_laga_scene(files.laga), ColourWords())
    with pytest.raises(InvalidInputError, match="request of at least one word"):
        reason(queries, _views(files, queries.laga), "  ", LikesGreen())


@pytest.mark.parametrize(
    "wrong", [{"found": 0.2}, {"uncertain": 0.0}, {"margin": 0.5}, {"views": 0}, {"minimum_pixels": 0}, {"found": 1.5}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match="ReasonConfig: expected 0 < uncertain <= found <= 1"):
        ReasonConfig(**wrong)  # type: ignore[arg-type]


def test_a_cut_out_at_the_border_stays_square(files: BallFiles, tmp_path: Path) -> None:
    laga = load_laga_scene(files.laga)
    config = ReasonConfig(minimum_pixels=20, margin=6.0)
    seen = close_ups(SceneQueries(laga, ColourWords()), _views(files, laga), config)
    assert len(seen.pictures) == len(seen.objects) == len(seen.views) > 0
    assert all(picture.width == picture.height > 64 for picture in seen.pictures), "larger than the view itself"
