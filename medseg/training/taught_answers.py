"""`TaughtAnswer`: one answer to learn from, with the dialogue before it as the model will have seen it.

Each assistant's turn of a dialogue is one. Earlier answers stand in plain words, without marks, as a reader saw them;
the picture stands in the first question. So training reads what inference reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from medseg.errors import RecordError
from medseg.grounding.seg_tokens import plain_answer
from medseg.inference.question import check_question
from medseg.training.records import Kind, QARecord, QATurn, record_to_json
from vlm_bridge.file_hashes import file_sha256
from vlm_bridge.finetune.records import ConversationRecord, RecordedTurn
from vlm_bridge.prompts.conversation import Conversation, Message
from vlm_bridge.prompts.special_tokens import SpecialTokens

NOTHING_SAID = "..."
"""Stands for an earlier answer that had marks and no words."""
ABSENT = ""
"""Key of a target that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaughtAnswer:
    """An answer, and what was asked and said before."""

    record: QARecord
    history: tuple[tuple[str, str], ...]
    """Earlier questions and answers, without marks."""
    question: str
    answer: str
    """With its marks."""
    targets: tuple[str, ...]
    """Keys of the record's targets, one per [SEG], in its order; `ABSENT` is something that is not there."""
    refers_to: tuple[str, ...]
    """Keys of the targets of earlier answers that the question builds upon."""
    kind: Kind | None
    """Of the question."""
    asked: tuple[str, ...] = ()
    """Names of what the question asks for, where that is known."""
    words_taught: bool = True
    """False for a [SEG] about something absent, which teaches presence and not to say so."""

    def conversation(self, picture: Image.Image) -> Conversation:
        """The whole dialogue with its picture, the answer last."""
        messages = []
        for question, answer in (*self.history, (self.question, self.answer)):
            messages.append(Message(role="user", text=question, images=() if messages else (picture,)))
            messages.append(Message(role="assistant", text=answer))
        return Conversation(messages=tuple(messages))

    def on_disk(self) -> ConversationRecord:
        """The same with the path of its picture, for what measures lengths without opening it."""
        path = self.record.file(self.record.image.path)
        turns = []
        for question, answer in (*self.history, (self.question, self.answer)):
            turns.append(RecordedTurn(role="user", text=question, images=() if turns else (path,)))
            turns.append(RecordedTurn(role="assistant", text=answer, images=()))
        return ConversationRecord(turns=tuple(turns), place=f"record {self.record.id}")


def taught_answers(
    records: Sequence[QARecord], *, absent_probes: bool = False, tokens: SpecialTokens = SpecialTokens()
) -> tuple[TaughtAnswer, ...]:
    """Every answer of the records, in order; with `absent_probes`, one more for each thing said to be absent.

    Raises:
        RecordError: a record is a volume, or a dialogue is not question and answer in turn, or an answer has another
            number of [SEG] than of targets, or names a target that the record has not got; or there is no answer.
    """
    found = [answer for record in records for answer in _of_record(record, tokens)]
    if not found:
        raise RecordError(
            f"Training: expected answers to learn from, found none in {len(records)} records. Add dialogues."
        )
    if not absent_probes:
        return tuple(found)
    forms = tuple(dict.fromkeys(one.answer for one in found if len(one.targets) == 1 and _phrase(one.answer, tokens)))
    probes = [probe for number, one in enumerate(found) for probe in _probes(one, forms, number, tokens)]
    return (*found, *probes)


def digest_of(answers: Sequence[TaughtAnswer]) -> str:
    """SHA-256 of what is learned from: dialogues, pictures and masks, wherever they lie."""
    digest = hashlib.sha256()
    hashes: dict[str, str] = {}
    seen: set[int] = set()
    for answer in answers:
        record = answer.record
        said = [answer.history, answer.question, answer.answer, answer.targets, answer.refers_to, answer.words_taught]
        digest.update(json.dumps(said).encode())
        if id(record) in seen:
            continue
        seen.add(id(record))
        digest.update(json.dumps(record_to_json(record), sort_keys=True, default=str).encode())
        for path in (record.image.path, *(one.mask.path for one in record.targets.values() if one.mask.path)):
            whole = str(record.file(path))
            if whole not in hashes:
                hashes[whole] = _file_hash(record, path)
            digest.update(hashes[whole].encode())
    return digest.hexdigest()


