from __future__ import annotations

import json
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest

from data.recipes.medseg_tiny.pictures import SETS
from medseg.errors import RecordError
from medseg.training.picture_sets import PictureSet, RecordsConfig, records_from_sets
from medseg.training.question_writer.catalogue import is_held_out
from medseg.training.records import load_mask, read_qa_records, write_qa_records
from medseg.training.splits import check_splits, held_out_patients
from medseg.training.validate import validate_records

CHEST = PictureSet(
    folder="chest",
    modality="X-ray",
    body_part="chest",
    structures={"left lung": "left lung", "right lung": "right lung", "solid": "consolidation"},
    licence="CC-BY-4.0",
)
BLOOD = PictureSet(
    folder="blood",
    modality="microscopy",
    body_part="blood",
    structures={"1": "cytoplasm", "2": "nucleus"},
    licence="CC0-1.0",
)
HIPPOCAMPUS = PictureSet(
    folder="hippo",
    modality="MRI",
    body_part="brain",
    structures={"1": "anterior hippocampus", "2": "posterior hippocampus"},
    licence="CC-BY-SA-4.0",
)


def written_set(root: Path, name: str, items: list[dict]) -> None:
    (root / name / "meta.json").write_text(json.dumps({"items": items}), encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    side = np.zeros((40, 60), np.uint8)
    left, right, two = side.copy(), side.copy(), side.copy()
    right[5:35, 4:25], left[5:35, 35:56] = 255, 255
    two[10:30, 10:40], two[15:22, 20:30] = 1, 2
    for name in ("chest", "blood", "hippo"):
        (tmp_path / name).mkdir()
    chest, blood, hippo = [], [], []
    for number in range(5):
        cv2.imwrite(str(tmp_path / f"chest/{number}.png"), right // 3)
        cv2.imwrite(str(tmp_path / f"chest/{number}_l.png"), left)
        cv2.imwrite(str(tmp_path / f"chest/{number}_r.png"), right)
        cv2.imwrite(str(tmp_path / f"blood/{number}.png"), two * 90)
        cv2.imwrite(str(tmp_path / f"blood/{number}_labels.png"), two)
        masks = [{"file": f"{number}_{label[0]}.png", "label": label} for label in ("left lung", "right lung")]
        chest.append({"image": f"{number}.png", "patient": f"p{number}", "masks": masks})
        label = {"file": f"{number}_labels.png", "kind": "labelmap"}
        blood.append({"image": f"{number}.png", "patient": f"p{number // 2}", "masks": [label]})
    chest[1]["annotation_without_mask"] = ["solid"]
    volume = np.zeros((8, 9, 8), np.uint8)
    volume[2:6, 5:8, 2:6], volume[2:6, 1:5, 2:6] = 1, 2
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "hippo/l.nii.gz")
    nibabel.save(nibabel.Nifti1Image(volume.astype(np.float32), np.eye(4)), tmp_path / "hippo/v.nii.gz")
    hippo.append({"image": "v.nii.gz", "label": "l.nii.gz", "patient": "v"})
    for name, items in (("chest", chest), ("blood", blood), ("hippo", hippo)):
        written_set(tmp_path, name, items)
    return tmp_path


def test_records_of_sets_keep_every_rule(root: Path) -> None:
    records = records_from_sets(root, [CHEST, BLOOD, HIPPOCAMPUS], RecordsConfig(per_kind=1))
    path = write_qa_records(records, root / "lists" / "qa.jsonl")
    report = validate_records([path])
    assert [str(problem) for problem in report.problems] == []
    assert report.records == 11
    check_splits(records)
    assert read_qa_records(path)[0].image.path == "../chest/0.png"
    assert records == records_from_sets(root, [CHEST, BLOOD, HIPPOCAMPUS], RecordsConfig(per_kind=1))


def test_wordings_kept_out_of_training_stand_in_tests_only(root: Path) -> None:
    config = RecordsConfig(per_kind=4, test_wordings="held_out")
    kept = held_out_patients("chest", {f"p{number}" for number in range(5)})
    for record in records_from_sets(root, [CHEST], config):
        assert (record.split == "test") == (record.patient.removeprefix("chest-") in kept)
        asked = [turn.wording for talk in record.conversations for turn in talk if turn.role == "user"]
        assert asked
        assert {is_held_out(wording) for wording in asked} == {record.split == "test"}


def test_a_finding_without_a_mask_is_absent_unless_the_set_does_not_know(root: Path) -> None:
    records = records_from_sets(root, [CHEST], RecordsConfig(per_kind=1))
    empty = [
        [one.label for key, one in record.targets.items() if not load_mask(record, key).any()] for record in records
    ]
    assert empty[0] == ["consolidation"]
    assert empty[1] == []
    sides = {one.label: one.laterality for one in records[0].targets.values()}
    assert (sides["left lung"], sides["right lung"]) == ("L", "R")


def test_values_of_a_label_map_are_named(root: Path) -> None:
    record = records_from_sets(root, [BLOOD], RecordsConfig(per_kind=2))[0]
    files = {one.label: (one.mask.path, one.mask.value) for one in record.targets.values() if one.mask.path}
    assert files == {"cytoplasm": ("0_labels.png", 1), "nucleus": ("0_labels.png", 2)}
    assert any(one.label == "white blood cell" and one.mask.rle for one in record.targets.values())


def test_volumes_have_wholes_too(root: Path) -> None:
    (record,) = records_from_sets(root, [HIPPOCAMPUS], RecordsConfig(per_kind=3))
    labels = {one.label for one in record.targets.values()}
    assert labels == {"hippocampus", "anterior hippocampus", "posterior hippocampus"}
    assert all(one.mask.path == "l.nii.gz" for one in record.targets.values())


def test_a_meta_json_of_another_form_is_refused(root: Path) -> None:
    (root / "chest" / "meta.json").write_text('{"items": [{"image": 3}]}', encoding="utf-8")
    with pytest.raises(RecordError, match="items with image and patient"):
        records_from_sets(root, [CHEST])


def test_a_few_pictures_of_each_shared_set(shared_data: Path, tmp_path: Path) -> None:
    for one in SETS:
        (tmp_path / one.folder).mkdir()
        items = json.loads((shared_data / one.folder / "meta.json").read_text(encoding="utf-8"))["items"][::60][:1]
        for name in ("images", "masks"):
            (tmp_path / one.folder / name).symlink_to(shared_data / one.folder / name)
        written_set(tmp_path, one.folder, items)
    sets = [
        PictureSet(
            folder=one.folder,
            modality=one.modality,
            body_part=one.body_part,
            structures=one.structures,
            licence="LicenseRef-research-only",
        )
        for one in SETS
    ]
    records = records_from_sets(tmp_path, sets, RecordsConfig(per_kind=1))
    report = validate_records([write_qa_records(records, tmp_path / "qa.jsonl")])
    assert [str(problem) for problem in report.problems] == []
    assert len(report.questions) == 8
