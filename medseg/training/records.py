"""MedSeg-QA records, schema v1: pictures with masks and the dialogues about them, one record per line of a JSON file.

A record is one picture, or one volume. Its paths are relative to the folder of its file. Answers are in phrase form,
`Here are the <p>lungs</p> [SEG].`: one [SEG] per target, in the order of `targets`. The schema is our own, made to be
compatible with what is published of MedSeg-QA; it is not the schema of that set, which is unknown.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from medseg.errors import RecordError, StudyFileError
from medseg.io.plain_picture import read_rgb, read_values
from medseg.training.run_length import decode_mask
from vlm_bridge.atomic_write import write_text_whole

SCHEMA = "medseg-qa/1"
Kind = Literal[
    "explicit", "multi", "implicit_anatomical", "implicit_pathological", "spatial", "history", "absent", "text"
]
"""What a question is like; figures are given per kind."""
KINDS: tuple[Kind, ...] = get_args(Kind)
Role = Literal["user", "assistant"]
SEG = "[SEG]"
_VOLUME_SUFFIXES = (".nii", ".nii.gz", ".mgz", ".nrrd", ".mha", ".mhd")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """The picture or volume of a record."""

    path: str
    """Relative to the folder of the record's file."""
    modality: str = ""
    """As `CT`, `MRI`, `X-ray`, `ultrasound`; empty where unknown."""
    body_part: str = ""
    spacing_mm: tuple[float, ...] | None = None
    """Down and across (row, column) for a picture; along i, j, k for a volume."""
    window: Mapping[str, float] | None = None
    """`level` and `width`, where grey values were cut to make the picture."""
    axis_codes: str = ""
    """Where the axes point, as `PL`: rows to the patient's back, columns to the left."""
    source: Mapping[str, Any] | None = None
    """Of a slice: its volume, number and axis."""

    @property
    def is_volume(self) -> bool:
        """Whether this is a volume and not a picture."""
        return self.path.lower().endswith(_VOLUME_SUFFIXES)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFacts:
    """Where the mask of a target is: a file, or run lengths."""

    path: str = ""
    """PNG, or a volume on the grid of the record's; relative. Empty where there are run lengths."""
    value: int | None = None
    """Value of the label map that is the target; None: everything above 0."""
    rle: str | tuple[int, ...] = ""
    """COCO run lengths, compressed text or numbers."""
    size: tuple[int, int] | None = None
    """Height and width of the run lengths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """Something that a record can be asked about; an empty mask tells that it was looked for and is not there."""

    label: str
    """Its name, as between <p> and </p>."""
    mask: MaskFacts
    code: Mapping[str, str] | None = None
    """`scheme`, `value` and `meaning` of a terminology."""
    laterality: Literal["", "L", "R"] = ""
    """Side of the patient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QATurn:
    """One side's turn of a dialogue."""

    role: Role
    text: str
    """Of the assistant with <p>, </p> and [SEG]; of the user never with them."""
    kind: Kind | None = None
    """Of a question; None for an answer."""
    targets: tuple[str, ...] = ()
    """Of an answer: keys of the record's targets, one per [SEG], in its order."""
    asked: tuple[str, ...] = ()
    """Of a question: names of what it asks for, also of what is not there; empty where that is not known."""
    refers_to: tuple[str, ...] = ()
    """Of a `history` question: keys of the targets of earlier answers that it builds upon."""
    wording: str = ""
    """Id of the template a question was written with; empty for questions of people."""


