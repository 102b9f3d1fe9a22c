"""The pictures of docs/nerfstudio.md: `python -m benchmarks.viewer_pictures`.

Runs in the environment of nerfstudio with playwright beside it (`make test-nerfstudio` sets up both) and needs a
Chromium; no graphics card. Trains the embedded scene with `ns-train laga` on a free port of this machine alone, opens
the viewer in a headless browser as soon as the scene can be asked, asks it while training goes on, and prints what was
read from the page. It is an error if the answer is not `found` or the step counter stands still meanwhile. Takes some
minutes; what the training wrote is deleted.
"""

from __future__ import annotations

import argparse
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

from playwright.sync_api import Locator, Page, Route, expect, sync_playwright

from vlm_bridge.assets import asset_path

FLAGS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
"""WebGL in software."""
HOST = "127.0.0.1"
READY = "the scene can be asked"
"""What the plugin logs after each time it took the scene apart."""
MOST_BYTES = 250_000
_WAIT_S = 900.0
_PAGE_WAIT_MS = 120_000
_END_S = 120.0
_QUALITY = 85


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as door:
        door.bind((HOST, 0))
        return int(door.getsockname()[1])


@contextmanager
def training(folder: Path, port: int, *, steps: int, share: float) -> Iterator[str]:
    """`ns-train laga` on the embedded scene; gives the viewer's address once the scene can be asked, ends it after."""
    words = [
        sys.executable, "-m", "nerfstudio.scripts.train", "laga", "--data", str(asset_path("tabletop")),
        "--output-dir", str(folder / "outputs"), "--max-num-iterations", str(steps),
        "--pipeline.model.objects.at", str(share), "--viewer.quit-on-train-completion", "True",
        "--viewer.websocket-host", HOST, "--viewer.websocket-port", str(port),
    ]  # fmt: skip
    log = folder / "log.txt"
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(words, stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        _wait_for(process, log)
        yield f"http://{HOST}:{port}"
    finally:
        _end(process)


def _wait_for(process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the scene can be asked."""
    until = time.monotonic() + _WAIT_S
    while READY not in (said := log.read_text(encoding="utf-8", errors="replace")):
        if process.poll() is not None or time.monotonic() > until:
            state = "it ended" if process.poll() is not None else f"nothing of it in {_WAIT_S:.0f} s"
            raise SystemExit(f"Expected ns-train to say {READY!r}, found that {state}. It said last:\n{said[-2000:]}")
        time.sleep(1.0)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt it as Ctrl+C does; kill it only if it does not go."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        print(f"ns-train did not end within {_END_S:.0f} s of Ctrl+C and was killed")


@contextmanager
def viewer_page(address: str, browser: str) -> Iterator[Page]:
    """The viewer in a headless browser that reaches this machine alone."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=list(FLAGS))
        page = opened.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(_PAGE_WAIT_MS)
        page.route("**/*", _stay_here)
        page.goto(address)
        yield page
        opened.close()


def _stay_here(route: Route) -> None:
    here = urlparse(route.request.url)
    if here.hostname == HOST or here.scheme in ("data", "blob"):
        route.continue_()
    else:
        route.abort()


def step_of(page: Page) -> int:
    """The step counter of the page."""
    found = re.search(r"Step:\s*(\d+)", page.get_by_text(re.compile(r"Step:\s*\d+")).first.inner_text())
    if found is None:
        raise SystemExit("Expected a step counter on the viewer's page, found none.")
    return int(found[1])


def later_step(page: Page, step: int) -> int:
    """The step counter once it has moved on."""
    until = time.monotonic() + _PAGE_WAIT_MS / 1000
    while (now := step_of(page)) <= step:
        if time.monotonic() > until:
            raise SystemExit(f"Expected training to go on after step {step}, found the counter at {now}.")
        page.wait_for_timeout(200)
    return now


def said_of(page: Page, pattern: str) -> Locator:
    """The line under the question, once it reads like `pattern`."""
    line = page.get_by_text(re.compile(pattern)).first
    expect(line).to_be_visible(timeout=_PAGE_WAIT_MS)
    return line


def choose_layer(page: Page, layer: str) -> None:
    """Have the viewer draw another layer."""
    page.get_by_label("Show", exact=True).first.click()
    page.get_by_role("option", name=layer, exact=True).first.click()


def ask(page: Page, phrase: str) -> tuple[str, float]:
    """What the panel answers, and after how many seconds."""
    page.locator("xpath=//*[normalize-space(text())='Phrase']/following::input[1]").fill(phrase)
    page.wait_for_timeout(500)  # the page sends what is typed a little later
    started = time.monotonic()
    page.get_by_role("button", name="Ask", exact=True).click()
    answer = said_of(page, f"“{re.escape(phrase)}”").inner_text()
    return " ".join(answer.split()), time.monotonic() - started


def take(page: Page, path: Path, settle_s: float) -> None:
    """A screenshot, after the picture had time to reach its full size."""
    page.wait_for_timeout(settle_s * 1000)
    page.screenshot(path=path, type="jpeg", quality=_QUALITY)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{path}: expected at most {MOST_BYTES} bytes, found {size}.")
    print(f"| {path} | {size / 1000:.0f} kB |")


def main() -> None:
    """Make both pictures; print what the page said."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phrase", default="red mug", help="what is asked")
    parser.add_argument("--steps", type=int, default=12_000, help="length of the training; it is cut when all is seen")
    parser.add_argument("--share", type=float, default=0.15, help="share of it after which the scene is taken apart")
    parser.add_argument("--pictures", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--settle", type=float, default=8.0, help="seconds before each picture")
    asked = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # started in the background, a shell has it ignored
    asked.pictures.mkdir(parents=True, exist_ok=True)
    print("| what | found |\n|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        run = training(Path(name), free_port(), steps=asked.steps, share=asked.share)
        with run as address, viewer_page(address, asked.browser) as page:
            print(f"| before | {said_of(page, 'objects, seen at step').inner_text()} |")
            page.get_by_role("button", name="Hide Train Cams").click()  # photos would stand in the picture
            choose_layer(page, "objects")
            take(page, asked.pictures / "nerfstudio_objects.jpg", asked.settle)
            before = later_step(page, step_of(page))  # the counter jumps with each picture: read it when it just did
            answer, seconds = ask(page, asked.phrase)
            after = later_step(page, before)
            print(f"| answer | {answer} |\n| answered after | {seconds:.1f} s |")
            print(f"| step before and after | {before}, {after} of {asked.steps} |", flush=True)
            if ": found" not in answer:
                raise SystemExit(f"Expected {asked.phrase!r} to be found, found: {answer}")
            choose_layer(page, "selection")
            take(page, asked.pictures / "nerfstudio_query.jpg", asked.settle)
            print(f"| step at the end | {later_step(page, after)} |")


if __name__ == "__main__":
    main()
