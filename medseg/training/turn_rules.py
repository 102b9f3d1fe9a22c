"""Rules that the text of a record must keep: turns, marks, targets, absence, sides, privacy, licence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from medseg.training.licences import is_known_licence
from medseg.training.private_text import private_signs
from medseg.training.records import SEG, Dialogue, QARecord, QATurn

Found = Iterator[tuple[str, str]]
"""Name of the rule, and what is wrong."""
REVIEWS = ("accepted", "edited", "rejected")
_MARKUP = re.compile(r"\[SEG\]|</?p>", re.IGNORECASE)
_GROUNDED = re.compile(r"<p>\s*([^<>]+?)\s*</p>\s*\[SEG\]")
_SIDE = re.compile(r"(?<!image-)\b(left|right)\b", re.IGNORECASE)
_HEART = re.compile(r"\b(ventric\w+|atri\w+|auricle)\b", re.IGNORECASE)
_OPAQUE = re.compile(r"[\w.+-]{1,128}")


def turn_problems(record: QARecord) -> Found:
    """What is wrong with the dialogues of a record."""
    for number, dialogue in enumerate(record.conversations, 1):
        place = f"dialogue {number}" if len(record.conversations) > 1 else "dialogue"
        yield from _order(dialogue, place)
        marked: set[str] = set()
        for step, turn in enumerate(dialogue, 1):
            where = f"{place}, turn {step}"
            if turn.role == "user":
                yield from _question(turn, where, marked)
            else:
                yield from _answer(record, turn, where)
                marked |= set(turn.targets)
    if not record.conversations:
        yield "turns", "expected at least a question and an answer, found none"


def _order(dialogue: Dialogue, place: str) -> Found:
    roles = [turn.role for turn in dialogue]
    if len(roles) % 2 or any(role != ("user", "assistant")[step % 2] for step, role in enumerate(roles)):
        yield "turns", f"{place}: expected user and assistant in turn, ending with an answer, found {len(roles)} turns"


def _question(turn: QATurn, where: str, marked: set[str]) -> Found:
    if _MARKUP.search(turn.text):
        yield "user_markup", f"{where}: expected a question without [SEG], <p> and </p>, found some"
    if turn.targets:
        yield "user_targets", f"{where}: expected targets in answers only, found {len(turn.targets)} in a question"
    unknown = set(turn.refers_to) - marked
    if unknown:
        yield "refers_to", f"{where}: expected targets of earlier answers, found {', '.join(sorted(unknown))}"


def _answer(record: QARecord, turn: QATurn, where: str) -> Found:
    count = turn.text.count(SEG)
    if count != len(turn.targets):
        yield "seg_count", f"{where}: expected one [SEG] per target, found {count} for {len(turn.targets)} targets"
    phrases = _GROUNDED.findall(turn.text)
    if len(phrases) != count or turn.text.count("<p>") != count or turn.text.count("</p>") != count:
        yield "phrase_form", f"{where}: expected <p>phrase</p> before each [SEG] and nowhere else, found another form"
    unknown = [key for key in turn.targets if key not in record.targets]
    if unknown:
        yield "unknown_target", f"{where}: expected targets of the record, found {', '.join(unknown)}"
    for phrase, key in zip(phrases, turn.targets, strict=False):
        target = record.targets.get(key)
        side = _side_of(phrase)
        if target is not None and target.laterality and side and side != target.laterality:
            yield "laterality", f"{where}: expected the side of target {key} ({target.laterality}), found the other one"


def _side_of(phrase: str) -> str:
    sides = {word.upper()[0] for word in _SIDE.findall(phrase)}
    # the left ventricle is no ventricle of the patient's left side
    return sides.pop() if len(sides) == 1 and not _HEART.search(phrase) else ""


def label_problems(record: QARecord) -> Found:
    """What is wrong with the targets' own words."""
    for key, target in record.targets.items():
        side = _side_of(target.label)
        if target.laterality and side and side != target.laterality:
            yield "laterality", f"target {key}: expected the side of its label, found laterality {target.laterality}"


def absence_problems(record: QARecord, present: Mapping[str, bool]) -> Found:
    """Targets told to be absent and there, or marked and not there; `present` says whose mask holds
    anything; nothing is said of a target that it lacks."""
    for number, dialogue in enumerate(record.conversations, 1):
        for step, turn in enumerate(dialogue, 1):
            where = f"dialogue {number}, turn {step}"
            if turn.role == "assistant":
                empty = [key for key in turn.targets if present.get(key) is False]
                if empty:
                    yield "absent_marked", f"{where}: expected targets that are there, found empty {', '.join(empty)}"
            elif turn.kind == "absent":
                yield from _absent(record, dialogue, step, where, present)


def _absent(record: QARecord, dialogue: Dialogue, step: int, where: str, present: Mapping[str, bool]) -> Found:
    turn = dialogue[step - 1]
    if step < len(dialogue) and dialogue[step].targets:
        yield (
            "absent_marked",
            f"{where}: expected a refusal of what is absent, found {len(dialogue[step].targets)} masks",
        )
    for key, target in record.targets.items():
        if not present.get(key):
            continue
        named = (
            target.label.lower() in {name.lower() for name in turn.asked} if turn.asked else _names(turn, target.label)
        )
        if named:
            yield "absent_present", f"{where}: expected something that is not there, found target {key}, which is"


def _names(turn: QATurn, label: str) -> bool:
    return re.search(rf"\b{re.escape(label.lower())}\b", turn.text.lower()) is not None


def privacy_problems(record: QARecord) -> Found:
    """Text that may tell who the patient is; it is not repeated."""
    for name, text in _texts(record):
        for sign in private_signs(text):
            yield "private_text", f"{name}: expected nothing that tells who the patient is, found {sign}"
    for name in ("id", "patient", "study"):
        value = getattr(record, name)
        if value and not _OPAQUE.fullmatch(value):
            yield "opaque_id", f"{name}: expected letters, digits, dots, dashes and underscores, found something else"


def _texts(record: QARecord) -> Iterator[tuple[str, str]]:
    yield from (("id", record.id), ("patient", record.patient), ("study", record.study))
    yield from ((f"target {key}", target.label) for key, target in record.targets.items())
    for number, dialogue in enumerate(record.conversations, 1):
        for step, turn in enumerate(dialogue, 1):
            yield f"dialogue {number}, turn {step}", turn.text
    yield "image.body_part", record.image.body_part
    yield from _strings("image.source", record.image.source or {})
    # the date of a review is no date of a patient
    yield from _strings("qa", {key: value for key, value in record.qa.items() if key != "date"})


def _strings(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _strings(f"{name}.{key}" if str(key).isidentifier() else name, inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(name, inner)


def terms_problems(record: QARecord) -> Found:
    """What is wrong with licence, review and spacing."""
    if not is_known_licence(record.licence):
        found = "none" if not record.licence else "another one"
        yield "licence", f"expected a licence by its SPDX id, or LicenseRef- for other terms, found {found}"
    review = record.qa.get("review")
    if review is not None and review not in REVIEWS:
        yield "review", f"expected qa.review {', '.join(REVIEWS)}, found something else"
    spacing = record.image.spacing_mm
    if spacing is not None and (
        len(spacing) != (3 if record.image.is_volume else 2) or not all(0 < one < float("inf") for one in spacing)
    ):
        yield "spacing", f"expected one spacing above 0 mm per axis, found {len(spacing)} numbers or one that is not"
