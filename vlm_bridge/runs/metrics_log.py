"""`metrics.jsonl`: one JSON object per line, appended as a job goes on.

A process that is killed while it writes leaves a torn last line. Such a line counts as never written; a bad line
anywhere else is an error. Values that are not finite are written as NaN and Infinity, as Python's `json` reads them.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from vlm_bridge.atomic_write import write_text_whole
from vlm_bridge.errors import RunFolderError

Metrics = dict[str, float | int | str]

_log = logging.getLogger(__name__)


def append_metrics(path: Path, metrics: Metrics) -> None:
    """Add one line to the log at `path`."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(metrics) + "\n")


def read_metrics(path: Path) -> list[Metrics]:
    """The lines of the log, oldest first; an absent log is empty and a torn last line is left out.

    Raises:
        RunFolderError: a line before the last one is not a JSON object.
    """
    if not path.exists():
        return []
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:
        _log.warning("%s: the last line is torn (the job was stopped while it wrote); it is left out", path)
    return [_parse_line(line, path, number) for number, line in enumerate(lines, start=1)]


def drop_metrics_after(path: Path, step: int) -> None:
    """Keep only the lines up to and including `step`, whole ones; the job is about to write later steps again."""
    if path.exists():
        kept = [metrics for metrics in read_metrics(path) if float(metrics["step"]) <= step]
        write_text_whole(path, "".join(json.dumps(metrics) + "\n" for metrics in kept))


def _parse_line(line: bytes, path: Path, number: int) -> Metrics:
    try:
        metrics = json.loads(line)
    except ValueError:
        metrics = None
    if not isinstance(metrics, dict) or "step" not in metrics:
        raise RunFolderError(
            f"{path}, line {number}: expected a JSON object with a step, found {line[:40]!r}. "
            "Repair the line or remove it."
        )
    return metrics
