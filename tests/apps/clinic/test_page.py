"""The page in a headless Chromium: upload, ask, follow up, refuse, take along, and leave nothing behind."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gradio", reason="needs the extra `apps`")
pytest.importorskip("playwright", reason="needs playwright, of the extra `dev`")

import highdicom
from playwright.sync_api import Browser, expect

from apps.clinic import actions
from apps.clinic.dialogue import Dialogue
from apps.clinic.page import BANNER, QUEUE_MAX, build_page, launch_page
from apps.clinic.sessions import Sessions
from medseg.demo import DEMO_QUESTIONS
from medseg.inference.catalogue import SEGMENTERS, load_segmenter
from medseg.inference.segmenter import Segmenter
from medseg.study.finding_colours import finding_colour
from tests.apps.clinic.browser import ClinicTab, clinic_tab
from tests.apps.scene_explorer.browser import headless_browser
from tests.medseg.made_series import PLANTED_WORDS


@dataclass(frozen=True)
class Served:
    """The page, where it answers and what it keeps."""

    browser: Browser
    address: str
    sessions: Sessions
    root: Path
    queue_max: int | None

    def tab(self, **options: Any):
        """A new tab on it."""
        return clinic_tab(self.browser, self.address, **options)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with headless_browser() as found:
        yield found


def _serve(browser: Browser, segmenter: Segmenter, root: Path) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(root))  # the page sets it too; afterwards it is as before
        sessions = Sessions(root)
        page = build_page(segmenter, sessions=sessions, root=root)
        address = launch_page(page, host="127.0.0.1", port=None)
        yield Served(browser, address, sessions, root, page._queue.max_size)
        page.close(verbose=False)


@pytest.fixture(scope="module")
def served(browser: Browser, rules: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from _serve(browser, rules, tmp_path_factory.mktemp("clinic"))


@pytest.fixture
def tab(served: Served) -> Iterator[ClinicTab]:
    with served.tab() as one:
        yield one


def test_a_study_is_asked_followed_up_and_taken_along(
    tab: ClinicTab, served: Served, brought: Path, ct: Dialogue, rules: Segmenter, tmp_path: Path
) -> None:
    expect(tab.page.get_by_text(BANNER)).to_be_visible()
    assert served.queue_max == QUEUE_MAX
    tab.open(brought / "ct.zip")
    tab.ask("Where are the lungs?")
    asked = actions.ask(ct, "Where are the lungs?", rules)
    expect(tab.cards).to_have_count(1)
    expect(tab.cards).to_contain_text("✓ found")
    phrase = tab.page.locator("#dialogue .phrase")
    assert phrase.inner_text() == "1lungs"
    assert phrase.evaluate("e => getComputedStyle(e).borderBottomColor") == f"rgb{finding_colour(1).rgb}"
    tab.expect_picture(np.asarray(actions.panel(asked).image))
    assert (finding_colour(1).rgb == tab.picture()).all(2).sum() > 500  # the contour has the phrase's colour

    tab.ask("the largest part of it")
    asked = actions.ask(asked, "the largest part of it", rules)
    tab.expect_picture(np.asarray(actions.panel(asked).image))

    tab.ask("Is there metal?")
    expect(tab.cards).to_contain_text("✕ not found")
    expect(tab.cards).to_contain_text("presence 0 %")
    expect(tab.page.locator("#look")).to_be_hidden()

    tab.page.get_by_label("Answer whose masks are shown").click()
    tab.page.get_by_role("option", name="1. Where are the lungs?").click()
    expect(tab.cards).to_contain_text("✓ found")
    expect(tab.page.locator("#quantities table")).to_contain_text("ml")

    tab.page.get_by_role("tab", name="Download").click()
    tab.page.get_by_role("button", name="Prepare the files").click()
    links = tab.page.locator("#files a[download]")
    expect(links).to_have_count(3)
    files = {path.name: path for path in (tab.download(link, tmp_path) for link in links.all())}
    assert set(files) == {"segmentation.dcm", "01_lungs.nii.gz", "report.html"}
    opened = highdicom.seg.segread(files["segmentation.dcm"])
    assert asked.turns[0].findings[0].mask.sum() == opened.pixel_array.sum()
    assert opened.get_segment_description(1).segment_label == "lungs"

    tab.page.get_by_role("tab", name="Provenance").click()
    expect(tab.page.locator("#provenance")).to_contain_text(asked.turns[0].provenance.input_sha256[:16])
    assert not [word for word in PLANTED_WORDS if word in tab.page.content()]


def test_what_goes_wrong_is_told_and_logged_and_the_dialogue_stays(
    tab: ClinicTab, brought: Path, served: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab.open(brought / "dot.png")
    tab.ask("the bright <b>${1+1} {{value}}</b> region")
    assert tab.page.locator("#dialogue b").count() == 0
    with caplog.at_level(logging.WARNING, logger="apps.clinic.page"):
        tab.page.locator("#opening button").first.click()
        tab.upload(brought / "broken.nii.gz")
        assert "The file (.nii.gz): expected" in tab.notice()
        tab.page.get_by_label("Your question").fill("   ")
        tab.page.get_by_role("button", name="Ask", exact=True).click()
        assert "Question: expected words, found an empty one" in tab.notice()
        monkeypatch.setattr(actions, "answer", lambda *_: 1 / 0)
        tab.page.get_by_label("Your question").fill("the dark region")
        tab.page.get_by_role("button", name="Ask", exact=True).click()
        assert "nobody foresaw" in tab.notice()
    assert "ZeroDivisionError" in caplog.text
    assert caplog.text.count("Traceback") == 3
    expect(tab.turns).to_have_count(1)
    expect(tab.page.locator("#picture img")).to_be_visible()
    assert tab.page.get_by_label("Your question").input_value() == "the dark region"
    assert not list(served.root.rglob("broken.nii.gz"))


def test_one_of_several_series_is_chosen(tab: ClinicTab, brought: Path) -> None:
    tab.upload(brought / "two.zip")
    expect(tab.page.locator("#study")).to_contain_text("2 series were found: choose one.")
    expect(tab.page.locator("#work")).to_be_hidden()
    tab.page.get_by_label("Series of this study; a new dialogue begins with each").click()
    tab.page.get_by_role("option", name="2. CT, 68 x 48 x 4").click()
    expect(tab.page.locator("#study")).to_contain_text("68 x 48 x 4 voxels")
    expect(tab.page.locator("#caption")).to_contain_text("axial slice 3 of 4")


def test_the_keyboard_walks_through_the_study(tab: ClinicTab, brought: Path) -> None:
    tab.open(brought / "ct.nii.gz")
    caption = tab.page.locator("#caption")
    expect(caption).to_contain_text("axial slice 15 of 28")
    slider = tab.page.locator("#number input[type=range]")
    slider.focus()
    slider.press("ArrowRight")
    expect(caption).to_contain_text("axial slice 16 of 28")
    tab.page.get_by_label("coronal").focus()
    tab.page.keyboard.press("Space")
    expect(caption).to_contain_text("coronal slice 25 of 48")
    assert tab.page.locator("#picture img").get_attribute("alt") == "coronal slice 25 of 48, no mask on it"
    question = tab.page.get_by_label("Your question")
    question.fill("the bright region")
    question.press("Enter")
    expect(tab.turns).to_have_count(1)
    nameless = tab.page.evaluate(
        """() => [...document.querySelectorAll("button, input, textarea, select")].filter(
            (e) => e.checkVisibility() && e.type !== "file" && !e.labels?.length && !e.ariaLabel && !e.title
                && !e.getAttribute("aria-labelledby") && !e.innerText.trim()
                && !e.querySelector("img[alt]")).map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_a_closed_tab_and_a_fresh_start_leave_nothing(served: Served, brought: Path) -> None:
    others = set(served.root.glob("tab_*"))
    with served.tab() as tab:
        tab.open(brought / "ct.zip")
        tab.ask("Where are the lungs?")
        assert list(served.root.rglob("ct.zip"))
        tab.page.get_by_role("button", name="Start over").click()
        expect(tab.page.locator("#work")).to_be_hidden()
        assert not list(served.root.rglob("ct.zip"))
        tab.open(brought / "dot.png")
        mine, open_tabs = set(served.root.glob("tab_*")) - others, len(served.sessions)
        assert len(mine) == 1
    for _ in range(300):
        if not any(folder.exists() for folder in mine):
            break
        time.sleep(0.2)
    assert not any(folder.exists() for folder in mine)
    assert len(served.sessions) < open_tabs
    assert not list(served.root.rglob("dot.png"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_has_everything_in_one_column(served: Served, scheme: str) -> None:
    with served.tab(viewport={"width": 390, "height": 844}, color_scheme=scheme) as tab:
        tab.page.get_by_role("button", name="Example: chest CT (drawn)").click()
        expect(tab.page.locator("#picture img")).to_be_visible()
        tab.page.locator("#samples button", has_text="Where are the lungs?").click()
        expect(tab.turns).to_have_count(1)
        assert tab.page.evaluate("() => document.documentElement.scrollWidth") <= 390
        boxes = [tab.page.locator(part).bounding_box() for part in ("#looking", "#asking", "#details")]
        assert [box["width"] > 300 for box in boxes if box] == [True] * 3
        ground = tab.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert (sum(int(part) for part in ground[4:-1].split(",")[:3]) < 200) == (scheme == "dark")


@pytest.mark.skipif("medsegr-tiny" not in SEGMENTERS, reason="needs the embedded model medsegr-tiny")
def test_the_embedded_model_answers_on_the_page(browser: Browser, tmp_path: Path) -> None:
    served = _serve(browser, load_segmenter("medsegr-tiny"), tmp_path)
    with next(served).tab() as tab:
        tab.page.get_by_role("button", name="Example: chest radiograph (drawn)").click()
        expect(tab.page.locator("#picture img")).to_be_visible()
        for question in DEMO_QUESTIONS:
            tab.ask(question)
        tab.page.get_by_role("tab", name="Provenance").click()
        expect(tab.page.locator("#provenance")).to_contain_text("medsegr-tiny")
        tab.page.get_by_label("Answer whose masks are shown").click()
        tab.page.get_by_role("option", name=f"1. {DEMO_QUESTIONS[0]}").click()
        expect(tab.cards.first).to_contain_text("presence")
    next(served, None)
