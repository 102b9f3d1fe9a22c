"""`ImportOptions` and what importers share: names, plain questions, masks as run lengths, reading JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray
from PIL import Image, ImageDraw

from medseg.errors import RecordError, StudyFileError
from medseg.io.plain_picture import read_rgb
from medseg.training.records import Dialogue, Kind, MaskFacts, QARecord, QATurn
from medseg.training.run_length import encode_mask
from medseg.training.turn_rules import turn_problems


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the files of a format do not say themselves."""

    licence: str
    """Of the pictures and masks, as SPDX names it; `LicenseRef-...` for other terms."""
    modality: str = ""
    body_part: str = ""
    images: Path | None = None
    """Folder of the pictures, where a list names them; by default the folder of the list."""


Importer = Callable[[Path, ImportOptions], list[QARecord]]
"""A path of the format (a folder, or a file) and options -> records whose paths begin at `record.folder`."""
_KEPT = re.compile(r"[^\w.+-]+")


def opaque(text: str) -> str:
    """A name that may stand as an id.

    Example:
        >>> opaque("case 12/a.png")
        'case_12_a.png'
    """
    return _KEPT.sub("_", text).strip("_")[:128] or "record"


def read_json(path: Path) -> Any:
    """The content of a JSON file; Windows' encoding is taken where it is no UTF-8.

    Raises:
        RecordError: it cannot be read, or is no JSON.
    """
    try:
        content = path.read_bytes()
    except OSError:
        raise RecordError(f"{path}: expected a JSON file, found none that can be read. Check the path.") from None
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return json.loads(content.decode(encoding))
        except UnicodeDecodeError:
            continue
        except ValueError:
            break
    raise RecordError(f"{path}: expected JSON, found text that is none. Check the file.")


def expect(right: bool, place: str, expected: str) -> None:
    """Nothing where the format is as it should be.

    Raises:
        RecordError: it is not.
    """
    if not right:
        raise RecordError(f"{place}: expected {expected}, found something else or nothing. Is it the right format?")


def as_runs(mask: Bool[ndarray, "height width"]) -> MaskFacts:
    """The mask as run lengths."""
    return MaskFacts(rle=encode_mask(mask), size=(mask.shape[0], mask.shape[1]))


def painted(polygons: list[Any], size: tuple[int, int], place: str) -> Bool[ndarray, "height width"]:
    """The pixels that polygons of [x y] points cover.

    Raises:
        RecordError: a polygon has fewer than three points, or they are no pairs.
    """
    mask = Image.new("L", (size[1], size[0]))
    for polygon in polygons:
        try:
            points = np.asarray(polygon, np.float64).reshape(-1, 2)
        except (TypeError, ValueError):
            points = np.zeros((0, 2))
        expect(len(points) >= 3 and bool(np.isfinite(points).all()), place, "polygons of three points [x, y] and more")
        corners = [(int(x), int(y)) for x, y in np.rint(np.clip(points, -1e6, 1e6))]
        ImageDraw.Draw(mask).polygon(corners, fill=1, outline=1)
    return np.asarray(mask) > 0


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture, upright.

    Raises:
        RecordError: it cannot be read.
    """
    try:
        height, width = read_rgb(path).shape[:2]
    except StudyFileError as error:
        raise RecordError(str(error)) from None
    return height, width


def plain_dialogue(label: str, target: str, *, question: str = "", kind: Kind = "explicit") -> Dialogue:
    """A request for one target and its answer.

    Example:
        >>> [turn.text for turn in plain_dialogue("left kidney", "t1")]
        ['Mark the left kidney.', 'Here is the <p>left kidney</p> [SEG].']
    """
    label = unmarked(label)
    return (
        QATurn(role="user", text=unmarked(question) or f"Mark the {label}.", kind=kind, asked=(label,)),
        QATurn(role="assistant", text=f"Here is the <p>{label}</p> [SEG].", targets=(target,)),
    )


def unmarked(text: str) -> str:
    """The text of a person without anything that has a meaning in records."""
    return re.sub(r"\s+", " ", re.sub(r"\[SEG\]|</?p>|<image>", " ", text)).strip()


def checked(record: QARecord, place: str) -> QARecord:
    """The record, if its dialogues keep the rules.

    Raises:
        RecordError: they do not; the message names the first rule.
    """
    for rule, text in turn_problems(record):
        raise RecordError(f"{place}: {rule}: {text}. Correct the source, or leave the entry out.")
    return record
