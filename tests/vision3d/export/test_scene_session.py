"""The viewer without a browser: what each control changes, what is drawn, and clicks along rays."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.vision3d.export.ball_laga import WHOLE, make_ball_laga
from tests.vision3d.laga.colour_words import ColourWords
from tests.vision3d.scene.random_scenes import same_bits
from vision3d.export.ask_config import AskConfig
from vision3d.export.scene_session import SceneSession
from vision3d.export.view_state import camera_along, object_colours, relevance_colours, with_level
from vision3d.laga.laga_scene import load_laga_scene
from vision3d.laga.query_config import QueryConfig
from vision3d.scene.gaussian_scene import SH_C0


@pytest.fixture
def made():
    return make_ball_laga(2)


@pytest.fixture
def session(made) -> SceneSession:
    session = SceneSession(made.laga, ColourWords(), config=AskConfig(query=QueryConfig(neighbours=1)))
    session.set_level("m")
    return session


def test_a_phrase_tints_what_it_means_and_nothing_else(session: SceneSession, made) -> None:
    before = session.shown.colours
    session.ask("red")
    assert session.view.caption == "red: found, relevance 1.00, 160 Gaussians"
    changed = (session.shown.colours != before).any(1)
    assert torch.equal(changed, made.truth == 0)
    session.ask(" ")
    assert torch.equal(session.shown.colours, before)


def test_layers_show_colour_relevance_and_objects(session: SceneSession, made) -> None:
    rgb = (made.laga.scene.sh[:, 0] * SH_C0 + 0.5).clamp(0, 1)
    assert torch.equal(session.shown.colours, rgb)
    session.ask("red")
    session.set_layer("relevance")
    colours = session.shown.colours
    assert torch.allclose(colours[made.truth == 0], torch.tensor([1.0, 0.0, 0.0]), atol=1e-3)
    assert colours[made.truth != 0].max() < 0.5
    session.ask("")
    session.set_layer("objects")
    assert len(session.shown.colours.unique(dim=0)) == 5
    session.set_level("s")
    assert len(session.shown.colours.unique(dim=0)) == 9
    session.set_layer("smell")
    assert "found 'smell'" in session.view.caption
    assert session.view.layer == "objects"


def test_a_click_chooses_what_the_ray_meets_first(session: SceneSession, made) -> None:
    session.click((0.0, -5.0, 0.35), (0.0, 1.0, 0.0))  # ball 3 stands before ball 0 on this line
    ball = made.truth[session.view.chosen].unique().tolist()
    session.click((0.0, 0.0, 5.0), (0.0, 0.0, -1.0))
    assert ball == [3]
    assert made.truth[session.view.chosen].unique().tolist() == [0]
    assert f"object {WHOLE} there" in session.view.caption
    session.click((0.0, 0.0, 5.0), (0.0, 0.0, 1.0))
    assert session.view.chosen is None
    assert "no object there" in session.view.caption


def test_level_and_threshold_ask_again(session: SceneSession, made) -> None:
    session.ask("red")
    session.set_level("s")
    assert sorted(session.view.result.objects.tolist()) == [0, 1]
    session.set_level("any")
    session.set_threshold(0.0)
    assert bool(session.view.chosen.all())
    session.set_threshold(7.0)
    assert session.view.threshold == 1.0
    assert torch.equal(session.view.chosen, made.truth == 0)


def test_edits_and_undo_bring_back_the_same_scene(session: SceneSession, made) -> None:
    session.ask("red")
    session.remove()
    assert len(session.shown.colours) == len(made.truth) - 160
    session.ask("red")
    assert session.view.caption.startswith("red: not found")
    session.undo()
    assert same_bits(session.view.laga.scene, made.laga.scene)
    session.ask("red")
    assert torch.equal(session.view.chosen, made.truth == 0)
    session.recolour((0.0, 0.0, 1.0))
    session.ask("red")
    session.move((0.0, 0.0, 1.0), copy=True)
    assert len(session.view.laga.scene) == len(made.truth) + 160
    session.undo()
    session.undo()
    session.redo()
    assert session.view.history.place == 1
    session.ask("blue")
    session.isolate()
    assert len(session.view.laga.scene) == 400


def test_what_cannot_be_done_is_said_and_changes_nothing(session: SceneSession, made, tmp_path: Path) -> None:
    for action in (session.remove, session.undo, session.redo, lambda: session.save("scene.txt")):
        action()
        assert "xpected" in session.view.caption
        assert session.view.laga is made.laga
    (tmp_path / "taken.ply").write_text("mine")
    session.save(str(tmp_path / "taken.ply"))
    assert "expected a free place" in session.view.caption


def test_saving_writes_splats_that_can_be_asked(session: SceneSession, tmp_path: Path) -> None:
    session.ask("red")
    session.remove()
    session.save(str(tmp_path / "edited.ply"))
    again = load_laga_scene(tmp_path / "edited.laga.safetensors")
    assert same_bits(again.scene, session.view.laga.scene)
    assert [edit["edit"] for edit in again.facts["edits"]] == ["remove"]


def test_colours_are_where_they_should_be(made) -> None:
    ramp = relevance_colours(torch.tensor([0.0, 1.0, 2.0]), torch.full((3, 3), 0.8))
    assert ramp[0].unique().numel() == 1
    assert ramp[1].tolist() == ramp[2].tolist() == [1.0, 0.0, 0.0]
    session = SceneSession(made.laga, ColourWords())
    middle = object_colours(session.view)
    assert torch.equal(middle, object_colours(with_level(session.view, "m")))


@pytest.mark.parametrize("direction", [(0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (-1.0, 2.0, -3.0)])
def test_the_middle_of_a_click_camera_is_its_ray(direction: tuple[float, float, float]) -> None:
    ray, origin = torch.tensor(direction), torch.tensor([1.0, 2.0, 3.0])
    camera = camera_along(origin, ray)
    local = camera.world_to_camera[0] @ torch.cat([origin + 4 * ray, torch.ones(1)])
    pixel = camera.intrinsics[0] @ local[:3]
    assert (pixel[:2] / pixel[2]).tolist() == pytest.approx([1.5, 1.5], abs=1e-3)
    assert pixel[2] > 0
