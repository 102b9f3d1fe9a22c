"""Folders of the Medical Segmentation Decathlon and of nnU-Net: dataset.json, imagesTr, labelsTr."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from medseg.training.importers.importer import ImportOptions, checked, expect, opaque, plain_dialogue, read_json
from medseg.training.records import ImageFacts, MaskFacts, QARecord, TargetFacts

_SPLITS = {"Tr": "train", "Ts": "test"}
_ENDINGS = (".nii.gz", ".nii", ".png", ".mha", ".nrrd")
_CHANNEL = re.compile(r"_0000$")


def import_labelled_folders(path: Path, options: ImportOptions) -> list[QARecord]:
    """One record per labelled volume (or picture), one target per label that is one value of the label map.

    Labels made of several values (nnU-Net's regions) are left out. Of a case with several channels, the first is taken.
    Whether a label is in a case is not looked at: its mask may be empty, and `medseg validate` finds such answers.

    Raises:
        RecordError: there is no dataset.json of either format, or no labelled case.
    """
    facts = read_json(path / "dataset.json")
    expect(isinstance(facts, dict) and isinstance(facts.get("labels"), dict), str(path / "dataset.json"), "labels")
    labels = _labels(facts["labels"])
    expect(bool(labels), str(path / "dataset.json"), "labels other than background")
    modality = options.modality or _modality(facts)
    records = []
    for tail, split in _SPLITS.items():
        for file in sorted((path / f"labels{tail}").glob("*")):
            ending = next((one for one in _ENDINGS if file.name.endswith(one)), "")
            if ending and not file.name.startswith("."):
                case = file.name.removesuffix(ending)
                picture = _picture(path / f"images{tail}", case, ending)
                expect(picture is not None, file.name, f"a volume of this case in images{tail}")
                place = (f"images{tail}/{picture}", f"labels{tail}/{file.name}")
                records.append(_record(path, case, place, labels, modality, split, options))
    expect(bool(records), str(path), "labelled cases in labelsTr")
    return records


def _labels(listed: dict[str, Any]) -> dict[int, str]:
    """Value -> name; MSD lists value to name, nnU-Net name to value."""
    found: dict[int, str] = {}
    for key, value in listed.items():
        if key.isdigit() and isinstance(value, str):
            found[int(key)] = value
        elif type(value) is int:
            found[value] = key
    return {number: name.replace("_", " ") for number, name in sorted(found.items()) if number > 0}


def _modality(facts: dict[str, Any]) -> str:
    channels = facts.get("channel_names") or facts.get("modality") or {}
    first = channels.get("0") if isinstance(channels, dict) else None
    return first if isinstance(first, str) else ""


def _picture(folder: Path, case: str, ending: str) -> str | None:
    for name in (f"{case}{ending}", f"{case}_0000{ending}", f"{_CHANNEL.sub('', case)}_0000{ending}"):
        if (folder / name).is_file():
            return name
    return None


def _record(
    path: Path,
    case: str,
    place: tuple[str, str],
    labels: dict[int, str],
    modality: str,
    split: str,
    options: ImportOptions,
) -> QARecord:
    picture, label_file = place
    targets = {
        f"t{value}": TargetFacts(label=name, mask=MaskFacts(path=label_file, value=value))
        for value, name in labels.items()
    }
    record = QARecord(
        id=opaque(case),
        patient=opaque(case),
        image=ImageFacts(path=picture, modality=modality, body_part=options.body_part),
        targets=targets,
        conversations=tuple(plain_dialogue(one.label, key) for key, one in targets.items()),
        split=split,
        licence=options.licence,
        qa={"generator": "names of labels"},
        folder=path,
    )
    return checked(record, label_file)
