"""The pictures of README, from the results of `make demo`: `python -m docs.make_pictures`."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

_PICTURES = Path(__file__).resolve().parent / "pictures"
_STRIPS = ("view_000", "view_001")
_ORBIT_EVERY = 2


def make_pictures(demo: Path, target: Path) -> list[Path]:
    """Write fit.jpg (photo, render, error, depth of held-out views) and orbit.webp; returns both paths.

    Args:
        demo: folder that `vision3d demo` wrote.
        target: folder for the pictures.
    """
    target.mkdir(parents=True, exist_ok=True)
    strips = [Image.open(demo / "previews" / f"{name}.png").convert("RGB") for name in _STRIPS]
    sheet = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)))
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    sheet.save(target / "fit.jpg", quality=88)
    with Image.open(demo / "previews" / "orbit.webp") as orbit:
        frames = []
        for place in range(0, getattr(orbit, "n_frames", 1), _ORBIT_EVERY):
            orbit.seek(place)
            frames.append(orbit.convert("RGB"))
    frames[0].save(
        target / "orbit.webp", save_all=True, append_images=frames[1:], duration=80, loop=0, quality=70, method=6
    )
    return [target / "fit.jpg", target / "orbit.webp"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", nargs="?", type=Path, default=Path("out/demo"), help="folder that the demo wrote")
    make_pictures(parser.parse_args().demo, _PICTURES)
