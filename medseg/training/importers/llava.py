"""LLaVA conversations whose answers hold `<mask>path</mask>`, as MedPLIB writes them: one JSON list of pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from medseg.training.importers.importer import ImportOptions, checked, expect, opaque, read_json, unmarked
from medseg.training.records import ImageFacts, MaskFacts, QARecord, QATurn, TargetFacts

_MASK = re.compile(r"<mask>\s*(.*?)\s*</mask>", re.DOTALL)
_PHRASE_BEFORE = re.compile(r"<p>\s*([^<>]+?)\s*</p>\s*$")
_NAMELESS = "region"
_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}


def import_llava(path: Path, options: ImportOptions) -> list[QARecord]:
    """One record per entry of the list; its turns are one dialogue. A mask without a phrase is called `region`.

    Raises:
        RecordError: an entry is of another format, or a question holds a mask (regions to ask about are not read).
    """
    entries = read_json(path)
    expect(isinstance(entries, list), str(path), "a list of entries with image and conversations")
    return [_record(entry, f"{path}: entry {number}", path, options) for number, entry in enumerate(entries)]


def _record(entry: Any, place: str, path: Path, options: ImportOptions) -> QARecord:
    right = isinstance(entry, dict) and isinstance(entry.get("image"), str)
    expect(right and isinstance(entry.get("conversations"), list), place, "an image and conversations")
    targets: dict[str, TargetFacts] = {}
    turns = tuple(_turn(turn, place, targets) for turn in entry["conversations"])
    name = opaque(str(entry.get("id") or Path(entry["image"]).stem))
    record = QARecord(
        id=name,
        patient=opaque(str(entry.get("patient") or Path(entry["image"]).stem)),
        image=ImageFacts(path=entry["image"], modality=options.modality, body_part=options.body_part),
        targets=targets,
        conversations=(turns,),
        licence=options.licence,
        qa={"generator": "LLaVA conversations"},
        folder=options.images or path.parent,
    )
    return checked(record, place)


def _turn(turn: Any, place: str, targets: dict[str, TargetFacts]) -> QATurn:
    expect(isinstance(turn, dict) and isinstance(turn.get("value"), str), place, "turns with from and value")
    role, text = _ROLES.get(str(turn.get("from")), ""), turn["value"]
    expect(bool(role), place, "turns from human and gpt")
    if role == "user":
        expect(not _MASK.search(text), place, "questions without masks")
        return QATurn(role="user", text=unmarked(text))
    keys, written, last = [], "", 0
    for found in _MASK.finditer(text):
        before = text[last : found.start()]
        phrase = _PHRASE_BEFORE.search(before)
        label = phrase[1] if phrase else _NAMELESS
        key = f"t{len(targets) + 1}"
        targets[key] = TargetFacts(label=label, mask=MaskFacts(path=found[1]))
        kept = before[: phrase.start()] if phrase else before
        written += f"{unmarked(kept)} <p>{label}</p> [SEG]"
        keys.append(key)
        last = found.end()
    tail = unmarked(text[last:])
    joint = "" if not tail or tail[0] in ".,;:!?" else " "
    return QATurn(role="assistant", text=f"{written}{joint}{tail}".strip(), targets=tuple(keys))
