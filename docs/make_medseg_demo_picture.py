"""Draws README's picture of `medseg demo`: `python -m docs.make_medseg_demo_picture` writes it below docs/pictures."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from medseg.demo import run_demo

PICTURE = Path(__file__).parent / "pictures" / "medseg_demo.jpg"


def main() -> None:
    """Run the demo and take the upper part of its page."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as player:
        page_path = run_demo(Path(folder) / "demo").page
        browser = player.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 960})
        page.goto(page_path.as_uri())
        shot = Path(folder) / "page.png"
        page.screenshot(path=shot, full_page=False)
        browser.close()
        Image.open(shot).convert("RGB").save(PICTURE, quality=80, optimize=True)


if __name__ == "__main__":
    main()
