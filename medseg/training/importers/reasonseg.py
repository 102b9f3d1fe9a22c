"""ReasonSeg: a folder of pictures, each with a JSON of the same name: texts, polygons of target and ignored parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medseg.training.importers.importer import (
    ImportOptions,
    as_runs,
    checked,
    expect,
    opaque,
    painted,
    picture_size,
    plain_dialogue,
    read_json,
    unmarked,
)
from medseg.training.records import ImageFacts, QARecord, TargetFacts

_PICTURES = (".jpg", ".jpeg", ".png")
IGNORE = "ignore"
"""Key and label of the region that no score should count."""


def import_reasonseg(path: Path, options: ImportOptions) -> list[QARecord]:
    """One record per JSON of the folder, with one dialogue per text.

    Polygons are painted from the largest to the smallest, so that a hole drawn as an ignored region stays one.

    Raises:
        RecordError: a JSON is of another format, or its picture is missing.
    """
    files = sorted(path.glob("*.json"))
    expect(bool(files), str(path), "a folder with JSON files")
    return [_record(file, options) for file in files]


def _record(file: Path, options: ImportOptions) -> QARecord:
    value = read_json(file)
    expect(isinstance(value, dict) and isinstance(value.get("shapes"), list), str(file), "texts and shapes")
    texts: Any = value.get("text")
    texts = [texts] if isinstance(texts, str) else texts
    expect(isinstance(texts, list) and bool(texts) and all(isinstance(one, str) for one in texts), str(file), "texts")
    beside = [file.with_suffix(suffix) for suffix in _PICTURES]
    picture = next((one for one in beside if one.is_file()), beside[0])
    labels = _paint(value["shapes"], picture_size(picture), str(file))
    sentence = bool(value.get("is_sentence"))
    name = "region" if sentence else unmarked(texts[0])
    targets = {"t1": TargetFacts(label=name, mask=as_runs(labels == 1))}
    if (labels == 2).any():
        targets[IGNORE] = TargetFacts(label=IGNORE, mask=as_runs(labels == 2))
    talks = tuple(
        plain_dialogue(
            name, "t1", question=text, kind="implicit_anatomical" if sentence else "explicit"
        )
        for text in texts
    )  # fmt: skip
    record = QARecord(
        id=opaque(file.stem),
        patient=opaque(file.stem),
        image=ImageFacts(path=picture.name, modality=options.modality, body_part=options.body_part),
        targets=targets,
        conversations=talks,
        licence=options.licence,
        qa={"generator": "ReasonSeg"},
        folder=file.parent,
    )
    return checked(record, str(file))


def _paint(shapes: list[Any], size: tuple[int, int], place: str) -> np.ndarray:
    masks = []
    for shape in shapes:
        expect(isinstance(shape, dict) and isinstance(shape.get("label"), str), place, "shapes with a label and points")
        label = shape["label"].lower()
        if "flag" not in label:
            masks.append((painted([shape.get("points")], size, place), 2 if label == IGNORE else 1))
    labels = np.zeros(size, np.uint8)
    for mask, number in sorted(masks, key=lambda one: -int(one[0].sum())):
        labels[mask] = number
    return labels
