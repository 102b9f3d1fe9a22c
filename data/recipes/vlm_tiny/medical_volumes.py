"""Slices of the small MR and CT volumes, as pictures to learn from beside the flat ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np

from data.recipes.vlm_tiny.medical_sets import MedicalItem, MedicalSet, held_out_patients

HIPPOCAMPUS = MedicalSet(folder="vol_mr_hippocampus", modality="MRI", body_part="brain",
                         structures={"1": "hippocampus", "2": "hippocampus"})  # fmt: skip
SPINE = MedicalSet(
    folder="vol_mr_spine_sct", modality="MRI", body_part="neck", structures={"spinal cord": "spinal cord"}
)  # fmt: skip
ABDOMEN_CT = MedicalSet(
    folder="vol_ct_totalseg", modality="CT", body_part="abdomen", structures={"5": "liver"}, complete=False
)  # fmt: skip
ABDOMEN_MR = MedicalSet(
    folder="vol_ct_totalseg", modality="MRI", body_part="abdomen", structures={"5": "liver"}, complete=False
)  # fmt: skip
_KEPT_SIDE = 320


def read_volume_items(shared: Path, *, held_out: bool) -> list[MedicalItem]:
    """Slices of the volumes whose patients are learned from, or of those kept for tests."""
    return [*_hippocampus(shared, held_out), *([] if held_out else [*_spine(shared), *_abdomen(shared)])]


def _hippocampus(shared: Path, held_out: bool) -> Iterator[MedicalItem]:
    folder = shared / HIPPOCAMPUS.folder
    entries = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["items"]
    kept = held_out_patients(HIPPOCAMPUS.folder, {entry["patient"] for entry in entries})
    for entry in entries:
        if (entry["patient"] in kept) == held_out:
            image, label = _read(folder / entry["image"]), _read(folder / entry["label"])
            for axis in (0, 1, 2):
                middle = image.shape[axis] // 2
                for place in (middle - 5, middle + 3):
                    yield _slice(HIPPOCAMPUS, entry["patient"], (image, label > 0), axis, place)


def _spine(shared: Path) -> Iterator[MedicalItem]:
    folder = shared / SPINE.folder
    for entry in json.loads((folder / "meta.json").read_text(encoding="utf-8"))["items"]:
        image = _read(folder / entry["image"])
        cords = [one for one in entry["labels"] if one["name"] == "spinal cord" and one.get("same_affine")]
        if image.ndim == 3 and cords:
            label = _read(folder / cords[0]["file"]) > 0
            for axis in (0, 1, 2):
                if image.shape[axis] > 10:
                    for place in np.linspace(0.25, 0.75, 7) * image.shape[axis]:
                        yield _slice(SPINE, entry["image"], (image, label), axis, int(place))


def _abdomen(shared: Path) -> Iterator[MedicalItem]:
    folder = shared / "vol_ct_totalseg"
    for of, image_name, label_name in (
        (ABDOMEN_CT, "example_ct_sm.nii.gz", "example_seg.nii.gz"),
        (ABDOMEN_MR, "example_mr_sm.nii.gz", "example_seg_mr.nii.gz"),
    ):
        image, label = _read(folder / image_name), _read(folder / label_name)
        for place in range(2, image.shape[2] - 2, 2):
            yield _slice(of, image_name, (image, label == 5), 2, place)


def _read(path: Path) -> np.ndarray:
    loaded: Any = nibabel.load(path)
    return np.asarray(nibabel.as_closest_canonical(loaded).dataobj, np.float32)


def _slice(of: MedicalSet, patient: str, both: tuple[np.ndarray, np.ndarray], axis: int, place: int) -> MedicalItem:
    volume, label = both
    low, high = (-160.0, 240.0) if of.modality == "CT" else np.percentile(volume, (1, 99.5))
    plane = np.rot90(np.take(volume, place, axis))
    grey = np.round(np.clip((plane - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)
    scale = _KEPT_SIDE / max(grey.shape)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    mask = np.ascontiguousarray(np.rot90(np.take(label, place, axis))).astype(np.float32)
    name = next(iter(of.structures.values()))
    return MedicalItem(
        of=of, patient=patient, path=f"{of.folder}/{patient} {axis} {place}",
        image=np.repeat(cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC)[..., None], 3, 2),
        masks={name: cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR) > 0.5},
    )  # fmt: skip
