"""A tab of the clinic in a headless Chromium that reaches no other machine, and what it noticed meanwhile."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, expect

WAIT_MS = 120_000
expect.set_options(timeout=WAIT_MS)


@dataclass(frozen=True)
class ClinicTab:
    """An open page."""

    page: Page
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def upload(self, *paths: Path) -> None:
        """Give files to the drop zone."""
        self.page.locator("#upload input[type=file]").set_input_files([str(path) for path in paths])

    def open(self, path: Path) -> None:
        """Upload a study and wait for its picture."""
        self.upload(path)
        expect(self.page.locator("#picture img")).to_be_visible()

    def ask(self, question: str) -> None:
        """Type a question and press the button; waits for its answer."""
        before = self.turns.count()
        self.page.get_by_label("Your question").fill(question)
        self.page.get_by_role("button", name="Ask", exact=True).click()
        expect(self.turns).to_have_count(before + 1)
        expect(self.turns.last).to_contain_text(question)

    @property
    def turns(self) -> Locator:
        """Questions with their answers."""
        return self.page.locator("#dialogue .turn")

    @property
    def cards(self) -> Locator:
        """Findings of the shown answer."""
        return self.page.locator("#cards .card")

    def picture(self) -> np.ndarray:
        """The picture that is shown, pixel by pixel."""
        source = self.page.locator("#picture img").get_attribute("src") or ""
        return np.asarray(Image.open(io.BytesIO(self.page.request.get(source).body())).convert("RGB"))

    def expect_picture(self, wanted: np.ndarray) -> None:
        """Wait until exactly this picture is shown."""
        for _ in range(100):
            shown = self.picture()
            if shown.shape == wanted.shape and bool((shown == wanted).all()):
                return
            self.page.wait_for_timeout(200)
        pytest.fail("another picture is shown")

    def notice(self) -> str:
        """The text of the notice that appeared last; it is closed."""
        toast = self.page.locator(".toast-body").last
        expect(toast).to_be_visible()
        text = toast.inner_text()
        toast.locator("button").last.click()
        expect(toast).to_be_hidden()
        return re.sub(r"\s+", " ", text)

    def download(self, link: Locator, folder: Path) -> Path:
        """The file behind a link, saved in `folder` under its own name."""
        with self.page.expect_download() as download:
            link.click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path


@contextmanager
def clinic_tab(browser: Browser, address: str, **options: Any) -> Iterator[ClinicTab]:
    """The page as it opens; afterwards it must not have met an error or asked another machine."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    tab = ClinicTab(page)
    context.route("**/*", lambda route: _only_here(route, tab.foreign))
    page.on("console", lambda said: tab.errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: tab.errors.append(str(error)))
    page.on("response", lambda got: tab.errors.append(f"{got.status} {got.url}") if got.status >= 400 else None)
    page.goto(address)
    expect(page.locator("#upload input[type=file]")).to_be_attached()
    yield tab
    context.close()
    assert tab.errors == []
    assert tab.foreign == []


def _only_here(route: Route, foreign: list[str]) -> None:
    place = urlparse(route.request.url)
    if place.scheme in ("data", "blob") or place.hostname == "127.0.0.1":
        route.continue_()
        return
    foreign.append(route.request.url)
    route.abort()
