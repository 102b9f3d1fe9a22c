"""The picture of the scene explorer: `python -m docs.make_explorer_picture`, after `make app` or `make demo`.

Needs the extras `apps` and `dev`, and Chromium.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from apps.scene_explorer.explored_scene import open_explored
from apps.scene_explorer.page import build_page, launch_page
from apps.scene_explorer.prepare_scene import find_prepared
from vision3d.demo import DEMO_PHRASES

_PICTURE = Path(__file__).resolve().parent / "pictures" / "scene_explorer.jpg"
_WIDTH, _HEIGHT = 1440, 900
_WAIT_MS = 120_000


def make_explorer_picture(scene: Path, target: Path, *, phrase: str = DEMO_PHRASES[0]) -> Path:
    """Ask the scene a phrase on the page and write what the browser shows.

    Args:
        scene: the folder of a scene that was taken apart.
        target: JPEG to write.
        phrase: what is asked.
    """
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        explored = open_explored(scene, examples=DEMO_PHRASES)
        page = build_page(explored, folder=Path(folder), open_scene=open_explored)
        address = launch_page(page, host="127.0.0.1", port=None)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
        tab.goto(address)
        expect(tab.locator("#picture img")).to_be_visible(timeout=_WAIT_MS)
        tab.locator("#phrase input, #phrase textarea").fill(phrase)
        tab.click("#ask")
        expect(tab.locator("#card .answer-head strong")).to_contain_text(phrase, timeout=_WAIT_MS)
        tab.mouse.move(0, 0)
        tab.wait_for_timeout(1500)
        shown = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
        browser.close()
        page.close(verbose=False)
    shown.save(target, quality=88, optimize=True)
    return target


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", nargs="?", type=Path, default=find_prepared(), help="folder of the scene")
    given = parser.parse_args().scene
    if given is None:
        parser.error("no scene was prepared yet: run `make app` or `make demo` first, or name a folder")
    make_explorer_picture(given, _PICTURE)
