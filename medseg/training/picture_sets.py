"""`records_from_sets`: records of folders of pictures (or volumes) that a meta.json describes, with written questions.

A meta.json holds `items`, each with `image`, `patient` and `masks` (`file`, and `label` or `kind: labelmap`), or for
volumes `label`, the file of the label map. Patients are split by hash, as `held_out_patients` does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medseg.io.plain_picture import resized_values
from medseg.training.importers.importer import as_runs, expect, opaque, read_json
from medseg.training.question_writer.picture_facts import Mask, PictureFacts
from medseg.training.question_writer.structures import STRUCTURES, structure
from medseg.training.question_writer.wordings import WordingChoice
from medseg.training.question_writer.write_questions import write_questions
from medseg.training.records import ImageFacts, MaskFacts, QARecord, load_picture, mask_values
from medseg.training.splits import TEST, split_patients
from medseg.training.written_records import record_of

_Files = list[tuple[str, Mask, MaskFacts]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSet:
    """What all items of a set have in common."""

    folder: str
    """Below the root; its name also seeds the split."""
    modality: str
    body_part: str
    structures: dict[str, str]
    """Label of the set, or value of its label map, -> name in the table of structures."""
    licence: str
    """As SPDX names it, or LicenseRef- for other terms."""
    complete: bool = True
    """Whether pixels without a label show nothing that has a name in the tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsConfig:
    """How records are made of sets."""

    per_kind: int = 2
    """Conversations of each kind, per picture."""
    wordings: WordingChoice = "train"
    """For patients to learn from and to validate on."""
    test_wordings: WordingChoice = "all"
    """For patients to test on: also those that no training has seen."""
    test: float = 0.2
    """Share of the patients of each set."""
    validation: float = 0.0
    """Share of the patients of each set."""
    seed: int = 0
    """Another one draws other questions; splits stay."""


def records_from_sets(
    root: str | Path, sets: Sequence[PictureSet], config: RecordsConfig | None = None
) -> list[QARecord]:
    """One record per item of each set, with questions written from its masks; sets share no patients.

    A finding of the set without a mask in an item counts as absent there, unless the item lists it under
    `annotation_without_mask`; so does a structure whose mask is empty. Of several observers the first one counts.

    Raises:
        RecordError: a meta.json is of another form, or a picture or mask cannot be read.
    """
    chosen = config or RecordsConfig()
    records = []
    for one in sets:
        folder = Path(root) / one.folder
        items = _items(folder)
        patients = {str(item["patient"]) for item in items}
        split = split_patients(one.folder, patients, test=chosen.test, validation=chosen.validation)
        records += [_record(folder, one, item, split[str(item["patient"])], chosen) for item in items]
    return records


def _items(folder: Path) -> list[dict[str, Any]]:
    value = read_json(folder / "meta.json")
    items = value.get("items") if isinstance(value, dict) else None
    expect(isinstance(items, list) and bool(items), str(folder / "meta.json"), "a list of items")
    for item in items or []:
        right = isinstance(item, dict) and isinstance(item.get("image"), str) and bool(item.get("patient"))
        expect(right, str(folder / "meta.json"), "items with image and patient")
    return items or []


def _record(folder: Path, one: PictureSet, item: dict[str, Any], split: str, config: RecordsConfig) -> QARecord:
    name, patient = (
        opaque(f"{one.folder}-{Path(item['image']).name.split('.')[0]}"),
        opaque(f"{one.folder}-{item['patient']}"),
    )
    image = ImageFacts(path=item["image"], modality=one.modality, body_part=one.body_part)
    bare = record_of((), image, patient=patient, name=name, folder=folder)
    files = _volume_files(bare, one, item) if image.is_volume else _picture_files(bare, one, item)
    masks: dict[str, Mask] = {}
    for label, mask, _ in files:
        masks[label] = masks[label] | mask if label in masks else mask
    facts = PictureFacts(
        modality=one.modality,
        body_part=one.body_part,
        masks={label: mask for label, mask in masks.items() if label in one.structures.values()},
        complete=one.complete,
    )
    digest = hashlib.sha256(f"{config.seed}/{name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    wordings = config.test_wordings if split == TEST else config.wordings
    talks = write_questions(facts, rng, wordings, per_kind=config.per_kind)
    record = record_of(talks, image, patient=patient, name=name, files=files, folder=folder)
    return replace(record, split=split, licence=one.licence)


def _volume_files(record: QARecord, one: PictureSet, item: dict[str, Any]) -> _Files:
    path = str(item.get("label"))
    values = mask_values(record, MaskFacts(path=path))
    files: _Files = [
        (name, values == int(value), MaskFacts(path=path, value=int(value))) for value, name in one.structures.items()
    ]
    whole = np.logical_or.reduce([mask for _, mask, _ in files])
    wholes = {whole_of for name in one.structures.values() for whole_of in _wholes(name, one)}
    if np.array_equal(whole, values > 0):
        files += [(name, whole, MaskFacts(path=path)) for name in sorted(wholes)]
    return files


def _wholes(name: str, one: PictureSet) -> list[str]:
    labelled = set(one.structures.values())
    return [whole.name for whole in STRUCTURES.values() if name in whole.parts and set(whole.parts) == labelled]


def _picture_files(record: QARecord, one: PictureSet, item: dict[str, Any]) -> _Files:
    shape = load_picture(record).shape[:2]
    files: _Files = []
    observers: dict[str, Any] = {}
    for entry in item.get("masks", []):
        place = f"{one.folder}: {item['image']}"
        expect(isinstance(entry, dict) and isinstance(entry.get("file"), str), place, "masks with a file")
        values = mask_values(record, MaskFacts(path=entry["file"]))
        own = values.shape == shape
        if not own:
            values = resized_values(values, (shape[0], shape[1]))
        if entry.get("kind") == "labelmap" or "label" not in entry:
            for value, name in one.structures.items():
                files.append((name, values == int(value), _place(entry["file"], int(value), own)))
        elif entry["label"] in one.structures:
            name = one.structures[entry["label"]]
            if observers.setdefault(name, entry.get("annotator")) == entry.get("annotator"):
                binary = own and len(np.unique(values)) <= 2 and bool(values.min() == 0)
                files.append((name, values > 0, _place(entry["file"], None, binary)))
    return _in_files(_joined(files) + _absent(one, item, files, (shape[0], shape[1])))


def _place(path: str, value: int | None, usable: bool) -> MaskFacts:
    return MaskFacts(path=path, value=value) if usable else MaskFacts()


def _joined(files: _Files) -> _Files:
    """One mask per structure; what lies in several files lies in none as a whole."""
    found: dict[str, tuple[Mask, MaskFacts]] = {}
    for name, mask, facts in files:
        found[name] = (found[name][0] | mask, MaskFacts()) if name in found else (mask, facts)
    return [(name, mask, facts) for name, (mask, facts) in found.items()]


def _absent(one: PictureSet, item: dict[str, Any], files: _Files, shape: tuple[int, int]) -> _Files:
    known = {name for name, _, _ in files}
    unmasked = {one.structures.get(str(label)) for label in item.get("annotation_without_mask", [])}
    return [
        (name, np.zeros(shape, bool), MaskFacts())
        for name in dict.fromkeys(one.structures.values())
        if name not in known and name not in unmasked and structure(name).lesion
    ]


def _in_files(files: _Files) -> _Files:
    """Masks that lie in no file get run lengths."""
    return [(name, mask, facts if facts.path else as_runs(mask)) for name, mask, facts in files]
