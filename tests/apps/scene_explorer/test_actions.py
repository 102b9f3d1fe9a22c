"""What the controls do, without any browser; the truth is that of the balls."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from apps.scene_explorer import actions
from apps.scene_explorer.browser_splats import browser_splats
from apps.scene_explorer.exploration import Exploration, begin
from apps.scene_explorer.explored_scene import ExploredScene, open_explored
from apps.scene_explorer.export_selection import EXPORT_FORMATS, export_selection
from apps.scene_explorer.orbit import Stand
from tests.vision3d.export.ball_laga import WHOLE, make_ball_laga
from tests.vision3d.laga.colour_words import ColourWords
from vision3d.errors import InvalidInputError, SplatFileError
from vision3d.scene.catalogue import read_splats
from vision3d.scene.gaussian_scene import SH_C0


@pytest.fixture
def bare(bare_file: Path) -> Exploration:
    return begin(open_explored(bare_file))


def test_a_scene_opens_from_its_file_its_folder_and_its_splats(ball_file: Path, balls: ExploredScene) -> None:
    for source in (ball_file, ball_file.parent, ball_file.parent / "scene.ply", f"  {ball_file} "):
        opened = open_explored(source, encoder=ColourWords())
        assert opened.path == ball_file
        assert len(opened.objects) == len(balls.objects) == 14


@pytest.mark.parametrize(
    ("source", "error", "words"), [(" ", InvalidInputError, "empty name"), ("nowhere.ply", SplatFileError, "nowhere")]
)
def test_what_is_no_scene_is_refused(source: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        open_explored(source)


def test_asking_chooses_the_true_gaussians(begun: Exploration) -> None:
    truth = make_ball_laga().truth
    assert begun.chosen is None
    assert torch.equal(actions.ask(begun, "red").chosen, truth == 0)
    assert torch.equal(actions.ask(begun, "  green\n").chosen, (truth > 0) & (truth < 4))
    refused = actions.ask(begun, "dim")
    assert refused.result.status == "not found"
    assert refused.chosen is None
    assert actions.ask(refused, "  ").result is None
    assert actions.forget(refused).result is None


def test_a_phrase_without_end_is_refused(begun: Exploration) -> None:
    with pytest.raises(InvalidInputError, match="at most 300 letters, found 301"):
        actions.ask(begun, "a" * 301)


def test_bare_splats_are_seen_but_not_asked(bare: Exploration, begun: Exploration) -> None:
    assert actions.picture(bare).max() > 100
    assert actions.table_rows(bare) == []
    for action in (
        lambda: actions.ask(bare, "red"),
        lambda: actions.click(bare, 1.0, 1.0),
        lambda: actions.choose(bare, 0),
    ):
        with pytest.raises(InvalidInputError, match="Run `vision3d train`"):
            action()


def test_a_click_goes_by_the_level_and_the_picture(begun: Exploration) -> None:
    width, height = actions.PICTURE_SIZE
    plane = actions.click(begun, width / 2, height - 1)
    assert plane.result.objects.tolist() == [WHOLE + 4]
    assert plane.clicked == (width / 2, height - 1)
    fine = actions.click(actions.with_level(begun, "s"), width / 2, height - 1)
    assert fine.result.objects.tolist() == [WHOLE - 1]
    assert actions.walk(plane, Stand()).clicked is None  # the ring belongs to the picture before
    with pytest.raises(InvalidInputError, match="Click inside the image"):
        actions.click(begun, float(width), 0.0)


def test_levels_and_objects_that_are_not_there_are_refused(begun: Exploration) -> None:
    with pytest.raises(InvalidInputError, match="level of s, m"):
        actions.with_level(begun, "xl")
    with pytest.raises(InvalidInputError, match="0 to 13, found 14"):
        actions.choose(begun, 14)


def test_the_table_lists_a_level_largest_first(begun: Exploration) -> None:
    rows = actions.table_rows(begun)
    assert [row[0] for row in rows] == [WHOLE + 4, WHOLE, WHOLE + 1, WHOLE + 2, WHOLE + 3]
    assert [row[-1] for row in rows] == [400, 160, 160, 160, 160]
    assert len(actions.table_rows(actions.with_level(begun, "s"))) == 9
    assert {len(row) for row in rows} == {len(actions.TABLE_HEADERS)}


def test_the_picture_dims_all_but_the_selection(begun: Exploration) -> None:
    plain, asked = actions.picture(begun), actions.ask(begun, "red")
    lit, mask = actions.picture(asked), actions.selection_mask(asked)
    assert plain.shape == (*actions.PICTURE_SIZE[::-1], 3)
    assert (lit[mask] == plain[mask]).all()
    red = (plain[..., 0] > 180) & (plain[..., 2] < 60) & (plain[..., 1] < 60)
    assert (red & mask).sum() > 0.9 * red.sum()
    away = np.ptp(lit.astype(int), axis=2) == 0
    assert (away | mask).mean() > 0.95  # grey, but for the outline


def test_the_browsers_splats_are_dimmed_or_left_out(begun: Exploration) -> None:
    truth, asked = make_ball_laga().truth, actions.ask(begun, "red")
    colours = browser_splats(asked).sh[:, 0] * SH_C0 + 0.5
    assert torch.allclose(colours[truth == 0], torch.tensor([0.9, 0.0, 0.0]), atol=1e-5)
    assert torch.allclose(colours[truth == 1], torch.full((3,), 0.09), atol=1e-5)
    assert len(browser_splats(asked, alone=True)) == 160
    assert len(browser_splats(begun, alone=True)) == 1040


def test_files_for_the_browser_have_names_of_their_own(begun: Exploration, tmp_path: Path) -> None:
    paths = [actions.write_for_browser(begun, tmp_path) for _ in range(20)]
    assert len(set(paths)) == 20
    assert len(read_splats(paths[-1])) == 1040
    assert len(list(tmp_path.iterdir())) == 16  # the oldest are gone
    assert paths[0].exists() is False


def test_every_format_is_exported(begun: Exploration, tmp_path: Path) -> None:
    asked = actions.ask(begun, "red")
    files = export_selection(asked, tuple(EXPORT_FORMATS), tmp_path)
    assert [path.name for path in files] == ["red.ply", "red.splat", "red_boxes.json", "red_mask.png", "red_mesh.glb"]
    assert len(read_splats(files[0])) == len(read_splats(files[1])) == 160
    (thing,) = json.loads(files[2].read_text())["objects"]
    assert thing["name"] == "red"
    assert ((np.asarray(Image.open(files[3])) > 0) == actions.selection_mask(asked)).all()
    mesh = trimesh.load(files[4], force="mesh")
    assert mesh.bounding_box.extents == pytest.approx([0.75] * 3, abs=0.2)
    again = export_selection(actions.choose(begun, WHOLE), ["ply"], tmp_path)
    assert again[0].name == f"object_{WHOLE}.ply"
    assert again[0].parent != files[0].parent


def test_an_export_of_nothing_is_refused(begun: Exploration, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="Expected a selection to export"):
        export_selection(begun, ["ply"], tmp_path)
    with pytest.raises(InvalidInputError, match=r"found none\. Tick"):
        export_selection(actions.ask(begun, "red"), [], tmp_path)
    with pytest.raises(InvalidInputError, match="found exe"):
        export_selection(actions.ask(begun, "red"), ["ply", "exe"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_nothing_but_signs_still_names_a_file(begun: Exploration) -> None:
    assert actions.selection_stem(actions.ask(begun, "../?")) == "selection"
    assert actions.selection_stem(begun) == "scene"
