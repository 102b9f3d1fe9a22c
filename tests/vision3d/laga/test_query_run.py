"""Questions to a saved scene: what answers.json says, which files are written, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.jobs.small_tabletop import snapshot
from tests.vision3d.laga.ball_files import CONFIG, HELD_OUT, BallFiles, know_colours, write_ball_files
from tests.vision3d.laga.ball_scene import SIZE
from tests.vision3d.laga.colour_words import ColourWords
from vision3d.errors import ImageFileError, InvalidInputError, ModelFileError, UnknownViewError, Vision3DError
from vision3d.evaluation.instance_scene import read_instance_ids
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.query_run import Questions, file_stems, query_run
from vision3d.laga.query_run_config import QueryRunConfig
from vision3d.laga.scene_files import spread_views
from vision3d.laga.train_scene import train_scene

_CONFIG = QueryRunConfig(device="cpu", query=QueryConfig(neighbours=1))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> BallFiles:
    written = write_ball_files(tmp_path_factory.mktemp("balls"))
    with pytest.MonkeyPatch.context() as patch:
        know_colours(patch)
        train_scene(written.run, written.data, config=CONFIG)
    return written


def _ask(files: BallFiles, out: Path, questions: Questions, config: QueryRunConfig = _CONFIG, **rest) -> dict:
    query_run(files.laga, questions, out, config=config, encoder=ColourWords(), **rest)
    return json.loads((out / "answers.json").read_text(encoding="utf-8"))


def _truth(files: BallFiles, view: str, *ids: int) -> np.ndarray:
    return np.isin(read_instance_ids(files.data, view).numpy(), ids)


def test_phrases_are_answered_with_masks_scores_and_pictures(files: BallFiles, tmp_path: Path) -> None:
    config = replace(_CONFIG, save_masks=True, save_scores=True)
    content = _ask(files, tmp_path, Questions(phrases=["red", "green", "dim"]), config)
    red, green, dim = content["answers"]
    assert [answer["status"] for answer in content["answers"]] == ["found", "found", "not found"]
    # one red ball of 160 Gaussians and three green ones; nothing here is dim
    assert len(red["objects"]) == 1
    assert len(green["objects"]) == 3
    assert [(entry["object"], entry["level"]) for entry in red["object_scores"]] == [(red["objects"][0], "m")]
    assert red["object_scores"][0]["gaussians"] == red["gaussians"]
    assert 0.85 * 160 <= red["gaussians"] <= 160, "the underside of the ball is never seen"
    assert (dim["objects"], dim["gaussians"], dim["object_scores"], dim["relevance"]) == ([], 0, [], 0.0)
    assert set(dim["pixels"].values()) == {0}
    for answer, ids in ((red, (1,)), (green, (2, 3, 4))):
        # four views are shown, the two held-out ones are too few
        assert len(answer["pixels"]) == 4
        for view, name in answer["masks"].items():
            mask = np.asarray(Image.open(tmp_path / name))
            assert set(np.unique(mask)) <= {0, 255}
            assert int((mask > 0).sum()) == answer["pixels"][view]
            truth = _truth(files, view, *ids)
            assert ((mask > 0) & truth).sum() / ((mask > 0) | truth).sum() > 0.8
        scores = np.load(tmp_path / answer["scores"])
        assert int(scores["chosen"].sum()) == answer["gaussians"]
        assert scores["scores"].max() == 1.0
    assert [answer["picture"] for answer in content["answers"]] == ["01_red.png", "02_green.png", "03_dim.png"]
    assert content["thresholds"]["found_relevance"] == 0.5
    assert content["negatives"] == ["object", "things", "stuff", "texture"]


def test_the_selection_keeps_its_colours_and_the_rest_turns_grey(files: BallFiles, tmp_path: Path) -> None:
    config = replace(_CONFIG, views=("view_03",), save_masks=True)
    (answer,) = _ask(files, tmp_path, Questions(phrases=["red"]), config, data=files.data)["answers"]
    picture = np.asarray(Image.open(tmp_path / answer["picture"]))[:SIZE]
    photo = np.asarray(Image.open(files.data / "images" / "view_03.png"))
    mask = np.asarray(Image.open(tmp_path / answer["masks"]["view_03.png"])) > 0
    assert (picture[mask] == photo[mask]).all()
    outside = picture[~mask]
    grey = (outside == outside[:, :1]).all(1)
    amber = (outside == (255, 176, 0)).all(1)
    assert (grey | amber).all()
    # a blob of n pixels has an outline of at least the circumference of the disc of its size
    assert amber.sum() >= 2 * np.sqrt(np.pi * mask.sum()) * 0.9


def test_an_image_and_a_click_find_what_they_show(files: BallFiles, tmp_path: Path) -> None:
    view = "view_03"
    rows, columns = np.nonzero(_truth(files, view, 1))
    x, y = float(columns.mean()), float(rows.mean())
    crop = tmp_path / "crop.png"
    box = (columns.min() + 3, rows.min() + 3, columns.max() - 2, rows.max() - 2)
    Image.open(files.data / "images" / f"{view}.png").crop(tuple(map(int, box))).save(crop)
    asked = Questions(phrases=["red"], clicks=[(view, x, y)], images=[crop])
    content = _ask(files, tmp_path / "out", asked)
    phrase, click, image = content["answers"]
    assert [answer["kind"] for answer in content["answers"]] == ["text", "click", "image"]
    assert phrase["objects"] == click["objects"] == image["objects"]
    assert next(iter(click["pixels"])) == f"{view}.png", "the view that was clicked comes first"
    assert image["question"] == "crop.png"


def test_levels_top_and_negatives_reach_the_question(files: BallFiles, tmp_path: Path) -> None:
    config = replace(_CONFIG, query=replace(_CONFIG.query, level="m", top=1))
    (green,) = _ask(files, tmp_path / "top", Questions(phrases=["green"]), config)["answers"]
    assert len(green["objects"]) == 1
    # the phrase does not beat itself: relevance is a half, and the weight takes what the mixed border pixels cost
    config = replace(_CONFIG, negatives=("red", "object"))
    (red,) = _ask(files, tmp_path / "negative", Questions(phrases=["red"]), config)["answers"]
    assert red["relevance"] == pytest.approx(0.5, abs=1e-3)


def test_splats_without_cameras_are_shown_along_an_orbit(files: BallFiles, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("scene.ply", "scene.laga.safetensors"):
        (bare / name).write_bytes((files.run / name).read_bytes())
    config = replace(_CONFIG, max_side=32)
    query_run(bare, Questions(phrases=["red"]), tmp_path / "out", config=config, encoder=ColourWords())
    content = json.loads((tmp_path / "out" / "answers.json").read_text())
    assert all(name.startswith("orbit_") for name in content["answers"][0]["pixels"])


def test_held_out_views_are_shown_first(files: BallFiles, tmp_path: Path) -> None:
    (answer,) = _ask(files, tmp_path, Questions(phrases=["red"]), replace(_CONFIG, view_count=2))["answers"]
    assert tuple(answer["pixels"]) == HELD_OUT
    (answer,) = _ask(files, tmp_path, Questions(phrases=["red"]), replace(_CONFIG, view_count=0))["answers"]
    assert len(answer["pixels"]) == 8


def test_spread_views_lie_far_apart(files: BallFiles) -> None:
    from vision3d.cameras.camera_files import load_cameras

    cameras = load_cameras(files.run / "cameras.json").cameras
    # on a ring of eight the one opposite comes second, then the two in between
    assert spread_views(cameras, 2) == ("view_00.png", "view_04.png")
    assert spread_views(cameras, 4) == tuple(f"view_0{row}.png" for row in (0, 2, 4, 6))


def test_names_of_files_are_safe_and_unique() -> None:
    questions = ["../../etc/passwd", "a" * 300, "a" * 301, "Red", "red", "茶壶", "🍵?", "CON", "x\ny", "x.", " "]
    stems = file_stems(questions)
    assert len({stem.lower() for stem in stems}) == len(questions)
    assert all(set(stem) & set('/\\:*?"<>|. \n') == set() for stem in stems)
    assert max(len(stem.encode()) for stem in file_stems(["𝒳" * 300])) < 200
    assert stems[5] == "06_茶壶"


def test_long_and_foreign_phrases_have_their_pictures(files: BallFiles, tmp_path: Path) -> None:
    phrases = ["red " * 200, "茶壶", "mug 🍵 with\nsteam"]
    content = _ask(files, tmp_path, Questions(phrases=phrases))
    assert [answer["question"] for answer in content["answers"]] == phrases
    assert content["answers"][1]["unknown_words"] == ["茶壶"]
    for answer in content["answers"]:
        assert Image.open(tmp_path / answer["picture"]).size[0] > SIZE


@pytest.mark.parametrize(
    ("questions", "change", "kind", "message"),
    [
        ({"phrases": ["red"]}, {"query": QueryConfig(level="xl")}, InvalidInputError, "a level of m, found 'xl'"),
        ({"phrases": ["red"]}, {"views": ("view_99",)}, UnknownViewError, "found 'view_99'"),
        ({"phrases": ["red"]}, {"views": ("view_00",) * 2}, InvalidInputError, "every view once"),
        ({"clicks": [("view_99", 1.0, 1.0)]}, {}, UnknownViewError, "found 'view_99'"),
        ({"clicks": [("view_00", 64.0, 1.0)]}, {}, InvalidInputError, r"within 64 x 64 .* \(64.0, 1.0\)"),
        ({"clicks": [("view_00", float("nan"), 1.0)]}, {}, InvalidInputError, "within 64 x 64"),
        ({"images": [Path("missing.png")]}, {}, ImageFileError, "missing.png: expected a picture"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_leaves_nothing_behind(
    questions: dict, change: dict, kind: type[Vision3DError], message: str, files: BallFiles, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message):
        _ask(files, tmp_path / "out", Questions(**questions), replace(_CONFIG, **change))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("phrases", [(), ("",), ("red", "  "), ("\udcff",)])
def test_questions_must_ask_something(phrases: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError, match="Expected"):
        Questions(phrases=phrases)


def test_another_encoder_and_changed_splats_are_refused(files: BallFiles, tmp_path: Path) -> None:
    asked, out = Questions(phrases=["red"]), tmp_path / "out"
    with pytest.raises(InvalidInputError, match="expected vectors of encoder other, found vectors of colour words 1"):
        query_run(files.laga, asked, out, config=_CONFIG, encoder=ColourWords("other"))
    with pytest.raises(ModelFileError, match="Run `vision3d train`"):
        query_run(tmp_path / "scene.laga.safetensors", asked, out, config=_CONFIG, encoder=ColourWords())
    with pytest.raises(InvalidInputError, match=r"expected one file \*.laga.safetensors, found 0"):
        query_run(tmp_path, asked, out, config=_CONFIG, encoder=ColourWords())
    changed = tmp_path / "changed"
    changed.mkdir()
    before = snapshot(files.run)
    (changed / "scene.ply").write_bytes(before["scene.ply"][:-4] + b"\0\0\0\x3f")
    (changed / "scene.laga.safetensors").write_bytes(before["scene.laga.safetensors"])
    with pytest.raises(ModelFileError, match="found other splats"):
        query_run(changed, asked, out, config=_CONFIG, encoder=ColourWords())
    assert not out.exists()


def test_equal_questions_have_equal_answers(files: BallFiles, tmp_path: Path) -> None:
    for name in ("a", "b"):
        torch.manual_seed(hash(name) % 100)
        _ask(files, tmp_path / name, Questions(phrases=["red", "green"]))
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")
