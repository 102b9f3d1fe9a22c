"""`ask_dialogue`: the questions of one dialogue put to a segmenter, its own way and with reference answers given.

Generated: each question goes through `segment`, gates and all, as a user meets it, with the segmenter's own answers as
history. Forced: the segmenter marks the reference answer, no gate in between, with reference answers in words as
history and the masks it made for them itself. A true mask is never handed in: "again" would only ask to copy it.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from medseg.errors import InvalidInputError, SegmenterError
from medseg.evaluation.answer_rules import words_of
from medseg.evaluation.case_input import CaseInput, questions_of, set_name
from medseg.evaluation.score_turn import Expected, Grid, Question, SaidAnswer, Shown, score_turn
from medseg.evaluation.turn_score import TurnScore
from medseg.evaluation.wording import wording_group
from medseg.inference.segment import SegmentConfig, segment, turn_of
from medseg.inference.segmenter import ForcedSegmenter, Segmenter, Turn
from medseg.study.volume import Volume
from medseg.training.records import SEG, Dialogue, QARecord, QATurn


def ask_dialogue(
    segmenter: Segmenter,
    record: QARecord,
    number: int,
    opened: CaseInput,
    grid: Grid,
    *,
    gates: SegmentConfig = SegmentConfig(),
    forced: bool = True,
) -> list[TurnScore]:
    """Scores of dialogue `number` of a record, per question the generated one and, where it can be had, the forced one.

    A question that the segmenter cannot answer (its error) counts as answered by nothing, and the score keeps the
    message.

    Raises:
        RecordError: the dialogue is not one of question and answer in turn.
    """
    dialogue = record.conversations[number]
    scores = []
    own: list[Turn] = []
    given: list[Turn] = []
    for place, (asked, answered) in enumerate(questions_of(record, dialogue)):
        question = _question(record, number, place, asked)
        expected = _expected(record, opened, asked, answered)
        said, turn = _answered(segmenter, opened.volume, asked.text, own, gates)
        scores.append(score_turn(question, "generated", said, expected, grid))
        own.append(turn)
        marked: tuple[Shown, ...] = ()
        if forced and isinstance(segmenter, ForcedSegmenter) and SEG in answered.text:
            said = _grounded(segmenter, opened.volume, asked.text, given, answered.text)
            scores.append(score_turn(question, "forced", said, expected, grid))
            marked = said.shown
        masks = tuple(one.mask for one in marked)
        given.append(Turn(question=asked.text, answer=words_of(answered.text), masks=masks))
    return scores


def case_name(record: QARecord, number: int) -> str:
    """Name of a dialogue of a record.

    Example:
        >>> from medseg.training.records import ImageFacts
        >>> image = ImageFacts(path="a.png")
        >>> case_name(QARecord(id="a", patient="p", image=image, targets={}, conversations=()), 1)
        'a#1'
    """
    return f"{record.id}#{number}"


def count_questions(dialogue: Dialogue) -> int:
    """How many questions a dialogue holds."""
    return sum(turn.role == "user" for turn in dialogue)


def _question(record: QARecord, number: int, place: int, asked: QATurn) -> Question:
    return Question(
        case=case_name(record, number),
        patient=record.patient,
        set=set_name(record),
        turn=place + 1,
        kind=asked.kind or "unknown",
        wording=wording_group(asked.wording),
        text=asked.text,
    )


def _expected(record: QARecord, opened: CaseInput, asked: QATurn, answered: QATurn) -> Expected:
    there = [key for key, mask in opened.masks.items() if mask.any()]
    return Expected(
        text=answered.text,
        targets=tuple((record.targets[key].label, opened.masks[key]) for key in answered.targets if key in there),
        asked=asked.asked,
        known=tuple(record.targets[key].label for key in there),
    )


def _answered(
    segmenter: Segmenter, volume: Volume, question: str, history: Sequence[Turn], gates: SegmentConfig
) -> tuple[SaidAnswer, Turn]:
    """What came back, and the turn of the dialogue that it makes."""
    begin = perf_counter()
    try:
        result = segment(segmenter, volume, question, history, config=gates)
    except (SegmenterError, InvalidInputError) as error:
        said = SaidAnswer(text="", seconds=perf_counter() - begin, error=str(error))
        return said, Turn(question=question, answer="")
    seconds = perf_counter() - begin
    shown = [
        Shown(
            label=finding.label,
            mask=finding.mask,
            score=finding.presence * finding.quality,
            uncertain=finding.status == "uncertain",
        )
        for finding in result.findings
        if finding.status != "not_found"
    ]
    withheld = [finding.label for finding in result.findings if finding.status == "not_found"]
    said = SaidAnswer(text=result.text, shown=tuple(shown), withheld=tuple(withheld), seconds=seconds)
    return said, turn_of(result)


def _grounded(
    segmenter: ForcedSegmenter, volume: Volume, question: str, history: Sequence[Turn], text: str
) -> SaidAnswer:
    begin = perf_counter()
    try:
        answer = segmenter.ground_answer(volume, question, history, text)
        for target in answer.targets:
            if target.mask.shape != volume.shape or target.mask.dtype != bool:
                raise SegmenterError(
                    f"Segmenter {segmenter.facts.name!r}: expected masks of booleans on {volume.shape}, found "
                    f"{target.mask.dtype} of {target.mask.shape}. Mend ground_answer."
                )
    except (SegmenterError, InvalidInputError) as error:
        return SaidAnswer(text=text, seconds=perf_counter() - begin, error=str(error))
    seconds = perf_counter() - begin
    shown = [
        Shown(label=target.label, mask=target.mask, score=float(target.presence * target.quality))
        for target in answer.targets
    ]
    return SaidAnswer(text=text, shown=tuple(shown), seconds=seconds)
