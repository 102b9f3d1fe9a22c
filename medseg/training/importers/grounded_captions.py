"""Grounded captions (GCG, as GranD-f writes them): a caption, and phrases of it with their masks as run lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medseg.training.importers.importer import ImportOptions, as_runs, checked, expect, opaque, read_json, unmarked
from medseg.training.records import ImageFacts, QARecord, QATurn, TargetFacts
from medseg.training.run_length import decode_mask

_QUESTION = "Describe the image and mark what you mention."
_KEYS = ("file_name", "image", "image_id")


def import_grounded_captions(path: Path, options: ImportOptions) -> list[QARecord]:
    """One record per entry: a request to describe, and the caption with its phrases marked in their order.

    Several masks of one phrase become one. A phrase is found at its `token_positions` where these are places of
    letters, else by its text; overlapping phrases: the first one is kept.

    Raises:
        RecordError: an entry is of another format, or no phrase of it stands in its caption.
    """
    entries = read_json(path)
    if isinstance(entries, dict):
        entries = [{"file_name": name, **entry} for name, entry in entries.items() if isinstance(entry, dict)]
    expect(isinstance(entries, list) and bool(entries), str(path), "a list of entries with caption and groundings")
    return [_record(entry, f"{path}: entry {number}", path, options) for number, entry in enumerate(entries)]


def _record(entry: Any, place: str, path: Path, options: ImportOptions) -> QARecord:
    right = isinstance(entry, dict) and isinstance(entry.get("caption"), str)
    expect(right and isinstance(entry.get("groundings"), dict), place, "a caption and groundings")
    name = next((str(entry[key]) for key in _KEYS if entry.get(key)), "")
    expect(bool(name), place, "a file_name")
    caption = unmarked(entry["caption"])
    targets: dict[str, TargetFacts] = {}
    written, last = "", 0
    for start, end, phrase in _places(entry["groundings"], caption, entry["caption"] == caption):
        key = f"t{len(targets) + 1}"
        targets[key] = TargetFacts(label=caption[start:end], mask=as_runs(_mask(entry["groundings"][phrase], place)))
        written += f"{caption[last:start]}<p>{caption[start:end]}</p> [SEG]"
        last = end
    expect(bool(targets), place, "phrases that stand in the caption")
    turns = (
        QATurn(role="user", text=_QUESTION, kind="multi"),
        QATurn(role="assistant", text=written + caption[last:], targets=tuple(targets)),
    )
    record = QARecord(
        id=opaque(Path(name).stem),
        patient=opaque(Path(name).stem),
        image=ImageFacts(path=name, modality=options.modality, body_part=options.body_part),
        targets=targets,
        conversations=(turns,),
        licence=options.licence,
        qa={"generator": "grounded captions"},
        folder=options.images or path.parent,
    )
    return checked(record, place)


def _places(groundings: dict[str, Any], caption: str, same: bool) -> list[tuple[int, int, str]]:
    found = []
    for phrase, facts in groundings.items():
        span = facts.get("token_positions") if isinstance(facts, dict) else None
        if same and isinstance(span, list) and len(span) == 2 and all(type(place) is int for place in span):
            start, end = span
            if caption[start:end].lower() == phrase.lower() and phrase:
                found.append((start, end, phrase))
                continue
        start = caption.lower().find(phrase.lower())
        if start >= 0 and phrase:
            found.append((start, start + len(phrase), phrase))
    kept: list[tuple[int, int, str]] = []
    for one in sorted(found):
        if not kept or one[0] >= kept[-1][1]:
            kept.append(one)
    return kept


def _mask(facts: Any, place: str) -> np.ndarray:
    masks = facts.get("rle_masks") if isinstance(facts, dict) else None
    expect(isinstance(masks, list) and bool(masks), place, "rle_masks of each phrase")
    decoded = []
    for one in masks or []:
        size: Any = one.get("size") if isinstance(one, dict) else None
        expect(
            isinstance(size, list) and len(size) == 2 and all(type(n) is int for n in size), place, "masks with a size"
        )
        counts: Any = one.get("counts")
        expect(isinstance(counts, str | list), place, "masks with counts")
        decoded.append(decode_mask(counts, (size[0], size[1])))
    expect(len({mask.shape for mask in decoded}) == 1, place, "masks of one size")
    return np.logical_or.reduce(decoded)