Dialogue = tuple[QATurn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QARecord:
    """A picture or volume, what can be seen in it, and dialogues about it."""

    id: str
    patient: str
    """Opaque; no patient stands in two splits."""
    image: ImageFacts
    targets: Mapping[str, TargetFacts]
    """Key, as `t1` -> target."""
    conversations: tuple[Dialogue, ...]
    """Separate dialogues; in each, user and assistant speak in turn."""
    study: str = ""
    split: str = ""
    licence: str = ""
    """Of the picture and its masks."""
    qa: Mapping[str, Any] = field(default_factory=dict)
    """How the dialogues came to be: `generator`, `reviewed_by`, `review`, `date`."""
    folder: Path = field(default=Path(), compare=False)
    """Where relative paths begin; not written."""

    def file(self, relative: str) -> Path:
        """The whole path of a file of the record."""
        return self.folder / relative


def read_qa_records(path: str | Path) -> list[QARecord]:
    """The records of a JSON Lines file, in order; blank lines are skipped. Pictures and masks are not opened.

    Raises:
        RecordError: no such file, or a line is no record; the message names file and line.
    """
    return [record for _, record in numbered_records(Path(path))]


def numbered_records(path: Path) -> Iterable[tuple[int, QARecord]]:
    """Each record with the number of its line, from 1.

    Raises:
        RecordError: no such file, or a line is no record.
    """
    for number, line in numbered_lines(path):
        try:
            yield number, parse_record(line, path.parent)
        except RecordError as error:
            raise RecordError(f"{path}:{number}: {error}") from None


def numbered_lines(path: Path) -> Iterable[tuple[int, str]]:
    """Each line that is not blank, with its number from 1.

    Raises:
        RecordError: no such file, or it is no UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError:
        raise RecordError(f"{path}: expected a file of records, found none that can be read. Check the path.") from None
    except UnicodeDecodeError:
        raise RecordError(f"{path}: expected UTF-8 text, found other bytes. Save it as UTF-8.") from None
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def write_qa_records(records: Iterable[QARecord], path: str | Path) -> Path:
    """Write one line per record; relative paths are rewritten to begin at the new file's folder. Returns the path.

    Raises:
        OSError: the file cannot be written.
    """
    target = Path(path)
    lines = [json.dumps(record_to_json(_moved(record, target.parent)), ensure_ascii=False) for record in records]
    write_text_whole(target, "".join(line + "\n" for line in lines))
    return target


def load_picture(record: QARecord) -> UInt8[ndarray, "height width 3"]:
    """The picture in RGB, upright.

    Raises:
        RecordError: it is a volume (`read_study` reads those), or no picture can be read.
    """
    if record.image.is_volume:
        raise RecordError(f"{record.image.path}: expected a picture, found a volume. Read it with read_study.")
    return _readable(read_rgb, record.file(record.image.path))


def load_mask(record: QARecord, target: str) -> Bool[ndarray, "height width"] | Bool[ndarray, "i j k"]:
    """The mask of a target, on the picture's pixels [row column] or the volume's voxels as `read_study` turns them.

    Raises:
        RecordError: no such target, or its mask cannot be read. The size is not compared with the picture's.
    """
    if target not in record.targets:
        known = ", ".join(record.targets)
        raise RecordError(f"Record {record.id}: expected one of the targets {known}, found {target!r}. Correct it.")
    facts = record.targets[target].mask
    if facts.path:
        values = mask_values(record, facts)
        return values > 0 if facts.value is None else values == facts.value
    if facts.size is None:
        raise RecordError(
            f"Record {record.id}: expected a size beside the run lengths of {target}, found none. Add it."
        )
    return decode_mask(facts.rle if isinstance(facts.rle, str) else list(facts.rle), facts.size)


def mask_values(record: QARecord, facts: MaskFacts) -> ndarray:
    """The values of a mask's file as they are, before any is chosen.

    Raises:
        MedSegError: the file cannot be read.
    """
    path = record.file(facts.path)
    if not record.image.is_volume:
        return _readable(read_values, path)
    from medseg.io.read_study import read_study

    return np.asarray(read_study(path).volume.voxels)


def _readable(read: Callable[[Path], ndarray], path: Path) -> ndarray:
    try:
        return read(path)
    except StudyFileError as error:
        raise RecordError(str(error)) from None


def _moved(record: QARecord, folder: Path) -> QARecord:
    if record.folder.resolve() == folder.resolve():
        return record

    def moved(relative: str) -> str:
        place = os.path.relpath(record.file(relative).resolve(), folder.resolve()) if relative else ""
        return Path(place).as_posix() if place else ""

    targets = {
        key: replace(one, mask=replace(one.mask, path=moved(one.mask.path))) for key, one in record.targets.items()
    }
    return replace(record, image=replace(record.image, path=moved(record.image.path)), targets=targets, folder=folder)


def record_to_json(record: QARecord) -> dict[str, Any]:
    """The record as it is written; fields that are empty are left out. One dialogue is written flat."""
    dialogues = [[_plain(turn) for turn in dialogue] for dialogue in record.conversations]
    targets = {key: {**_plain(one), "mask": _plain(one.mask)} for key, one in record.targets.items()}
    rest = {name: getattr(record, name) for name in ("qa", "split", "licence")}
    return {
        "schema": SCHEMA,
        "id": record.id,
        "patient": record.patient,
        **({"study": record.study} if record.study else {}),
        "image": _plain(record.image),
        "targets": targets,
        "conversations": dialogues[0] if len(dialogues) == 1 else dialogues,
        **{name: dict(value) if isinstance(value, Mapping) else value for name, value in rest.items() if value},
    }


def _plain(one: Any) -> dict[str, Any]:
    values = {part.name: getattr(one, part.name) for part in fields(one)}
    kept = {name: value for name, value in values.items() if value not in (None, "", ())}
    if isinstance(one, QATurn) and one.role == "assistant":
        kept.setdefault("targets", ())
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in kept.items()}


def parse_record(line: str, folder: Path = Path()) -> QARecord:
    """The record of one line.

    Raises:
        RecordError: it is no JSON object of the schema; the message names the field.
    """
    try:
        value = json.loads(line)
    except ValueError:
        raise RecordError("expected a JSON object, found text that is no JSON. Write one object per line.") from None
    _check(isinstance(value, dict), "line", "a JSON object")
    _check(value.get("schema") == SCHEMA, "schema", repr(SCHEMA))
    targets = value.get("targets", {})
    _check(isinstance(targets, dict), "targets", "an object of key -> target")
    talk = value.get("conversations", [])
    _check(isinstance(talk, list), "conversations", "a list of turns, or of lists of turns")
    dialogues = talk if talk and all(isinstance(one, list) for one in talk) else [talk] * bool(talk)
    qa = value.get("qa", {})
    _check(isinstance(qa, dict), "qa", "an object")
    return QARecord(
        id=_text(value, "id"),
        patient=_text(value, "patient"),
        image=_image(value.get("image")),
        targets={key: _target(key, one) for key, one in targets.items()},
        conversations=tuple(tuple(_turn(turn) for turn in dialogue) for dialogue in dialogues),
        study=_text(value, "study", ""),
        split=_text(value, "split", ""),
        licence=_text(value, "licence", ""),
        qa=qa,
        folder=folder,
    )


def _image(value: Any) -> ImageFacts:
    _check(isinstance(value, dict), "image", "an object with a path")
    spacing = value.get("spacing_mm")
    right = spacing is None or (isinstance(spacing, list) and all(isinstance(one, int | float) for one in spacing))
    _check(right, "image.spacing_mm", "a list of numbers")
    for name in ("window", "source"):
        _check(value.get(name) is None or isinstance(value[name], dict), f"image.{name}", "an object")
    return ImageFacts(
        path=_text(value, "path"),
        modality=_text(value, "modality", ""),
        body_part=_text(value, "body_part", ""),
        spacing_mm=None if spacing is None else tuple(float(one) for one in spacing),
        window=value.get("window"),
        axis_codes=_text(value, "axis_codes", ""),
        source=value.get("source"),
    )


def _target(key: str, value: Any) -> TargetFacts:
    _check(isinstance(value, dict) and isinstance(value.get("mask"), dict), f"targets.{key}", "a label and a mask")
    mask = value["mask"]
    where = f"targets.{key}.mask"
    number, size, rle = mask.get("value"), mask.get("size"), mask.get("rle", "")
    _check(number is None or type(number) is int, f"{where}.value", "a whole number")
    _check(bool(mask.get("path")) != bool(rle), where, "either a path or an rle with its size")
    two = isinstance(size, list) and len(size) == 2 and all(type(one) is int and one > 0 for one in size)
    _check(two if rle else size is None or two, f"{where}.size", "height and width")
    counts = isinstance(rle, list) and all(type(one) is int for one in rle)
    _check(isinstance(rle, str) or counts, f"{where}.rle", "text or a list of whole numbers")
    side = value.get("laterality", "")
    _check(side in ("", "L", "R"), f"targets.{key}.laterality", "L or R")
    code = value.get("code")
    _check(code is None or isinstance(code, dict), f"targets.{key}.code", "an object")
    facts = MaskFacts(
        path=_text(mask, "path", ""),
        value=number,
        rle=rle if isinstance(rle, str) else tuple(rle),
        size=(size[0], size[1]) if size else None,
    )
    return TargetFacts(label=_text(value, "label"), mask=facts, code=code, laterality=side)


def _turn(value: Any) -> QATurn:
    _check(isinstance(value, dict), "conversations", "turns that are objects")
    role, kind = value.get("role"), value.get("kind")
    _check(role in get_args(Role), "role", "user or assistant")
    _check(kind is None or kind in KINDS, "kind", " | ".join(KINDS))
    lists = {}
    for name in ("targets", "asked", "refers_to"):
        one = value.get(name, [])
        _check(isinstance(one, list) and all(isinstance(key, str) for key in one), name, "a list of texts")
        lists[name] = tuple(one)
    return QATurn(role=role, text=_text(value, "text"), kind=kind, wording=_text(value, "wording", ""), **lists)


def _text(value: Mapping[str, Any], name: str, default: str | None = None) -> str:
    found = value.get(name, default)
    _check(isinstance(found, str) and (bool(found) or default is not None), name, "text")
    return found  # type: ignore[return-value]


def _check(right: bool, name: str, expected: str) -> None:
    if not right:
        raise RecordError(f"{name}: expected {expected}, found something else or nothing. Correct the line.")
