"""Each importer reads a small set of its format, written here, into records that keep every rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np
import pytest

from medseg.errors import InvalidInputError, RecordError
from medseg.training.importers.catalogue import IMPORTERS, import_records
from medseg.training.importers.importer import ImportOptions
from medseg.training.records import QARecord, load_mask, write_qa_records
from medseg.training.run_length import decode_counts, encode_mask
from medseg.training.validate import validate_records

OPTIONS = ImportOptions(licence="CC-BY-4.0", modality="CT", body_part="abdomen")
SIZE = (16, 24)
LIVER, SPLEEN = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
LIVER[2:9, 3:11] = True
SPLEEN[4:8, 15:20] = True


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*SIZE, 3), 90, np.uint8))


def mask_file(path: Path, mask: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), mask.astype(np.uint8) * 255)


def write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def reasonseg(folder: Path) -> Path:
    picture(folder / "one.jpg")
    liver = [[3, 2], [10, 2], [10, 8], [3, 8]]
    shapes = [
        {"label": "ignore", "points": [[5, 4], [7, 4], [7, 6], [5, 6]]},
        {"label": "target", "points": liver},
        {"label": "flag", "points": [[0, 0]]},
    ]
    texts = ["what makes bile?", "the organ that stores sugar"]
    write_json(folder / "one.json", {"text": texts, "is_sentence": True, "shapes": shapes})
    return folder


def llava(folder: Path) -> Path:
    picture(folder / "a.png")
    mask_file(folder / "m1.png", LIVER)
    mask_file(folder / "m2.png", SPLEEN)
    turns = [
        {"from": "human", "value": "<image>\nWhere are they?"},
        {"from": "gpt", "value": "Here is <p>the liver</p> <mask>m1.png</mask>, and here <mask>m2.png</mask>."},
        {"from": "human", "value": "Thank you [SEG]. What is it?"},
        {"from": "gpt", "value": "A CT."},
    ]
    return write_json(folder / "talk.json", [{"id": 7, "image": "a.png", "conversations": turns}])


def grounded_captions(folder: Path) -> Path:
    picture(folder / "a.png")
    caption = "A large liver beside a spleen."
    entry = {
        "file_name": "a.png",
        "caption": caption,
        "groundings": {
            "spleen": {"token_positions": [23, 29], "rle_masks": [{"size": list(SIZE), "counts": encode_mask(SPLEEN)}]},
            "liver": {"rle_masks": [{"size": list(SIZE), "counts": decode_counts(encode_mask(LIVER))}]},
            "kidney": {"rle_masks": []},
        },
    }
    return write_json(folder / "captions.json", [entry])


def biomedparse(folder: Path) -> Path:
    picture(folder / "train" / "case_1_CT_abdomen.png")
    mask_file(folder / "train_mask" / "case_1_CT_abdomen_liver.png", LIVER)
    mask_file(folder / "train_mask" / "case_1_CT_abdomen_accessory+spleen.png", SPLEEN)
    picture(folder / "test" / "case_2_CT_abdomen.png")
    mask_file(folder / "test_mask" / "case_2_CT_abdomen_liver.png", LIVER)
    return folder


def coco(folder: Path) -> Path:
    picture(folder / "a.png")
    counts = decode_counts(encode_mask(SPLEEN))
    value = {
        "images": [{"id": 1, "file_name": "a.png", "height": 16, "width": 24}, {"id": 2, "file_name": "b.png"}],
        "categories": [{"id": 4, "name": "liver"}, {"id": 5, "name": "spleen"}],
        "annotations": [
            {"image_id": 1, "category_id": 4, "segmentation": [[3, 2, 10, 2, 10, 8, 3, 8]]},
            {"image_id": 1, "category_id": 5, "segmentation": {"size": [16, 24], "counts": counts}},
            {"image_id": 1, "category_id": 5, "segmentation": {"size": [16, 24], "counts": encode_mask(SPLEEN)}},
        ],
    }
    return write_json(folder / "coco.json", value)


def volumes(folder: Path, labels: dict[str, Any], image_name: str) -> Path:
    values = np.zeros((5, 6, 7), np.uint8)
    values[1:3, 1:3, 1:3], values[3, 4, 5] = 1, 2
    for tail in ("imagesTr", "labelsTr"):
        (folder / tail).mkdir(parents=True)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / "labelsTr" / "case_1.nii.gz")
    nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), np.eye(4)), folder / "imagesTr" / image_name)
    write_json(folder / "dataset.json", {"labels": labels, "channel_names": {"0": "CT"}})
    return folder


def msd(folder: Path) -> Path:
    return volumes(folder, {"0": "background", "1": "liver", "2": "liver_tumour"}, "case_1.nii.gz")


def nnunet(folder: Path) -> Path:
    return volumes(folder, {"background": 0, "liver": 1, "liver_tumour": 2, "all": [1, 2]}, "case_1_0000.nii.gz")


SETS: dict[str, Callable[[Path], Path]] = {
    "reasonseg": reasonseg,
    "llava": llava,
    "grounded-captions": grounded_captions,
    "biomedparse": biomedparse,
    "coco": coco,
    "msd": msd,
    "nnunet": nnunet,
}


def imported(name: str, folder: Path) -> list[QARecord]:
    return import_records(name, SETS[name](folder), OPTIONS)


def test_every_format_is_tested() -> None:
    assert set(SETS) == set(IMPORTERS)


@pytest.mark.parametrize("name", SETS)
def test_records_keep_every_rule(name: str, tmp_path: Path) -> None:
    records = imported(name, tmp_path / "set")
    path = write_qa_records(records, tmp_path / "qa.jsonl")
    assert [str(problem) for problem in validate_records([path]).problems] == []
    assert all(record.image.modality == "CT" and record.licence == "CC-BY-4.0" for record in records)


def test_reasonseg_paints_ignored_parts_out(tmp_path: Path) -> None:
    (record,) = imported("reasonseg", tmp_path)
    inner = np.zeros(SIZE, bool)
    inner[4:7, 5:8] = True
    assert (load_mask(record, "t1") == (LIVER & ~inner)).all()
    assert (load_mask(record, "ignore") == inner).all()
    assert [talk[0].text for talk in record.conversations] == ["what makes bile?", "the organ that stores sugar"]
    assert record.conversations[0][0].kind == "implicit_anatomical"


def test_llava_masks_become_seg(tmp_path: Path) -> None:
    (record,) = imported("llava", tmp_path)
    talk = record.conversations[0]
    assert talk[0].text == "Where are they?"
    assert talk[1].text == "Here is <p>the liver</p> [SEG], and here <p>region</p> [SEG]."
    assert talk[1].targets == ("t1", "t2")
    assert talk[2].text == "Thank you . What is it?"
    assert (load_mask(record, "t2") == SPLEEN).all()


def test_captions_are_marked_in_the_order_of_their_words(tmp_path: Path) -> None:
    (record,) = imported("grounded-captions", tmp_path)
    assert record.conversations[0][1].text == "A large <p>liver</p> [SEG] beside a <p>spleen</p> [SEG]."
    assert (load_mask(record, "t1") == LIVER).all()
    assert (load_mask(record, "t2") == SPLEEN).all()


def test_biomedparse_names_tell_all(tmp_path: Path) -> None:
    first, second = import_records("biomedparse", biomedparse(tmp_path), ImportOptions(licence="CC0-1.0"))
    assert {one.label for one in first.targets.values()} == {"liver", "accessory spleen"}
    assert (first.image.modality, first.image.body_part) == ("CT", "abdomen")
    assert (first.split, second.split) == ("train", "test")


def test_coco_joins_objects_of_a_category(tmp_path: Path) -> None:
    (record,) = imported("coco", tmp_path)
    assert {one.label for one in record.targets.values()} == {"liver", "spleen"}
    assert (load_mask(record, "t1") == LIVER).all()
    assert (load_mask(record, "t2") == SPLEEN).all()


@pytest.mark.parametrize("name", ["msd", "nnunet"])
def test_volumes_and_their_labels(name: str, tmp_path: Path) -> None:
    (record,) = imported(name, tmp_path / "set")
    assert {key: one.label for key, one in record.targets.items()} == {"t1": "liver", "t2": "liver tumour"}
    assert load_mask(record, "t1").sum() == 8
    assert np.argwhere(load_mask(record, "t2")).tolist() == [[3, 4, 5]]


@pytest.mark.parametrize("name", SETS)
def test_files_of_another_format_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("[1, 2]", encoding="utf-8")
    (tmp_path / "other.json").write_text('{"a": [3]}', encoding="utf-8")
    whole_folder = name in ("reasonseg", "biomedparse", "msd", "nnunet")
    for path in (tmp_path if whole_folder else tmp_path / "other.json", tmp_path / "none"):
        with pytest.raises(RecordError, match="expected"):
            import_records(name, path, OPTIONS)


def test_entries_that_are_wrong_are_named(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    asked = [{"from": "human", "value": "What is <mask>m.png</mask>?"}, {"from": "gpt", "value": "A liver."}]
    path = write_json(tmp_path / "a.json", [{"image": "a.png", "conversations": asked}])
    with pytest.raises(RecordError, match="entry 0: expected questions without masks"):
        import_records("llava", path, OPTIONS)
    path = write_json(tmp_path / "b.json", [{"image": "a.png", "conversations": asked[1:]}])
    with pytest.raises(RecordError, match="entry 0: turns"):
        import_records("llava", path, OPTIONS)
    line = {"label": "target", "points": [[1, 1], [2, 2]]}
    write_json(tmp_path / "a.json", {"text": ["x"], "shapes": [line]})
    (tmp_path / "b.json").unlink()
    with pytest.raises(RecordError, match="three points"):
        import_records("reasonseg", tmp_path, OPTIONS)


def test_unknown_formats_are_listed() -> None:
    with pytest.raises(InvalidInputError, match="reasonseg, llava"):
        import_records("docx", "x", OPTIONS)
