"""Writing a folder so that it is there with all its files or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vlm_bridge.atomic_write import PARTIAL_SUFFIX
from vlm_bridge.errors import InvalidInputError


@contextmanager
def folder_written_whole(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A folder beside `target` to write to; it takes the place of `target` when the block ends, and vanishes when it
    fails.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "model"
        >>> with folder_written_whole(target) as partial:
        ...     _ = (partial / "config.json").write_text("{}")
        >>> [path.name for path in target.iterdir()], [path.name for path in target.parent.iterdir()]
        (['config.json'], ['model'])

    Raises:
        InvalidInputError: `target` is a file, or holds files that may not be replaced; nothing was written.
    """
    _check_free(target, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    partial.mkdir()
    try:
        yield partial
        _open_to_readers(partial)
        if target.exists():
            _swap(target, partial)
        else:
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_free(target: Path, overwrite: bool) -> None:
    if target.is_file() or (target.is_dir() and not overwrite and any(target.iterdir())):
        raise InvalidInputError(
            f"{target}: expected a new or empty folder to write to, found {'a file' if target.is_file() else 'files'}. "
            "Choose another, or remove it."
        )


def _open_to_readers(folder: Path) -> None:
    """Whoever may read the folder may read its files: weights are written for their owner alone by safetensors."""
    mode = folder.stat().st_mode & 0o666
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(mode)


def _swap(target: Path, partial: Path) -> None:
    """`partial` in the place of `target`; the old files go once the new ones stand."""
    old = partial.with_name(f"{partial.name}.old")
    target.rename(old)
    try:
        partial.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old)
