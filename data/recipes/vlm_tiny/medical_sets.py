"""The medical pictures to learn from: which set shows what, read once, split by patient, varied each time.

The sets are those of the shared data folder that its own index describes; they are not part of this repository.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data.recipes.vlm_tiny.exchange import SIDE, UNKNOWN, Rng
from data.recipes.vlm_tiny.vocabulary import what_number

_KEPT_SIDE = 320
"""Pictures are kept at this side, to be cropped from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MedicalSet:
    """What all pictures of a set have in common."""

    folder: str
    modality: str
    body_part: str
    structures: dict[str, str]
    """Label of the set, or value of its label map, -> what it is in `vocabulary.WHAT`."""
    complete: bool = True
    """Whether pixels without a label show nothing that has a name."""


SETS = (
    MedicalSet(folder="med_breast_us_busi", modality="ultrasound", body_part="breast", structures={
        "breast tumour": "tumour", "malignant breast tumour": "tumour", "benign breast tumour": "tumour"}),
    MedicalSet(folder="med_ct_kidney_tumor", modality="CT", body_part="abdomen",
               structures={"kidney tumour": "kidney tumour"}, complete=False),
    MedicalSet(folder="med_ct_liver", modality="CT", body_part="abdomen", structures={"liver": "liver"},
               complete=False),
    MedicalSet(folder="med_cxr_covid_multi", modality="X-ray", body_part="chest", structures={
        "left lung": "lungs", "right lung": "lungs", "airways": "airways", "cardiomediastinum": "heart shadow",
        "ground glass opacities": "ground glass opacities", "consolidation": "consolidation"}),
    MedicalSet(folder="med_cxr_lungs", modality="X-ray", body_part="chest", structures={"lungs": "lungs"},
               complete=False),
    MedicalSet(folder="med_echo_camus", modality="ultrasound", body_part="heart", structures={
        "1": "left ventricle", "2": "heart muscle", "3": "left atrium"}),
    MedicalSet(folder="med_em_membrane", modality="electron microscopy", body_part="brain tissue",
               structures={"neuronal cell membrane": "cell membrane"}),
    MedicalSet(folder="med_fundus_chasedb1", modality="fundus photograph", body_part="eye",
               structures={"retinal blood vessels": "blood vessels"}),
    MedicalSet(folder="med_fundus_fives", modality="fundus photograph", body_part="eye",
               structures={"retinal blood vessels": "blood vessels"}),
    MedicalSet(folder="med_histology_monuseg", modality="histology", body_part="tissue",
               structures={"cell nucleus": "nucleus"}),
    MedicalSet(folder="med_mr_lgg_flair", modality="MRI", body_part="brain",
               structures={"lower-grade glioma (FLAIR abnormality)": "glioma"}),
    MedicalSet(folder="med_nuclei_dsb2018", modality="microscopy", body_part="cells",
               structures={"cell nucleus": "nucleus"}),
    MedicalSet(folder="med_polyp_kvasir", modality="endoscopy", body_part="colon", structures={"polyp": "polyp"}),
    MedicalSet(folder="med_polyp_etis", modality="endoscopy", body_part="colon", structures={"polyp": "polyp"}),
    MedicalSet(folder="med_us_fetal_head", modality="ultrasound", body_part="fetal head",
               structures={"fetal head": "fetal head"}),
    MedicalSet(folder="med_wbc_blood", modality="microscopy", body_part="blood",
               structures={"1": "cytoplasm", "2": "nucleus"}),
    MedicalSet(folder="med_wound_foot_ulcer", modality="photograph", body_part="foot",
               structures={"foot ulcer wound": "wound"}),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MedicalItem:
    """One picture of a set as it is kept: at most 320 px, what each pixel shows."""

    of: MedicalSet
    image: np.ndarray
    """uint8 [height, width, 3]."""
    masks: dict[str, np.ndarray]
    """What -> bool [height, width]; a structure that was looked for and is not there has an empty mask."""
    patient: str
    path: str


def held_out_patients(folder: str, patients: set[str], share: float = 0.2) -> set[str]:
    """Patients kept for tests, the same ones in every run: a fifth, at least one of each set."""
    ordered = sorted(patients, key=lambda patient: hashlib.sha256(f"{folder}/{patient}".encode()).hexdigest())
    return set(ordered[: max(1, round(share * len(ordered)))])


def read_items(shared: Path, *, held_out: bool) -> list[MedicalItem]:
    """Pictures of the patients to learn from, or of those kept for tests."""
    items = []
    for one in SETS:
        entries = json.loads((shared / one.folder / "meta.json").read_text(encoding="utf-8"))["items"]
        kept = held_out_patients(one.folder, {entry["patient"] for entry in entries})
        items += [_read_item(shared, one, entry) for entry in entries if (entry["patient"] in kept) == held_out]
    return items


def _read_item(shared: Path, one: MedicalSet, entry: dict[str, Any]) -> MedicalItem:
    folder = shared / one.folder
    image = cv2.imread(str(folder / entry["image"]), cv2.IMREAD_COLOR)[..., ::-1]
    masks: dict[str, np.ndarray] = {}
    for name, mask in _masks(folder, one, entry, image.shape[:2]):
        masks[name] = masks[name] | mask if name in masks else mask
    scale = _KEPT_SIDE / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    kept = {
        name: cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
        for name, mask in masks.items()
    }
    return MedicalItem(
        of=one, image=small, masks=kept, patient=entry["patient"], path=f"{one.folder}/{entry['image']}"
    )  # fmt: skip


def _masks(
    folder: Path, one: MedicalSet, entry: dict[str, Any], shape: tuple[int, int]
) -> Iterator[tuple[str, np.ndarray]]:
    if not entry["masks"]:
        for name in set(one.structures.values()):
            yield name, np.zeros(shape, bool)
    for mask in entry["masks"]:
        values = cv2.imread(str(folder / mask["file"]), cv2.IMREAD_UNCHANGED)
        values = values[..., 0] if values.ndim == 3 else values
        if values.shape != shape:
            values = cv2.resize(values, shape[::-1], interpolation=cv2.INTER_NEAREST)
        if mask.get("kind") == "labelmap" or "label" not in mask:
            for value, name in one.structures.items():
                yield name, values == int(value)
        elif mask["label"] in one.structures:
            yield one.structures[mask["label"]], values > 0


def varied(item: MedicalItem, rng: Rng | None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The picture and its masks at SIDE x SIDE; with a generator cropped, mirrored, relit and blurred a little."""
    image, masks = item.image, item.masks
    height, width = image.shape[:2]
    matrix = _placement(height, width, rng)
    border = (0, 0, 0)
    placed = cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderValue=border)
    moved = {
        name: cv2.warpAffine(mask.astype(np.uint8), matrix, (SIDE, SIDE), flags=cv2.INTER_NEAREST) > 0
        for name, mask in masks.items()
    }
    return (placed if rng is None else _relit(placed, rng)), moved


def _placement(height: int, width: int, rng: Rng | None) -> np.ndarray:
    """Affine map of the picture onto the square: stretched to fill it, as a backbone of one tile does."""
    scale = np.array([SIDE / width, SIDE / height])
    if rng is None:
        return np.array([[scale[0], 0, 0], [0, scale[1], 0]])
    zoom = rng.uniform(0.9, 1.5) if rng.random() < 0.7 else 1.0
    stretch = np.exp(rng.uniform(-0.15, 0.15))
    scale = scale * zoom * np.array([stretch, 1 / stretch])
    if rng.random() < 0.5:
        scale[0] = -scale[0]
    angle = np.deg2rad(rng.normal(0, 6))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    spare = max(zoom - 1, 0.04) * SIDE * 0.5
    centre = turn @ np.array([width / 2, height / 2])
    shift = np.array([SIDE / 2, SIDE / 2]) + rng.uniform(-spare, spare, 2) - centre
    return np.concatenate([turn, shift[:, None]], 1)


def _relit(image: np.ndarray, rng: Rng) -> np.ndarray:
    values = image.astype(np.float32) / 255
    values = values ** np.float32(np.exp(rng.normal(0, 0.25)))
    values = (values - 0.5) * np.float32(np.exp(rng.normal(0, 0.2))) + 0.5 + np.float32(rng.normal(0, 0.06))
    if rng.random() < 0.5:
        values = values * np.exp(rng.normal(0, 0.08, 3)).astype(np.float32)
    if rng.random() < 0.15:
        values = np.repeat(values.mean(2, keepdims=True), 3, 2)
    if rng.random() < 0.3:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.4:
        values = values + rng.standard_normal(values.shape, np.float32) * rng.uniform(0, 0.05)
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)


def what_map(of: MedicalSet, masks: dict[str, np.ndarray]) -> np.ndarray:
    """Number of what each pixel shows; later structures of the set lie over earlier ones."""
    what = np.full((SIDE, SIDE), 0 if of.complete else UNKNOWN, np.int16)
    for name in dict.fromkeys(of.structures.values()):
        if name in masks:
            what[masks[name]] = what_number(name)
    return what
