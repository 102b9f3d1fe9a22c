"""Splits by patient: the same in every run and on every machine, and never one patient in two of them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from medseg.errors import InvalidInputError, RecordError
from medseg.training.records import QARecord

TRAIN, VALIDATION, TEST = "train", "validation", "test"
TEST_SHARE = 0.2


def ordered_patients(name: str, patients: Collection[str]) -> list[str]:
    """The patients of a set in the order of a hash of set and patient: mixed, and the same every time."""
    return sorted(set(patients), key=lambda patient: hashlib.sha256(f"{name}/{patient}".encode()).hexdigest())


def held_out_patients(name: str, patients: Collection[str], share: float = TEST_SHARE) -> set[str]:
    """Patients of a set kept for tests: a share of them, at least one.

    Example:
        >>> sorted(held_out_patients("lungs", {f"p{number}" for number in range(10)}))
        ['p4', 'p6']
    """
    ordered = ordered_patients(name, patients)
    return set(ordered[: max(1, round(share * len(ordered)))])


def split_patients(
    name: str, patients: Collection[str], *, test: float = TEST_SHARE, validation: float = 0.0
) -> dict[str, str]:
    """Patient -> `test`, `validation` or `train`; the test patients are those of `held_out_patients`.

    At least one patient is tested on, and at least one validated on where that share is above 0.

    Raises:
        InvalidInputError: the shares leave nothing to learn from.
    """
    if not (validation >= 0 and test > 0 and test + validation < 1):
        raise InvalidInputError(
            f"Splits: expected shares of 0-1 that leave something to learn from, found test {test} and validation "
            f"{validation}. Make them smaller."
        )
    ordered = ordered_patients(name, patients)
    tested = max(1, round(test * len(ordered)))
    validated = max(1, round(validation * len(ordered))) if validation else 0
    names = [TEST] * tested + [VALIDATION] * validated + [TRAIN] * len(ordered)
    return dict(zip(ordered, names, strict=False))


def split_records(
    records: Sequence[QARecord], name: str, *, test: float = TEST_SHARE, validation: float = 0.0
) -> list[QARecord]:
    """The records of one set with their splits, by patient; splits they had are replaced.

    Raises:
        InvalidInputError: the shares leave nothing to learn from.
    """
    split = split_patients(name, {record.patient for record in records}, test=test, validation=validation)
    return [replace(record, split=split[record.patient]) for record in records]


def patients_in_two_splits(records: Iterable[QARecord]) -> Mapping[str, tuple[str, ...]]:
    """Patient -> the splits that share him or her, where there are several; records without a split are left out."""
    splits: dict[str, set[str]] = {}
    for record in records:
        if record.split:
            splits.setdefault(record.patient, set()).add(record.split)
    return {patient: tuple(sorted(names)) for patient, names in splits.items() if len(names) > 1}


def check_splits(records: Iterable[QARecord]) -> None:
    """Nothing where no patient is in two splits.

    Raises:
        RecordError: some are; the message counts them and names the splits.
    """
    doubled = patients_in_two_splits(records)
    if doubled:
        names = sorted({name for splits in doubled.values() for name in splits})
        raise RecordError(
            f"Splits: expected each patient in one split, found {len(doubled)} in several of {', '.join(names)}. "
            "Split by patient (split_records)."
        )
