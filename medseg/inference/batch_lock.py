"""`locked`: one process at a time. The system lets go of the lock when its process ends, however it ends."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medseg.errors import BatchFolderError

if sys.platform == "win32":
    import msvcrt

    def _take(number: int) -> None:
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


_TAKEN = {errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at `path` for the block.

    Raises:
        BatchFolderError: another process holds it, or the disk knows no locks.
    """
    try:
        number = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise BatchFolderError(
            f"Batch: expected an output folder that can be written, found: {error.strerror}. Choose another."
        ) from error
    try:
        try:
            _take(number)
        except OSError as error:
            if error.errno in _TAKEN:
                raise BatchFolderError(
                    "Batch: expected an output folder that no other process works in, found one that another batch "
                    "holds. Wait for it, or choose another folder."
                ) from None
            raise BatchFolderError(
                f"Batch: expected a disk that can lock files, found: {error.strerror}. Choose a folder on a local disk."
            ) from error
        yield
    finally:
        os.close(number)
