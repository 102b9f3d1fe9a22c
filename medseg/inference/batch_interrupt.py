"""`polite_stop`: the first Ctrl+C (or SIGTERM) asks a batch to end after the current case, the second at once."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_log = logging.getLogger(__name__)


@contextmanager
def polite_stop() -> Iterator[Callable[[], bool]]:
    """What says whether a stop was asked for. Outside the main thread signals are left alone.

    Raises:
        KeyboardInterrupt: it was asked for twice.
    """
    asked: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            raise KeyboardInterrupt
        _log.warning("stopping after the current case; once more to stop at once")

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
