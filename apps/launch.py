"""The command `vision-apps PAGE`: `clinic` asks a medical study, `explorer` a 3D scene, each in the browser."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable


def _clinic(arguments: list[str]) -> int:
    from apps.clinic.cli import main as run

    return run(arguments)


def _explorer(arguments: list[str]) -> int:
    from apps.scene_explorer.cli import main as run

    return run(arguments)


PAGES: dict[str, tuple[str, Callable[[list[str]], int]]] = {
    "clinic": ("ask a medical study (research use only; not a medical device)", _clinic),
    "explorer": ("ask a 3D scene", _explorer),
}
"""Name of a page -> what it is, and what runs it with its own arguments."""


def main(arguments: list[str] | None = None) -> int:
    """Run a page until it is interrupted; returns its exit code. What follows the name belongs to the page."""
    given = sys.argv[1:] if arguments is None else arguments
    listed = "\n".join(f"  {name:10}{words}" for name, (words, _) in PAGES.items())
    parser = argparse.ArgumentParser(
        prog="vision-apps",
        usage="vision-apps PAGE [options of the page]",
        description=f"Pages in the browser:\n{listed}",
        epilog="vision-apps PAGE --help lists the options of a page.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("page", choices=list(PAGES), metavar="PAGE", help=" or ".join(PAGES))
    page = parser.parse_args(given[:1]).page
    return PAGES[page][1](given[1:])
