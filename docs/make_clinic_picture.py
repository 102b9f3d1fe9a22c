"""The picture of the clinic page: `python -m docs.make_clinic_picture` writes docs/pictures/clinic.jpg.

The study is an embedded one, drawn, nobody's body. Needs the extras `apps` and `dev`, and Chromium.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from apps.clinic.page import build_page, launch_page
from apps.clinic.sessions import Sessions
from medseg.inference.catalogue import load_segmenter

PICTURE = Path(__file__).resolve().parent / "pictures" / "clinic.jpg"
EXAMPLE = "chest CT (drawn)"
QUESTIONS = ("Where are the lungs and the bone, and is there metal?",)
_WIDTH, _HEIGHT = 1280, 960
_WAIT_MS = 600_000


def make_clinic_picture(target: Path, *, segmenter: str, questions: tuple[str, ...] = QUESTIONS) -> Path:
    """Ask the example on the page and write what the browser shows, JPEG."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        root = Path(folder).resolve()
        page = build_page(load_segmenter(segmenter), sessions=Sessions(root), root=root)
        address = launch_page(page, host="127.0.0.1", port=None)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
        tab.set_default_timeout(_WAIT_MS)
        tab.goto(address)
        tab.get_by_role("button", name=f"Example: {EXAMPLE}").click()
        expect(tab.locator("#picture img")).to_be_visible(timeout=_WAIT_MS)
        for number, question in enumerate(questions, 1):
            tab.get_by_label("Your question").fill(question)
            tab.get_by_role("button", name="Ask", exact=True).click()
            expect(tab.locator("#dialogue .turn")).to_have_count(number, timeout=_WAIT_MS)
        tab.mouse.move(0, 0)
        tab.evaluate("() => window.scrollTo(0, 0)")
        tab.wait_for_timeout(2500)
        shown = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
        browser.close()
        page.close(verbose=False)
    shown.save(target, quality=85, optimize=True)
    return target


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segmenter", default="classical", help="what answers")
    make_clinic_picture(PICTURE, segmenter=parser.parse_args().segmenter)
