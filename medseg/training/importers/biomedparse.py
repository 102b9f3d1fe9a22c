"""BiomedParse folders: `NAME_MODALITY_SITE.png` in a folder, `NAME_MODALITY_SITE_TARGET.png` in `<folder>_mask`."""

from __future__ import annotations

from pathlib import Path

from medseg.training.importers.importer import ImportOptions, checked, expect, opaque, plain_dialogue
from medseg.training.records import ImageFacts, MaskFacts, QARecord, TargetFacts

_FOLDERS = ("train", "val", "test")
_SPLITS = {"train": "train", "val": "validation", "test": "test"}


def import_biomedparse(path: Path, options: ImportOptions) -> list[QARecord]:
    """One record per picture, with one dialogue per mask; the folder gives the split. A `+` in a name is a space.

    Files name no patient: each picture counts as one of its own. Where a name of yours tells the patient, split anew.

    Raises:
        RecordError: there are no such folders, a name lacks its parts, or a mask belongs to no picture.
    """
    records = []
    for folder in _FOLDERS:
        pictures = sorted((path / folder).glob("*.png"))
        masks = sorted((path / f"{folder}_mask").glob("*.png"))
        stems = {picture.stem for picture in pictures}
        for mask in masks:
            expect(mask.stem.rpartition("_")[0] in stems, mask.name, f"a mask of a picture in {folder}, by its name")
        for picture in pictures:
            own = [mask for mask in masks if mask.stem.rpartition("_")[0] == picture.stem]
            records.append(_record(path, folder, picture, own, options))
    expect(bool(records), str(path), "folders train, val or test with PNG files, and their masks in train_mask, ...")
    return records


def _record(path: Path, folder: str, picture: Path, masks: list[Path], options: ImportOptions) -> QARecord:
    parts = picture.stem.rsplit("_", 2)
    expect(len(parts) == 3, picture.name, "a name of the form NAME_MODALITY_SITE.png")
    targets, talks = {}, []
    for number, mask in enumerate(masks, 1):
        label = mask.stem.rpartition("_")[2].replace("+", " ")
        targets[f"t{number}"] = TargetFacts(label=label, mask=MaskFacts(path=f"{folder}_mask/{mask.name}"))
        talks.append(plain_dialogue(label, f"t{number}"))
    record = QARecord(
        id=opaque(picture.stem),
        patient=opaque(picture.stem),
        image=ImageFacts(
            path=f"{folder}/{picture.name}",
            modality=options.modality or parts[1].replace("+", " "),
            body_part=options.body_part or parts[2].replace("+", " "),
        ),
        targets=targets,
        conversations=tuple(talks),
        split=_SPLITS[folder],
        licence=options.licence,
        qa={"generator": "BiomedParse names"},
        folder=path,
    )
    return checked(record, picture.name) if talks else record