def _file_hash(record: QARecord, path: str) -> str:
    try:
        return file_sha256(record.file(path))
    except OSError:
        raise RecordError(
            f"Record {record.id}: expected a file at {path}, found none that can be read. Check the path."
        ) from None


def _of_record(record: QARecord, tokens: SpecialTokens) -> Iterator[TaughtAnswer]:
    if record.conversations and record.image.is_volume:
        raise RecordError(
            f"Record {record.id}: expected a picture, found a volume. Answers are learned from pictures; cut volumes "
            "into slices first."
        )
    for dialogue in record.conversations:
        history: list[tuple[str, str]] = []
        roles = [turn.role for turn in dialogue]
        if not roles or roles != ["user", "assistant"] * (len(roles) // 2):
            raise RecordError(
                f"Record {record.id}: expected user and assistant in turn, an answer last, found "
                f"{', '.join(roles[:6]) or 'no turn'}. Correct the dialogue."
            )
        for question, answer in zip(dialogue[::2], dialogue[1::2], strict=True):
            _check(record, question, answer, tokens)
            asked = check_question(question.text)[0]
            yield TaughtAnswer(
                record=record, history=tuple(history), question=asked, answer=answer.text, targets=answer.targets,
                refers_to=question.refers_to, kind=question.kind, asked=question.asked,
            )  # fmt: skip
            history.append((asked, plain_answer(answer.text, tokens)[0] or NOTHING_SAID))


def _check(record: QARecord, question: QATurn, answer: QATurn, tokens: SpecialTokens) -> None:
    marks = answer.text.count(tokens.seg)
    if marks != len(answer.targets):
        raise RecordError(
            f"Record {record.id}: expected one {tokens.seg} per target of an answer, found {marks} and "
            f"{len(answer.targets)} targets. Correct the answer, or run `medseg validate`."
        )
    if not answer.text.strip() or not question.text.strip():
        raise RecordError(f"Record {record.id}: expected turns with words, found an empty one. Fill or remove it.")
    if answer.text.startswith(tokens.seg):
        raise RecordError(
            f"Record {record.id}: expected a word before the first {tokens.seg}, found none. Begin with the phrase."
        )
    unknown = sorted({*answer.targets, *question.refers_to} - set(record.targets))
    if unknown:
        raise RecordError(
            f"Record {record.id}: expected targets among {', '.join(record.targets) or 'none'}, found "
            f"{', '.join(unknown)}. Add them, or correct the turn."
        )


def _probes(one: TaughtAnswer, forms: Sequence[str], number: int, tokens: SpecialTokens) -> Iterator[TaughtAnswer]:
    """A [SEG] about each thing that an answer says is not there, in the form of other answers."""
    if one.kind != "absent" or one.targets:
        return
    for place, name in enumerate(one.asked):
        phrase = f"{tokens.phrase_start}{name}{tokens.phrase_end}"
        form = forms[(number + place) % len(forms)] if forms else f"{phrase} {tokens.seg}"
        span = _phrase(form, tokens)
        said = form if span is None else f"{form[: span[0]]}{phrase}{form[span[1] :]}"
        yield replace(one, answer=said, targets=(ABSENT,), words_taught=False)


def _phrase(text: str, tokens: SpecialTokens) -> tuple[int, int] | None:
    """Where the one marked phrase of a text stands, with its marks."""
    first, last = text.find(tokens.phrase_start), text.find(tokens.phrase_end)
    single = text.count(tokens.phrase_start) == 1 and 0 <= first < last
    return (first, last + len(tokens.phrase_end)) if single else None
