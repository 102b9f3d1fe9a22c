from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.recipes.vlm_tiny import medical_sets
from medseg.errors import InvalidInputError, RecordError
from medseg.training.records import ImageFacts, QARecord
from medseg.training.splits import check_splits, held_out_patients, split_patients, split_records

PATIENTS = st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=40)


def record(patient: str, split: str = "", number: int = 0) -> QARecord:
    return QARecord(
        id=f"{patient}-{number}",
        patient=patient,
        image=ImageFacts(path="a.png"),
        targets={},
        conversations=(),
        split=split,
        folder=Path(),
    )


@given(st.text(max_size=12), PATIENTS, st.floats(0.05, 0.5))
def test_the_same_patients_as_in_the_recipe_of_the_backbone(name: str, patients: set[str], share: float) -> None:
    assert held_out_patients(name, patients, share) == medical_sets.held_out_patients(name, patients, share)
    assert held_out_patients(name, patients) == medical_sets.held_out_patients(name, patients)


@given(PATIENTS, st.floats(0.05, 0.4), st.sampled_from([0.0, 0.1, 0.3]))
def test_every_patient_is_in_one_split(patients: set[str], test: float, validation: float) -> None:
    split = split_patients("set", patients, test=test, validation=validation)
    assert set(split) == patients
    assert {one for one, name in split.items() if name == "test"} == held_out_patients("set", patients, test)
    assert split_patients("set", sorted(patients, reverse=True), test=test, validation=validation) == split


def test_records_of_a_patient_stay_together() -> None:
    records = [record(f"p{number % 7}", number=number) for number in range(40)]
    split = split_records(records, "set", validation=0.2)
    check_splits(split)
    assert {one.split for one in split} == {"train", "validation", "test"}


def test_a_patient_in_two_splits_is_found_and_not_named() -> None:
    with pytest.raises(RecordError, match="found 1 in several of test, train") as caught:
        check_splits([record("Smith", "train"), record("Smith", "test"), record("p2", "train")])
    assert "Smith" not in str(caught.value)


@pytest.mark.parametrize("shares", [(0.0, 0.0), (0.7, 0.3), (0.2, -0.1), (float("nan"), 0.0)])
def test_shares_leave_something_to_learn_from(shares: tuple[float, float]) -> None:
    with pytest.raises(InvalidInputError, match="something to learn from"):
        split_patients("set", {"a"}, test=shares[0], validation=shares[1])
