"""Nothing is replaced unasked: the check before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vision3d.errors import RunFolderError


def check_free(targets: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse to replace files or folders that are there already, unless that is asked for.

    Raises:
        RunFolderError: one of the targets exists.
    """
    taken = [path for path in targets if path.exists()]
    if taken and not overwrite:
        more = f" and {len(taken) - 1} more" * (len(taken) > 1)
        raise RunFolderError(
            f"{taken[0]}: expected a free place to write to, found something there{more}. "
            "Choose another place, or pass --overwrite to replace it."
        )
