"""Writing a file so that a reader sees the old content or the new one, never half of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL_SUFFIX = ".partial"
"""Ends the names of files that are still being written; leftovers of a killed process carry it too."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` when the block ends, and vanishes when it fails.

    The content reaches the disk before the swap, so a power cut leaves one of the two versions as well.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with written_whole(folder / "note.txt") as partial:
        ...     _ = partial.write_text("done")
        >>> [entry.name for entry in folder.iterdir()]
        ['note.txt']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text_whole(path: Path, text: str) -> None:
    """Replace the content of `path` by `text` (UTF-8) in one step."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")
