"""`CaseLog`: the scores of an evaluation, one line per dialogue as it finishes; a later run goes on with what is left.

A line holds the hash of the record it was made from: a record that was changed is asked again. What else scores depend
on, the segmenter and the options, stands in `evaluation.json`; another one needs another folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medseg.errors import InvalidInputError
from medseg.evaluation.turn_score import TurnScore, turn_from_json, turn_to_json
from medseg.training.records import QARecord, record_to_json
from vlm_bridge.atomic_write import write_text_whole
from vlm_bridge.runs.run_record import differing_fields, to_json_value

CASES = "cases.jsonl"
SETUP = "evaluation.json"


class CaseLog:
    """The finished dialogues of a folder, or of memory alone."""

    def __init__(self, folder: Path | None, setup: Any) -> None:
        """Read what is there; `setup` is what scores depend on beside the records.

        Raises:
            InvalidInputError: the folder holds another evaluation, or a line that cannot be read.
            OSError: the folder cannot be written.
        """
        self._path = folder / CASES if folder is not None else None
        self._done: dict[tuple[str, str], list[TurnScore]] = {}
        if folder is None or self._path is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        _agree(folder / SETUP, setup)
        if self._path.exists():
            kept = _whole_lines(self._path)
            for number, line in enumerate(kept, 1):
                key, scores = _read_line(line, self._path, number)
                self._done[key] = scores
            write_text_whole(self._path, "".join(line + "\n" for line in kept))

    def find(self, case: str, fingerprint: str) -> list[TurnScore] | None:
        """The scores of a dialogue, or None where it is still to be asked."""
        return self._done.get((case, fingerprint))

    def add(self, case: str, fingerprint: str, scores: Sequence[TurnScore]) -> None:
        """Keep the scores of a finished dialogue; the line is on its way to the disk when this returns."""
        self._done[case, fingerprint] = list(scores)
        if self._path is None:
            return
        line = {"case": case, "record": fingerprint, "turns": [turn_to_json(score) for score in scores]}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")


def record_fingerprint(record: QARecord) -> str:
    """Hexadecimal SHA-256 of a record as it is written; the files of picture and masks are not read."""
    text = json.dumps(record_to_json(record), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read_cases(folder: Path) -> list[TurnScore]:
    """The scores in the folder of an evaluation, in the order they were made; of a case that was asked twice, the last.

    Raises:
        InvalidInputError: there are none, or a line cannot be read.
    """
    path = folder / CASES
    if not path.exists():
        raise InvalidInputError(f"{folder}: expected the folder of an evaluation with {CASES}, found none. Name one.")
    cases: dict[str, list[TurnScore]] = {}
    for number, line in enumerate(_whole_lines(path), 1):
        (case, _), scores = _read_line(line, path, number)
        cases[case] = scores
    return [score for scores in cases.values() for score in scores]


def _agree(path: Path, setup: Any) -> None:
    asked = json.loads(json.dumps(to_json_value(setup, "setup")))
    if path.exists():
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise InvalidInputError(f"{path}: expected JSON, found a damaged file. Take an empty folder.") from None
        differing = differing_fields(stored, asked)
        if differing:
            raise InvalidInputError(
                f"{path}: expected the same segmenter and options as before, found others: {'; '.join(differing[:5])}. "
                "Take another folder, or remove this one."
            )
        return
    write_text_whole(path, json.dumps(asked, indent=1, ensure_ascii=False) + "\n")


def _whole_lines(path: Path) -> list[str]:
    """The lines that were written to their end; a torn last one counts as never written."""
    return path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]


def _read_line(line: str, path: Path, number: int) -> tuple[tuple[str, str], list[TurnScore]]:
    try:
        value = json.loads(line)
        return (value["case"], value["record"]), [turn_from_json(one) for one in value["turns"]]
    except (ValueError, KeyError, TypeError):
        raise InvalidInputError(
            f"{path}:{number}: expected a finished case, found another line. Remove it, and the case is asked again."
        ) from None
