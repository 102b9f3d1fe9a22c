"""`EventLog`: what happens in a batch, one JSON object per line, told to a caller as well; and a progress bar.

Each event has `event`, `time` (UTC), `finished` and `total`; what else it has depends on its kind, see
docs/medseg_batch.md. Cases go by their ids; no name and no path of an input appears.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from medseg.inference.batch_folder import output_errors

OnEvent = Callable[[dict[str, Any]], None]
_LAST = ("case_done", "case_failed", "case_skipped")


class EventLog:
    """The events of one call, appended to the file at `path`."""

    def __init__(self, path: Path, total: int, on_event: OnEvent | None, progress: bool) -> None:
        """Raises BatchFolderError where the file cannot be written."""
        self._on_event = on_event
        self._finished, self._worked, self._total = 0, 0, total
        self._begun = time.monotonic()
        with output_errors():
            self._file = path.open("a", encoding="utf-8")
            if _is_torn(path):
                self._file.write("\n")
        self._bar = tqdm(total=total, unit="case", disable=not progress, dynamic_ncols=True)

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        with output_errors():
            self._file.close()

    def begin_work(self) -> None:
        """The time that is left is reckoned from here on."""
        self._begun = time.monotonic()

    def tell(self, event: str, **facts: Any) -> None:
        """Write one event, hand it to the caller, move the bar.

        Raises:
            BatchFolderError: the disk takes no more.
        """
        if event in _LAST:
            self._finished += 1
            self._worked += event != "case_skipped"
            self._bar.update()
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        told = {"event": event, "time": now, **facts, "finished": self._finished, "total": self._total}
        if event in _LAST:
            told["eta_s"] = self._left_s()
        with output_errors():
            self._file.write(json.dumps(told, ensure_ascii=False) + "\n")
            self._file.flush()
        if self._on_event is not None:
            self._on_event(told)

    def _left_s(self) -> float | None:
        """Seconds that are left at the pace so far; None before the first case was worked on."""
        if not self._worked:
            return None
        pace = (time.monotonic() - self._begun) / self._worked
        return round(pace * (self._total - self._finished), 1)


def _is_torn(path: Path) -> bool:
    """Whether a process was killed while it wrote the last line."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - 1, 0))
        return file.read() not in (b"", b"\n")
