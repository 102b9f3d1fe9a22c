"""`output_file`: a scene file that appears whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vision3d.errors import SplatFileError
from vlm_bridge.atomic_write import written_whole


@contextmanager
def output_file(path: str | Path) -> Iterator[BinaryIO]:
    """An open binary file that takes the place of `path` when the block ends well.

    If the block raises, nothing is left behind and whatever was at `path` before stays as it was.

    Raises:
        SplatFileError: the folder is missing or cannot be written, or `path` is a folder.
    """
    target = Path(path)
    if not os.path.isdir(target.parent):
        raise SplatFileError(
            f"{target}: expected an existing folder to write into, found none at {target.parent}. Create it first."
        )
    if os.path.isdir(target):
        raise SplatFileError(f"{target}: expected the path of a file, found a folder. Give a file name inside it.")
    try:
        with written_whole(target) as temporary, temporary.open("wb") as file:
            yield file
    except OSError as error:
        raise SplatFileError(
            f"{target}: expected a folder with room that may be written, found: {error}. "
            "Check its permissions and the free disk space."
        ) from error
