"""`record_of`: written conversations about a picture as a record; masks that lie in no file become run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medseg.errors import InvalidInputError
from medseg.training.question_writer.picture_facts import Conversation, Exchange, Mask
from medseg.training.records import Dialogue, ImageFacts, MaskFacts, QARecord, QATurn, TargetFacts
from medseg.training.run_length import encode_mask

GENERATOR = "medseg question writer 1"
_SIDES = {"left lung": "L", "right lung": "R"}


def record_of(
    conversations: Sequence[Conversation],
    image: ImageFacts,
    *,
    patient: str,
    name: str,
    files: Sequence[tuple[str, Mask, MaskFacts]] = (),
    folder: Path = Path(),
) -> QARecord:
    """A record without split and licence.

    Args:
        conversations: What was written about the picture.
        image: The picture or volume, its path relative to `folder`.
        patient: Opaque.
        name: Id of the record.
        files: Label, mask and place of each mask that lies in a file; all become targets, asked for or not.
        folder: Where the paths begin.

    Raises:
        InvalidInputError: an answer marks part of a volume that lies in no file.
    """
    targets: dict[str, TargetFacts] = {}
    masks: list[tuple[str, Mask]] = []

    def key_of(label: str, mask: Mask) -> str:
        for number, (known, other) in enumerate(masks, 1):
            if known == label and np.array_equal(other, mask):
                return f"t{number}"
        masks.append((label, mask))
        key = f"t{len(masks)}"
        place = next((facts for _, other, facts in files if np.array_equal(other, mask)), None)
        facts = place or _as_runs(label, mask)
        targets[key] = TargetFacts(label=label, mask=facts, laterality=_SIDES.get(label, ""))  # type: ignore[arg-type]
        return key

    for label, mask, _ in files:
        key_of(label, mask)
    keys = [
        [tuple(key_of(target.label, target.mask) for target in exchange.targets) for exchange in talk]
        for talk in conversations
    ]
    return QARecord(
        id=name,
        patient=patient,
        image=image,
        targets=targets,
        conversations=tuple(_dialogue(talk, marked) for talk, marked in zip(conversations, keys, strict=True)),
        qa={"generator": GENERATOR},
        folder=folder,
    )


def _as_runs(label: str, mask: Mask) -> MaskFacts:
    if mask.ndim != 2:
        raise InvalidInputError(
            f"Records: expected the mask of a volume's {label} to lie in a file, found it in none. Write it to one."
        )
    return MaskFacts(rle=encode_mask(mask), size=(mask.shape[0], mask.shape[1]))


def _dialogue(talk: Conversation, marked: Sequence[tuple[str, ...]]) -> Dialogue:
    turns: list[QATurn] = []
    for exchange, keys in zip(talk, marked, strict=True):
        refers_to = tuple(marked[earlier][target] for earlier, target in exchange.refers_to)
        turns += _turns(exchange, keys, refers_to)
    return tuple(turns)


def _turns(exchange: Exchange, keys: tuple[str, ...], refers_to: tuple[str, ...]) -> tuple[QATurn, QATurn]:
    question = QATurn(
        role="user",
        text=exchange.question,
        kind=exchange.kind,
        asked=exchange.asked,
        refers_to=refers_to,
        wording=exchange.wording,
    )
    return question, QATurn(role="assistant", text=exchange.answer, targets=keys)
