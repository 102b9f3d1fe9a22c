"""The page in a headless Chromium: ask, see, click, orbit, refuse, export, open. The truth is that of the balls."""

from __future__ import annotations

import io
import json
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("gradio", reason="needs the extra `apps`")
pytest.importorskip("playwright", reason="needs playwright, of the extra `dev`")

from playwright.sync_api import Browser, expect

from apps.scene_explorer import actions
from apps.scene_explorer.browser_splats import (
    VIEWER_DISTANCE,
    VIEWER_FOCAL,
    VIEWER_HEIGHT,
    VIEWER_TURN,
    placed_for_viewer,
)
from apps.scene_explorer.exploration import Exploration, begin
from apps.scene_explorer.explored_scene import ExploredScene, open_explored
from apps.scene_explorer.orbit import Stand, camera_at
from apps.scene_explorer.page import build_page, launch_page
from tests.apps.scene_explorer.browser import WAIT_MS, Tab, headless_browser, open_tab
from tests.vision3d.export.ball_laga import WHOLE, make_ball_laga
from tests.vision3d.laga.colour_words import ColourWords
from vision3d.rendering.image_files import to_bytes
from vision3d.rendering.render_views import render_views
from vision3d.scene.catalogue import read_splats


@dataclass(frozen=True)
class Served:
    """The page and where it answers."""

    browser: Browser
    address: str

    def tab(self, **size: int):
        """A new tab on it."""
        return open_tab(self.browser, self.address, **size)


@pytest.fixture(scope="module")
def served(balls: ExploredScene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with headless_browser() as browser:
        page = build_page(balls, folder=tmp_path_factory.mktemp("page"), open_scene=_open)
        yield Served(browser, launch_page(page, host="127.0.0.1", port=None))
        page.close(verbose=False)


@pytest.fixture
def tab(served: Served) -> Iterator[Tab]:
    with served.tab() as one:
        yield one


def _open(name: str) -> ExploredScene:
    if name == "broken":
        raise RuntimeError("nobody foresaw this")
    return open_explored(name, encoder=ColourWords())


def _place_of(begun: Exploration, ball: int) -> tuple[float, float]:
    """Where the middle of a ball is in the first picture."""
    made, camera = make_ball_laga(), actions.present_camera(begun)
    middle = torch.cat([made.balls.scene.means[made.truth == ball].mean(0), torch.ones(1)])
    x, y, depth = (camera.intrinsics[0] @ (camera.world_to_camera[0] @ middle)[:3]).tolist()
    return x / depth, y / depth


def test_a_phrase_is_found_and_lights_up(tab: Tab, begun: Exploration) -> None:
    tab.expect_picture(actions.picture(begun))
    assert tab.page.locator("#export").is_disabled()
    tab.ask("green")
    assert tab.chip == "found"
    assert "480 of 1,040 Gaussians are selected" in tab.card
    tab.expect_picture(actions.picture(actions.ask(begun, "green")))
    assert tab.page.locator("#export").is_enabled()


def test_an_example_is_asked_by_a_click(tab: Tab) -> None:
    tab.page.locator("#examples button", has_text="red").click()
    tab.expect_answer("“red”")
    assert tab.chip == "found"


def test_what_is_not_there_is_refused(tab: Tab, begun: Exploration) -> None:
    tab.ask("red")
    tab.ask("dim")
    assert tab.chip == "not in this scene"
    assert "nothing is selected" in tab.card
    tab.expect_picture(actions.picture(begun))
    assert tab.page.locator("#export").is_disabled()


def test_unknown_words_are_named_and_never_run(tab: Tab) -> None:
    tab.ask("red <b>zorbly</b>")
    assert "Words the encoder never learned: <b>zorbly</b>." in tab.card
    assert tab.page.locator("#card b").count() == 0
    tab.ask("zorbly")
    assert tab.chip == "not in this scene"
    assert "no word of this is known" in tab.card


def test_a_click_selects_what_is_there(tab: Tab, begun: Exploration) -> None:
    x, y = _place_of(begun, 2)
    tab.click_picture(x, y)
    tab.expect_answer(f"Object {WHOLE + 2}")
    assert "160 of 1,040 Gaussians are selected" in tab.card
    shown, plain = tab.picture(), actions.picture(actions.choose(begun, WHOLE + 2))
    assert (shown != plain).any(2).mean() < 0.02  # but for the ring around the place
    tab.page.locator("#level label", has_text="s · finest").click()
    tab.click_picture(x + 3, y)
    tab.expect_answer("Object 5")
    assert "80 of 1,040 Gaussians are selected" in tab.card


def test_a_row_of_the_table_selects_its_object(tab: Tab, begun: Exploration) -> None:
    cells = tab.page.locator("#table .virtual-body .body-cell")
    expect(cells.first).to_be_visible(timeout=WAIT_MS)
    assert cells.first.inner_text() == str(WHOLE + 4)  # the plane is the largest
    cells.nth(len(actions.TABLE_HEADERS)).click()
    tab.expect_answer(f"Object {WHOLE}")
    tab.expect_picture(actions.picture(actions.choose(begun, WHOLE)))


def test_the_scene_is_walked_around_with_its_selection(tab: Tab, begun: Exploration) -> None:
    tab.ask("red")
    turn = tab.page.locator("#stand input[type=number]").first
    turn.fill("90")
    turn.press("Enter")
    there = Stand(turn_degrees=90.0, height_degrees=begun.stand.height_degrees)
    tab.expect_picture(actions.picture(actions.walk(actions.ask(begun, "red"), there)))


def test_the_3d_viewer_draws_what_our_renderer_draws(tab: Tab, begun: Exploration) -> None:
    tab.page.locator("button[role=tab]", has_text="3D").click()
    canvas = tab.page.locator("#space canvas")
    expect(canvas).to_be_visible(timeout=WAIT_MS)
    box = canvas.bounding_box()
    assert box is not None
    size = round(box["width"]), round(box["height"])
    assert abs(size[1] - VIEWER_HEIGHT) <= 4
    explored = begun.explored
    distance = VIEWER_DISTANCE / placed_for_viewer(explored.orbit)[1]
    seen_from = replace(explored.orbit, distance=distance, focal_share=VIEWER_FOCAL / min(size))
    stand = Stand(height_degrees=math.degrees(VIEWER_TURN))
    camera = camera_at(seen_from, stand, width=size[0], height=size[1])
    wanted = to_bytes(render_views(explored.scene, camera).colour[0]).astype(float)
    for _ in range(30):  # the splats fade in
        shown = np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")).astype(float)
        rows, columns = (min(pair) for pair in zip(shown.shape[:2], wanted.shape[:2], strict=True))
        off = np.abs(shown[40:rows, : columns - 60] - wanted[40:rows, : columns - 60]).mean()  # without the buttons
        if off < 6:
            return
        tab.page.wait_for_timeout(500)
    pytest.fail(f"the viewer is {off:.1f} of 255 off per channel")


def test_the_3d_viewer_stays_where_it_is_while_one_types(tab: Tab) -> None:
    tab.page.evaluate("() => { window.heard = 0; window.addEventListener('keydown', () => { window.heard += 1; }); }")
    tab.page.locator("#phrase input, #phrase textarea").press_sequentially("wasd")
    assert tab.page.evaluate("() => window.heard") == 0
    tab.page.locator("#phrase input, #phrase textarea").press("Enter")
    tab.expect_answer("“wasd”")


def test_the_selection_is_taken_along(tab: Tab, begun: Exploration, tmp_path: Path) -> None:
    tab.ask("red")
    tab.page.locator("#formats label", has_text="mask").click()
    tab.page.click("#export")
    links = tab.page.locator("#files a[download]")
    expect(links).to_have_count(3, timeout=WAIT_MS)
    files = {}
    for link in links.all():
        with tab.page.expect_download() as download:
            link.click()
        files[download.value.suggested_filename] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[download.value.suggested_filename])
    assert set(files) == {"red.ply", "red_boxes.json", "red_mask.png"}
    assert len(read_splats(files["red.ply"])) == 160
    (box,) = json.loads(files["red_boxes.json"].read_text())["objects"]
    assert box["box"]["maximum"][0] < 0.4
    mask = np.asarray(Image.open(files["red_mask.png"])) > 0
    assert (mask == actions.selection_mask(actions.ask(begun, "red"))).all()


