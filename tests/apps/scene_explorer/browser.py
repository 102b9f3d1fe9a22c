"""A headless Chromium on the page, and what it noticed meanwhile: errors, and requests to other machines."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

# WebGL in software, for machines without a graphics card.
FLAGS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
WAIT_MS = 60_000
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Tab:
    """An open page."""

    page: Page
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def ask(self, phrase: str) -> None:
        """Type a phrase and press the button; waits for its answer."""
        self.page.locator("#phrase input, #phrase textarea").fill(phrase)
        self.page.click("#ask")
        self.expect_answer(f"“{phrase}”")

    def expect_answer(self, subject: str) -> None:
        """Wait until the card is about something."""
        expect(self.page.locator("#card .answer-head strong")).to_have_text(subject, timeout=WAIT_MS)

    @property
    def card(self) -> str:
        """What the card says."""
        return self.page.locator("#card .answer").inner_text()

    @property
    def chip(self) -> str:
        """What the chip says, without its sign."""
        return self.page.locator("#card .chip").inner_text().partition(" ")[2]

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
        pytest.fail(f"another picture is shown: {np.abs(shown.astype(int) - wanted).mean():.2f} off per channel")

    def click_picture(self, x: float, y: float) -> None:
        """Click at a place in pixels of the picture itself, however large it is shown."""
        image = self.page.locator("#picture img")
        box, height_width = image.bounding_box(), self.picture().shape
        assert box is not None
        image.click(position={"x": x * box["width"] / height_width[1], "y": y * box["height"] / height_width[0]})

    def notice(self) -> str:
        """The text of the notice that appeared last; it is closed."""
        toast = self.page.locator(".toast-body").last
        expect(toast).to_be_visible(timeout=WAIT_MS)
        text = toast.inner_text()
        toast.locator("button").last.click()
        expect(toast).to_be_hidden()
        return re.sub(r"\s+", " ", text)


def chromium_path(playwright: Playwright) -> str:
    """The browser of this machine; the test is skipped where there is none."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), playwright.chromium.executable_path)
    if not Path(found).is_file():
        pytest.skip("needs Chromium: `apt-get install chromium`, or `playwright install chromium`")
    return found


@contextmanager
def headless_browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(playwright), args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def open_tab(browser: Browser, address: str, *, width: int = 1440, height: int = 900) -> Iterator[Tab]:
    """The page with its first picture; afterwards it must not have met an error or asked another machine."""
    page = browser.new_page(viewport={"width": width, "height": height})
    tab = Tab(page)
    page.on("console", lambda said: tab.errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: tab.errors.append(str(error)))
    page.on("request", lambda request: None if _is_here(request.url) else tab.foreign.append(request.url))
    page.on("response", lambda got: tab.errors.append(f"{got.status} {got.url}") if got.status >= 400 else None)
    page.goto(address)
    expect(page.locator("#picture img")).to_be_visible(timeout=WAIT_MS)
    yield tab
    page.close()
    assert tab.errors == []
    assert tab.foreign == []


def _is_here(url: str) -> bool:
    place = urlparse(url)
    return place.scheme in ("data", "blob") or place.hostname == "127.0.0.1"
