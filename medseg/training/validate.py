"""`validate_records`: every problem of files of records, with file and line, and counts of what they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import RecordError
from medseg.training.mask_rules import file_problems
from medseg.training.records import QARecord, numbered_lines, parse_record
from medseg.training.splits import patients_in_two_splits
from medseg.training.turn_rules import (
    absence_problems,
    label_problems,
    privacy_problems,
    terms_problems,
    turn_problems,
)

RULES: Mapping[str, str] = {
    "file": "a file of records can be read",
    "schema": "each line is an object of schema medseg-qa/1",
    "id": "no id stands twice",
    "turns": "user and assistant speak in turn, and the assistant last",
    "user_markup": "no question holds [SEG], <p> or </p>",
    "user_targets": "only answers have targets",
    "refers_to": "a question builds upon targets that were marked before",
    "seg_count": "an answer has one [SEG] per target",
    "phrase_form": "each [SEG] follows a <p>phrase</p>",
    "unknown_target": "an answer marks targets of its record",
    "absent_marked": "nothing is marked that is absent",
    "absent_present": "nothing is told to be absent that is there",
    "laterality": "left and right agree with each other and with the masks, on the patient's side",
    "image": "the picture or volume can be read",
    "mask": "each mask can be read",
    "mask_binary": "a mask without a value is binary",
    "mask_size": "a mask has the size of its picture",
    "split": "no patient is in two splits",
    "private_text": "no text tells who the patient is",
    "opaque_id": "ids are opaque",
    "licence": "the licence is known",
    "review": "the review is one of the three words",
    "spacing": "there is one spacing above 0 per axis",
}
"""Rule -> what it asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordProblem:
    """One broken rule."""

    file: str
    line: int
    """From 1; 0 where the whole file is meant."""
    rule: str
    """A key of `RULES`."""
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationReport:
    """What files of records hold, and what is wrong with them."""

    problems: tuple[RecordProblem, ...]
    """In the order of files and lines."""
    records: int
    patients: int
    targets: int
    questions: Mapping[str, int]
    """Kind -> questions of it; `unknown` for those without a kind."""
    splits: Mapping[str, int]
    """Split -> records of it; `none` for those without one."""

    @property
    def exit_code(self) -> int:
        """0 where nothing is wrong, else 1."""
        return 1 if self.problems else 0

    def summary(self) -> str:
        """Counts in one line per sort."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.questions.items()) or "none"
        splits = ", ".join(f"{count} {split}" for split, count in self.splits.items()) or "none"
        return (
            f"{self.records} records of {self.patients} patients, {self.targets} targets\n"
            f"questions: {kinds}\nsplits: {splits}\nproblems: {len(self.problems)}"
        )


def validate_records(paths: Sequence[str | Path], *, open_files: bool = True) -> ValidationReport:
    """Every broken rule of the records of some files, which are read as one set.

    Nothing of what the records say is repeated in a problem but keys and counts, as the text may be private.

    Args:
        paths: JSON Lines files.
        open_files: Whether to open pictures and masks as well; without, only the lines are checked.
    """
    problems: list[RecordProblem] = []
    records: list[tuple[str, int, QARecord]] = []
    for path in map(Path, paths):
        records += _parsed(path, problems)
    for file, line, record in records:
        problems += [
            RecordProblem(file=file, line=line, rule=rule, text=text)
            for rule, text in _problems_of(record, open_files=open_files)
        ]
    problems += _across(records)
    order = {str(path): place for place, path in enumerate(paths)}
    problems.sort(key=lambda problem: (order[problem.file], problem.line))
    return _report(records, problems)


def _parsed(path: Path, problems: list[RecordProblem]) -> list[tuple[str, int, QARecord]]:
    file, records = str(path), []
    try:
        lines = list(numbered_lines(path))
    except RecordError as error:
        text = str(error).removeprefix(f"{file}: ")
        problems.append(RecordProblem(file=file, line=0, rule="file", text=text))
        return []
    for number, line in lines:
        try:
            records.append((file, number, parse_record(line, path.parent)))
        except RecordError as error:
            problems.append(RecordProblem(file=file, line=number, rule="schema", text=str(error)))
    return records


def _problems_of(record: QARecord, *, open_files: bool) -> list[tuple[str, str]]:
    found = [
        *turn_problems(record),
        *label_problems(record),
        *privacy_problems(record),
        *terms_problems(record),
    ]
    present: dict[str, bool] = {}
    if open_files:
        present, problems = file_problems(record)
        found += problems
    return [*found, *absence_problems(record, present)]


def _across(records: Sequence[tuple[str, int, QARecord]]) -> list[RecordProblem]:
    doubled = patients_in_two_splits(record for _, _, record in records)
    first: dict[str, tuple[str, int]] = {}
    found = []
    for file, line, record in records:
        if record.patient in doubled:
            text = f"expected each patient in one split, found this one in {', '.join(doubled[record.patient])}"
            found.append(RecordProblem(file=file, line=line, rule="split", text=text))
        if record.id in first:
            other, number = first[record.id]
            text = f"expected an id of its own, found that of {other}:{number}"
            found.append(RecordProblem(file=file, line=line, rule="id", text=text))
        first.setdefault(record.id, (file, line))
    return found


def _report(records: Sequence[tuple[str, int, QARecord]], problems: Sequence[RecordProblem]) -> ValidationReport:
    turns = [turn for _, _, record in records for dialogue in record.conversations for turn in dialogue]
    return ValidationReport(
        problems=tuple(problems),
        records=len(records),
        patients=len({record.patient for _, _, record in records}),
        targets=sum(len(record.targets) for _, _, record in records),
        questions=Counter(turn.kind or "unknown" for turn in turns if turn.role == "user"),
        splits=Counter(record.split or "none" for _, _, record in records),
    )