def test_other_scenes_are_opened_and_bare_splats_say_what_they_lack(tab: Tab, bare_file: Path) -> None:
    tab.page.locator("#opening button", has_text="Open another scene").click()
    tab.page.locator("#source input, #source textarea").fill(str(bare_file))
    tab.page.click("#open")
    expect(tab.page.locator("#heading")).to_contain_text("bare.ply", timeout=WAIT_MS)
    assert "was not taken apart" in tab.card
    tab.expect_picture(actions.picture(begin(open_explored(bare_file))))
    tab.page.locator("#phrase input, #phrase textarea").fill("red")
    tab.page.click("#ask")
    assert "Run vision3d train" in tab.notice().replace("`", "")


def test_what_goes_wrong_is_told_and_logged(
    tab: Tab, begun: Exploration, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tab.page.locator("#opening button", has_text="Open another scene").click()
    source = tab.page.locator("#source input, #source textarea")
    source.fill(str(tmp_path / "<i>nowhere</i>.ply"))
    tab.page.click("#open")
    assert "<i>nowhere</i>.ply: expected a splat file" in tab.notice()
    with caplog.at_level(logging.ERROR, logger="apps.scene_explorer.page"):
        source.fill("broken")
        tab.page.click("#open")
        assert "nobody foresaw" in tab.notice()
    assert "RuntimeError: nobody foresaw this" in caplog.text
    tab.expect_picture(actions.picture(begun))


def test_a_narrow_window_has_everything_in_one_column(served: Served) -> None:
    with served.tab(width=420, height=800) as tab:
        tab.ask("red")
        assert tab.page.evaluate("() => document.documentElement.scrollWidth") <= 420
        tops = [tab.page.locator(part).bounding_box() for part in ("#asking", "#looking", "#listing")]
        assert [box["width"] > 300 for box in tops if box] == [True] * 3


def test_the_3d_viewer_is_given_the_selection(tab: Tab, tmp_path: Path) -> None:
    tab.page.locator("button[role=tab]", has_text="3D").click()
    link = tab.page.locator("#space [data-testid=model3d-download-link]")
    expect(link).to_be_attached(timeout=WAIT_MS)
    tab.ask("red")
    whole = link.get_attribute("href")
    tab.page.locator("#alone input").check()
    expect(link).not_to_have_attribute("href", whole or "", timeout=WAIT_MS)
    (tmp_path / "shown.splat").write_bytes(tab.page.request.get(link.get_attribute("href") or "").body())
    assert len(read_splats(tmp_path / "shown.splat")) == 160
