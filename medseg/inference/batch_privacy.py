"""Names kept out of records: of files and folders, since they are named after people, and of foreign errors' texts."""

from __future__ import annotations

import re
import traceback
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from medseg.errors import MedSegError

_FILES_MOST = 50_000
_SHORT = 8
"""A shorter name without a dot may be a plain word; it is replaced only where a message begins with it."""


class NameFilter:
    """Replaces the names of one input's files and folders by neutral ones, the same each time."""

    def __init__(self, path: Path) -> None:
        """`path` is the input; of what cannot be listed only its own name is known."""
        inside = sorted({*_names_inside(path)} - {path.name})
        self._neutral = {name: f"file {number}" for number, name in enumerate(inside, 1)}
        self._neutral |= dict.fromkeys((path.name, str(path), path.as_posix(), str(path.resolve())), "input")

    def __call__(self, text: str) -> str:
        """The text without the names.

        Example:
            >>> NameFilter(Path("scans/Doe_Jane.nii"))("Doe_Jane.nii: expected a volume")
            'input: expected a volume'
        """
        spoken = sorted((name for name in self._neutral if name and name in text), key=len, reverse=True)
        if not spoken:
            return text
        choices = (
            re.escape(name) if "." in name or len(name) >= _SHORT else f"{re.escape(name)}(?=:)" for name in spoken
        )
        pattern = rf"(?<![^\W_])(?:{'|'.join(choices)})(?![^\W_])"
        return re.sub(pattern, lambda hit: self._neutral[hit.group()], text)


def failure_log(error: BaseException, names: NameFilter) -> str:
    """Where in the program an error arose, and the errors behind it. The texts of foreign errors are left out, since
    they may quote a header; those of ours stay."""
    parts = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        said = f": {names(str(current))}" if isinstance(current, MedSegError) else " (its text is left out)"
        frames = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"{type(current).__name__}{said}\n{frames}")
        current = current.__cause__ or current.__context__
    return names("\ncaused by\n".join(parts))


def _names_inside(path: Path) -> Iterator[str]:
    """Names of files and folders inside an input."""
    try:
        if path.is_dir():
            for place in islice(path.rglob("*"), _FILES_MOST):
                yield place.name
        elif path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for member in islice(archive.namelist(), _FILES_MOST):
                    yield from PurePosixPath(member).parts
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return
