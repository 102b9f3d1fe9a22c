"""The labelled pictures to learn from and to test on: the 2D sets of the shared data folder, split by patient.

The sets are those of that folder's index; they are not part of this repository. The split is that of
`data.recipes.vlm_tiny.medical_sets`, so that a patient kept for tests was never seen by the backbone either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from data.recipes.vlm_tiny.medical_sets import held_out_patients

FINE_SIDE = 512
"""Longer side of a picture whose structures are too thin for the whole picture in one square."""
_COARSE_SIDE = 400

Turns = Literal["none", "mirror", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSet:
    """What all pictures of a set have in common."""

    folder: str
    modality: str
    body_part: str
    structures: dict[str, str]
    """Label of the set, or value of its label map, -> the structure's name in answers."""
    fine: bool = False
    """Its structures are thin or small: they are decoded in windows at twice the resolution."""
    turns: Turns = "none"
    """Which mirror images and quarter turns look natural."""
    complete: bool = True
    """Whether the set's structures are all that its pictures show of those that are known here."""


SETS = (
    PictureSet(folder="med_breast_us_busi", modality="ultrasound", body_part="breast", turns="mirror", structures={
        "breast tumour": "breast tumour", "malignant breast tumour": "breast tumour",
        "benign breast tumour": "breast tumour"}),
    PictureSet(folder="med_ct_kidney_tumor", modality="CT", body_part="abdomen", complete=False,
               turns="mirror", structures={"kidney tumour": "kidney tumour"}),
    PictureSet(folder="med_ct_liver", modality="CT", body_part="abdomen", complete=False,
               structures={"liver": "liver"}),
    PictureSet(folder="med_cxr_covid_multi", modality="X-ray", body_part="chest", structures={
        "left lung": "left lung", "right lung": "right lung", "airways": "airways",
        "cardiomediastinum": "heart shadow", "ground glass opacities": "ground glass opacities",
        "consolidation": "consolidation"}),
    PictureSet(folder="med_cxr_lungs", modality="X-ray", body_part="chest", complete=False,
               structures={"lungs": "lungs"}),
    PictureSet(folder="med_echo_camus", modality="ultrasound", body_part="heart", structures={
        "1": "left ventricle", "2": "heart muscle", "3": "left atrium"}),
    PictureSet(folder="med_em_membrane", modality="electron microscopy", body_part="brain tissue", fine=True,
               turns="all", structures={"neuronal cell membrane": "cell membrane"}),
    PictureSet(folder="med_fundus_chasedb1", modality="fundus photograph", body_part="eye", fine=True, turns="all",
               structures={"retinal blood vessels": "blood vessels"}),
    PictureSet(folder="med_fundus_fives", modality="fundus photograph", body_part="eye", fine=True, turns="all",
               structures={"retinal blood vessels": "blood vessels"}),
    PictureSet(folder="med_histology_monuseg", modality="histology", body_part="tissue", fine=True, turns="all",
               structures={"cell nucleus": "nucleus"}),
    PictureSet(folder="med_mr_lgg_flair", modality="MRI", body_part="brain", turns="mirror",
               structures={"lower-grade glioma (FLAIR abnormality)": "glioma"}),
    PictureSet(folder="med_nuclei_dsb2018", modality="microscopy", body_part="cells", fine=True, turns="all",
               structures={"cell nucleus": "nucleus"}),
    PictureSet(folder="med_polyp_kvasir", modality="endoscopy", body_part="colon", turns="all",
               structures={"polyp": "polyp"}),
    PictureSet(folder="med_us_fetal_head", modality="ultrasound", body_part="fetal head", turns="mirror",
               structures={"fetal head": "fetal head"}),
    PictureSet(folder="med_wbc_blood", modality="microscopy", body_part="blood", turns="all",
               structures={"1": "cytoplasm", "2": "nucleus"}),
    PictureSet(folder="med_wound_foot_ulcer", modality="photograph", body_part="foot", turns="mirror",
               structures={"foot ulcer wound": "wound"}),
)  # fmt: skip
"""Sets to learn from. The polyps of ETIS are three sequences of neighbouring frames: test material alone."""
MIRRORED = ("white blood cell", *sorted(
    {name for one in SETS if one.turns != "none" for name in one.structures.values()}
    - {name for one in SETS if one.turns == "none" for name in one.structures.values()}
))  # fmt: skip
"""Structures that were learned mirrored too."""
ETIS = PictureSet(folder="med_polyp_etis", modality="endoscopy", body_part="colon", structures={"polyp": "polyp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPicture:
    """One picture and where its structures are."""

    of: PictureSet
    image: np.ndarray
    """uint8 [height, width, 3]."""
    masks: dict[str, np.ndarray]
    """Structure -> bool [height, width]; an empty mask means: looked for and not there."""
    patient: str
    path: str


def read_pictures(
    shared: Path, *, held_out: bool, native: bool = False, sets: tuple[PictureSet, ...] = SETS
) -> Iterator[LabelledPicture]:
    """Pictures of the patients to learn from, or of those kept for tests; scaled for cropping, or native."""
    for one in sets:
        entries = json.loads((shared / one.folder / "meta.json").read_text(encoding="utf-8"))["items"]
        kept = held_out_patients(one.folder, {entry["patient"] for entry in entries})
        for entry in entries:
            if (entry["patient"] in kept) == held_out:
                yield _read(shared, one, entry, native)


def _read(shared: Path, one: PictureSet, entry: dict[str, Any], native: bool) -> LabelledPicture:
    folder = shared / one.folder
    image = cv2.imread(str(folder / entry["image"]), cv2.IMREAD_COLOR)[..., ::-1]
    masks: dict[str, np.ndarray] = {name: np.zeros(image.shape[:2], bool) for name in one.structures.values()}
    for name, mask in _masks(folder, one, entry, image.shape[:2]):
        masks[name] = masks[name] | mask
    masks |= sides_of_lungs(masks)
    if "cytoplasm" in masks:
        masks["white blood cell"] = masks["cytoplasm"] | masks["nucleus"]
    if not native:
        longest = FINE_SIDE if one.fine else _COARSE_SIDE
        image, masks = scaled(image, masks, longest / max(image.shape[:2]))
    return LabelledPicture(
        of=one, image=np.ascontiguousarray(image), masks=masks, patient=entry["patient"],
        path=f"{one.folder}/{entry['image']}",
    )  # fmt: skip


def scaled(image: np.ndarray, masks: dict[str, np.ndarray], scale: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A picture and its masks at another size."""
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=how), {
        name: cv2.resize(mask.astype(np.float32), size, interpolation=how) > 0.5 for name, mask in masks.items()
    }


def sides_of_lungs(masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The patient's left and right lung where a radiograph has both in one mask, or the lungs where it has each.

    The patient's right lung is on the left of a frontal radiograph. Where the lungs touch, nothing is added.
    """
    if "left lung" in masks:
        return {"lungs": masks["left lung"] | masks["right lung"]}
    if "lungs" not in masks:
        return {}
    _, names, facts, centres = cv2.connectedComponentsWithStats(masks["lungs"].astype(np.uint8))
    large = [
        number for number in range(1, len(facts))
        if facts[number, cv2.CC_STAT_AREA] > 0.15 * masks["lungs"].sum()
    ]  # fmt: skip
    if len(large) != 2:
        return {}
    first, second = sorted(large, key=lambda number: centres[number][0])
    middle = (centres[first][0] + centres[second][0]) / 2
    column = np.arange(names.shape[1])[None]
    return {
        "right lung": masks["lungs"] & ((names == first) | ((names != second) & (column < middle))),
        "left lung": masks["lungs"] & ((names == second) | ((names != first) & (column >= middle))),
    }


def _masks(
    folder: Path, one: PictureSet, entry: dict[str, Any], shape: tuple[int, int]
) -> Iterator[tuple[str, np.ndarray]]:
    for mask in entry["masks"]:
        if mask.get("annotator", "1stHO") != "1stHO":
            continue  # the second observer's vessels are for tests of agreement
        values = cv2.imread(str(folder / mask["file"]), cv2.IMREAD_UNCHANGED)
        values = values[..., 0] if values.ndim == 3 else values
        if values.shape != shape:
            values = cv2.resize(values, shape[::-1], interpolation=cv2.INTER_NEAREST)
        if mask.get("kind") == "labelmap" or "label" not in mask:
            for value, name in one.structures.items():
                yield name, values == int(value)
        elif mask["label"] in one.structures:
            yield one.structures[mask["label"]], values > 0
