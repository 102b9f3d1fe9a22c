"""`build_dialogues`: a fixed set of dialogues about the pictures of records, for measuring how well turns are followed.

Each has two to four questions. The first marks something; the second is about `it` or `what you just marked`; those
after it go on, or ask for something else. Half of them are put in wordings that are kept out of training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from medseg.errors import InvalidInputError
from medseg.evaluation.case_input import set_name
from medseg.training.question_writer.catalogue import WRITERS
from medseg.training.question_writer.history_writer import write_history
from medseg.training.question_writer.picture_facts import Conversation, Exchange, Mask, PictureFacts
from medseg.training.question_writer.scene import Scene, read_scene
from medseg.training.question_writer.structures import STRUCTURES
from medseg.training.question_writer.templates import AGAIN
from medseg.training.question_writer.wordings import WordingChoice
from medseg.training.records import Kind, MaskFacts, QARecord, QATurn, TargetFacts, load_mask
from medseg.training.run_length import encode_mask

_FIRST: tuple[Kind, ...] = ("explicit", "implicit_anatomical", "multi", "implicit_pathological")
"""Not spatial: of a half nothing can be asked but to mark it again."""
_LATER: tuple[Kind, ...] = ("absent", "explicit", "text", "multi")
_TALKS_TRIED = 40
"""Per picture and round: many openers mark nothing that a second question could be about."""
_QUESTIONS_TRIED = 6
_ROUNDS = 30
_TURNS = (2, 3, 4)
_AGAIN = frozenset(one.id for one in AGAIN)
Rng = np.random.Generator


def build_dialogues(records: Sequence[QARecord], count: int = 100, *, seed: int = 0) -> list[QARecord]:
    """`count` records of one dialogue each; equal records and seed give equal dialogues.

    Sets of pictures take turns, so that none rules the figures; a picture is taken again only when all of its set were.
    Labels must be names of the question writer's table; other targets are not asked for.

    Raises:
        InvalidInputError: fewer dialogues can be made of these records.
        RecordError: a mask cannot be read.
    """
    sets: dict[str, list[QARecord]] = {}
    for record in records:
        sets.setdefault(set_name(record), []).append(record)
    sources = [_dialogues_of(found, seed) for _, found in sorted(sets.items())]
    built: list[QARecord] = []
    while sources and len(built) < count:
        for source in list(sources):
            dialogue = next(source, None)
            if dialogue is None:
                sources.remove(source)
            elif len(built) < count:
                built.append(replace(dialogue, id=f"dialogue-{len(built):03d}-{dialogue.id}"))
    if len(built) < count:
        raise InvalidInputError(
            f"Dialogues: expected records for {count}, found enough for {len(built)}. Give more records, or ask for "
            "fewer."
        )
    return built


def _dialogues_of(records: Sequence[QARecord], seed: int) -> Iterator[QARecord]:
    """Dialogues about the pictures of one set, round by round; ends after a round that gives none."""
    for turn in range(_ROUNDS):
        found = False
        for place, record in enumerate(records):
            number = int(hashlib.sha256(f"{seed}/{turn}/{record.id}".encode()).hexdigest()[:16], 16)
            choice: WordingChoice = "held_out" if (place + turn) % 2 else "train"
            dialogue = _dialogue_about(record, np.random.default_rng(number), choice, _TURNS[(place + turn) % 3])
            if dialogue is not None:
                found = True
                yield dialogue
        if not found:
            return


def _dialogue_about(record: QARecord, rng: Rng, choice: WordingChoice, turns: int) -> QARecord | None:
    masks = {one.label: load_mask(record, key) for key, one in record.targets.items() if one.label in STRUCTURES}
    if not masks:
        return None
    # What the labels leave out may be there: nothing of the same body part is asked for in vain.
    facts = PictureFacts(modality=record.image.modality, body_part=record.image.body_part, masks=masks, complete=False)
    scene = read_scene(facts)
    for _ in range(_TALKS_TRIED):
        talk = _talk(scene, rng, choice, turns)
        written = None if talk is None else _as_record(record, talk, masks)
        if written is not None:
            return written
    return None


def _talk(scene: Scene, rng: Rng, choice: WordingChoice, turns: int) -> Conversation | None:
    first = _one_of(_FIRST, scene, rng, choice)
    second = _follow_up(scene, (first,), rng, choice) if first is not None and first.targets else None
    if first is None or second is None:
        return None
    talk: Conversation = (first, second)
    for _ in range(_QUESTIONS_TRIED):
        if len(talk) == turns:
            break
        history = _follow_up(scene, talk, rng, choice) if rng.random() < 0.5 else None
        following = history or _one_of(_LATER, scene, rng, choice)
        if following is not None and all(following.question != earlier.question for earlier in talk):
            talk = (*talk, following)
    return talk


def _follow_up(scene: Scene, talk: Conversation, rng: Rng, choice: WordingChoice) -> Exchange | None:
    """A question about what was marked; `again`, which any mask answers as well as the first did, only for want of one
    that asks for something of it.
    """
    found = None
    for _ in range(_QUESTIONS_TRIED):
        found = write_history(scene, talk, rng, choice)
        if found is None or found.wording not in _AGAIN:
            break
    return found


def _one_of(kinds: Sequence[Kind], scene: Scene, rng: Rng, choice: WordingChoice) -> Exchange | None:
    return WRITERS[kinds[int(rng.integers(len(kinds)))]](scene, rng, choice)


def _as_record(record: QARecord, talk: Conversation, masks: dict[str, Mask]) -> QARecord | None:
    """The dialogue as a record; None where a mask of a volume is none of the record's own."""
    targets: dict[str, TargetFacts] = {}
    keys: list[list[str]] = []
    for exchange in talk:
        row = []
        for target in exchange.targets:
            facts = _target_facts(record, target.label, target.mask, masks)
            if facts is None:
                return None
            same = [key for key, one in targets.items() if one == facts]
            key = same[0] if same else f"t{len(targets) + 1}"
            targets[key] = facts
            row.append(key)
        keys.append(row)
    # What the record knows to be there stays known, asked for or not.
    for one in record.targets.values():
        if one not in targets.values():
            targets[f"t{len(targets) + 1}"] = one
    turns = [turn for exchange, row in zip(talk, keys, strict=True) for turn in _turns(exchange, row, keys)]
    qa = {"generator": "medseg.evaluation.dialogues", "set": set_name(record)}
    return replace(record, targets=targets, conversations=(tuple(turns),), qa=qa)


def _turns(exchange: Exchange, row: list[str], keys: list[list[str]]) -> tuple[QATurn, QATurn]:
    asked = QATurn(
        role="user",
        text=exchange.question,
        kind=exchange.kind,
        asked=exchange.asked,
        refers_to=tuple(keys[place][number] for place, number in exchange.refers_to),
        wording=exchange.wording,
    )
    return asked, QATurn(role="assistant", text=exchange.answer, targets=tuple(row))


def _target_facts(record: QARecord, label: str, mask: Mask, masks: dict[str, Mask]) -> TargetFacts | None:
    if label in masks and np.array_equal(masks[label], mask):
        return next(one for one in record.targets.values() if one.label == label)
    if mask.ndim != 2:
        return None
    height, width = mask.shape
    return TargetFacts(label=label, mask=MaskFacts(rle=encode_mask(mask), size=(height, width)))
