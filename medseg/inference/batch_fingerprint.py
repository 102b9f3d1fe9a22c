"""Hashes by which a rerun knows what has changed: of an input's files, of words, of a segmenter."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medseg.inference.segmenter import SegmenterFacts


def words_sha256(value: Any) -> str:
    """Hash of a JSON value.

    Example:
        >>> words_sha256({"a": 1, "b": 2}) == words_sha256({"b": 2, "a": 1})
        True
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def segmenter_sha256(facts: SegmenterFacts) -> str:
    """Hash of a segmenter's name and weights. Versions of packages are left out: a new one redoes nothing."""
    return words_sha256([facts.name, facts.weights_sha256])


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def input_stamp(path: Path) -> str:
    """Hash of names, sizes and times of an input's files: quick, and equal as long as nobody touches them.

    Raises:
        OSError: it cannot be listed.
    """
    facts = []
    for name, file in _files(path):
        found = file.stat()
        facts.append((name, found.st_size, found.st_mtime_ns))
    return words_sha256(facts)


def input_sha256(path: Path) -> str:
    """Hash of names and bytes of an input's files, wherever the input lies.

    Raises:
        OSError: a file cannot be read.
    """
    return words_sha256([(name, file_sha256(file)) for name, file in _files(path)])


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Files of an input with their places inside it, sorted; a file by itself has none."""
    if not path.is_dir():
        yield "", path
        return
    for folder, below, names in os.walk(path, followlinks=False):
        below.sort()
        for name in sorted(names):
            file = Path(folder) / name
            if file.is_file():
                yield file.relative_to(path).as_posix(), file
