"""`exit_code_of`: how every command ends. Errors to act on are one line on stderr, bugs keep their traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable


def exit_code_of(
    job: Callable[[], int],
    *,
    command: str,
    errors: tuple[type[Exception], ...],
    extra: str,
    when_memory_ends: str,
    when_interrupted: str = "interrupted",
) -> int:
    """The exit code of `job`: what it returns, 1 where an error explains itself, 130 where it was interrupted.

    Args:
        job: does the work.
        command: name of the command, for advice.
        errors: errors whose messages say what to do.
        extra: extra of this distribution that holds the command's packages.
        when_memory_ends: what to do about a device that is too small.
        when_interrupted: what is said after Ctrl+C.
    """
    try:
        return job()
    except errors as error:
        return failed(str(error))
    except OSError as error:
        return failed(f"expected files that can be read and written, found: {error}. Check the path and the disk.")
    except ModuleNotFoundError as error:
        return failed(
            f"expected the package {error.name}, found none. Run: pip install 'vision3d-medseg[{extra}]', "
            f"or `{command} doctor` for everything that is missing."
        )
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":
            raise
        return failed(f"the device ran out of memory: {error}. {when_memory_ends}")
    except KeyboardInterrupt:
        sys.stderr.write(f"{when_interrupted}\n")
        return 130


def failed(message: str) -> int:
    """Says `message` on stderr; the exit code 1."""
    sys.stderr.write(f"error: {message}\n")
    return 1
