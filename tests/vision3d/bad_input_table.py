"""The table of bad inputs: a name, a builder that returns a command, and what its message must say was found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Case = Callable[[Path], list[str]]
CASES: dict[str, tuple[Case, str]] = {}


def case(name: str, found: str) -> Callable[[Case], Case]:
    """Puts a builder into the table; `found` is a pattern for what the message must say was found."""

    def listed(build: Case) -> Case:
        CASES[name] = (build, found)
        return build

    return listed
