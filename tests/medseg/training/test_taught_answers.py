"""Dialogues as answers to learn from: what stands before each, which records are refused, and where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from medseg.errors import RecordError
from medseg.training.answer_items import load_answer
from medseg.training.prepared_data import by_split, check_patients
from medseg.training.records import (
    ImageFacts,
    MaskFacts,
    QARecord,
    QATurn,
    TargetFacts,
    read_qa_records,
    write_qa_records,
)
from medseg.training.taught_answers import ABSENT, digest_of, taught_answers
from tests.medseg.training.shapes import turns, write_shapes


@pytest.fixture
def record(tmp_path: Path) -> QARecord:
    return write_shapes(tmp_path, 1)[0]


def with_turns(record: QARecord, *dialogues: tuple[QATurn, ...]) -> QARecord:
    return replace(record, conversations=dialogues)


def test_each_answer_has_the_dialogue_before_it_in_plain_words(record: QARecord) -> None:
    first, second = taught_answers([record])[:2]
    assert (first.history, first.answer) == ((), "<p>big</p> [SEG]")
    assert second.history == ((first.question, "big"),)
    assert (second.targets, second.refers_to, second.kind) == (("half",), ("big",), "history")
    messages = second.conversation(Image.new("RGB", (4, 4))).messages
    assert [message.text for message in messages] == [
        first.question, "big", second.question, "<p>half</p> [SEG]",
    ]  # fmt: skip
    assert [len(message.images) for message in messages] == [1, 0, 0, 0]


def test_questions_are_cleaned_as_inference_cleans_them(record: QARecord) -> None:
    (found,) = taught_answers([with_turns(record, turns("  the\x00disc? ", "No."))])
    assert found.question == "the disc?"


def test_an_answer_of_marks_alone_leaves_something_in_the_history(record: QARecord) -> None:
    both = (*turns("Mark it.", "<p></p> [SEG]", ("big",)), *turns("More?", "No."))
    assert taught_answers([with_turns(record, both)])[1].history == (("Mark it.", "..."),)


def test_absent_things_are_probed_without_teaching_the_words(record: QARecord) -> None:
    plain, probed = (taught_answers([record], absent_probes=asked) for asked in (False, True))
    (probe,) = probed[len(plain) :]
    assert probed[: len(plain)] == plain
    assert (probe.targets, probe.words_taught) == ((ABSENT,), False)
    assert probe.answer.count("[SEG]") == 1
    assert "<p>square</p>" in probe.answer
    assert any(probe.answer.replace("square", name) == one.answer for one in plain for name in ("big", "half", "small"))
    loaded = load_answer(probe)
    assert (loaded.present, bool(loaded.masks[0].any())) == ((False,), False)


def test_a_probe_needs_no_other_answers(record: QARecord) -> None:
    alone = with_turns(record, turns("A square?", "No.", kind="absent", asked=("square",)))
    assert taught_answers([alone], absent_probes=True)[1].answer == "<p>square</p> [SEG]"


@pytest.mark.parametrize(
    ("dialogue", "message"),
    [
        (turns("Mark.", "The <p>disc</p> [SEG] and [SEG].", ("big",)), "found 2 and 1 targets"),
        (turns("Mark.", "No disc.", ("big",)), "found 0 and 1 targets"),
        (turns("Mark.", "The <p>disc</p> [SEG].", ("t9",)), "expected targets among big, small, half, found t9"),
        (turns("Mark.", "A [SEG].", ("half",), refers_to=("t8",)), "found t8"),
        (turns("Mark.", "[SEG]", ("big",)), "expected a word before the first"),
        (turns("Mark.", " "), "expected turns with words"),
        (turns("Mark.", "No.")[:1], "an answer last, found user"),
        (turns("Mark.", "No.")[::-1], "found assistant, user"),
        ((), "found no turn"),
    ],
)
def test_wrong_dialogues_are_refused_by_record(record: QARecord, dialogue: tuple[QATurn, ...], message: str) -> None:
    with pytest.raises(RecordError, match=message) as found:
        taught_answers([with_turns(record, dialogue)])
    assert str(found.value).startswith("Record shapes-0:")
    assert record.patient not in str(found.value).replace("shapes-0", "").split()


def test_volumes_are_refused(record: QARecord) -> None:
    volume = replace(record, image=ImageFacts(path="study.nii.gz"))
    with pytest.raises(RecordError, match="expected a picture, found a volume"):
        taught_answers([volume])


def test_records_without_dialogues_are_too_little(record: QARecord) -> None:
    with pytest.raises(RecordError, match="found none in 2 records"):
        taught_answers([with_turns(record), with_turns(record)])


def test_a_mask_of_another_size_is_refused(record: QARecord) -> None:
    targets = {**record.targets, "big": TargetFacts(label="x", mask=MaskFacts(rle=(4,), size=(2, 2)))}
    answer = taught_answers([replace(record, targets=targets)])[0]
    with pytest.raises(RecordError, match=r"expected a mask of \(64, 64\) pixels as the picture, found \(2, 2\)"):
        load_answer(answer)


def test_a_file_that_is_gone_is_named(record: QARecord) -> None:
    record.file("0_big.png").unlink()
    with pytest.raises(RecordError, match=r"expected a file at 0_big\.png"):
        digest_of(taught_answers([record]))


def test_the_digest_tells_pictures_masks_and_words_and_not_where_they_lie(tmp_path: Path) -> None:
    (one,), (other,) = write_shapes(tmp_path / "a", 1), write_shapes(tmp_path / "b", 1)
    first = digest_of(taught_answers([one]))
    assert first == digest_of(taught_answers([other]))
    other.file("0_half.png").write_bytes(one.file("0_big.png").read_bytes())
    assert first != digest_of(taught_answers([other]))
    changed = with_turns(one, turns("What?", "Discs."), *one.conversations[1:])
    assert first != digest_of(taught_answers([changed]))


def test_no_patient_is_learned_from_and_validated_on(tmp_path: Path) -> None:
    records = write_shapes(tmp_path, 6)  # patients p0 p1 p2 p3 p0 p1
    check_patients(records[:2], records[2:4])
    with pytest.raises(RecordError, match="expected each patient in one split, found 2"):
        check_patients(records[:2], records[2:])
    tested = [replace(records[2], split="test")]
    with pytest.raises(RecordError, match="expected records of the split train, found 1 of others, as shapes-2"):
        check_patients(tested, ())


def test_splits_say_what_is_learned_from(tmp_path: Path) -> None:
    records = [
        replace(one, split=split)
        for one, split in zip(write_shapes(tmp_path, 4), ("", "train", "validation", "test"), strict=True)
    ]
    learned, held_out = by_split(records)
    assert [one.id for one in learned] == ["shapes-0", "shapes-1"]
    assert [one.id for one in held_out] == ["shapes-2"]


def test_records_from_a_file_are_the_same(tmp_path: Path) -> None:
    records = write_shapes(tmp_path / "data", 2)
    path = write_qa_records(records, tmp_path / "records.jsonl")
    assert [one.answer for one in taught_answers(read_qa_records(path))] == [
        one.answer for one in taught_answers(records)
    ]
