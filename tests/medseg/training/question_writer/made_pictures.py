"""Small pictures whose masks are boxes, one for each kind of set."""

from __future__ import annotations

import numpy as np

from medseg.training.question_writer.picture_facts import PictureFacts

SIDE = 96


def box(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top:bottom, left:right] = True
    return mask


NOTHING = box(0, 0, 0, 0)
RIGHT_LUNG, LEFT_LUNG = box(20, 8, 80, 35), box(20, 60, 76, 88)


def chest(**changes: object) -> PictureFacts:
    masks = {
        "left lung": LEFT_LUNG,
        "right lung": RIGHT_LUNG,
        "heart shadow": box(45, 38, 80, 58),
        "consolidation": NOTHING,
        "ground glass opacities": box(30, 12, 45, 25),
    }
    return PictureFacts(**{"modality": "X-ray", "body_part": "chest", "masks": masks, **changes})


def both_lungs(**changes: object) -> PictureFacts:
    facts = {"modality": "X-ray", "body_part": "chest", "masks": {"lungs": RIGHT_LUNG | LEFT_LUNG}, "complete": False}
    return PictureFacts(**{**facts, **changes})


def heart() -> PictureFacts:
    chamber = box(15, 30, 45, 60)
    masks = {
        "left ventricle": chamber,
        "heart muscle": box(8, 22, 45, 68) & ~chamber,
        "left atrium": box(50, 32, 75, 58),
    }
    return PictureFacts(modality="ultrasound", body_part="heart", masks=masks)


def blood_cell() -> PictureFacts:
    core = box(40, 40, 58, 56)
    return PictureFacts(
        modality="microscopy", body_part="blood", masks={"nucleus": core, "cytoplasm": box(30, 30, 70, 70) & ~core}
    )


def two_polyps() -> PictureFacts:
    masks = {"polyp": box(10, 10, 30, 30) | box(50, 60, 62, 72)}
    return PictureFacts(modality="endoscopy", body_part="colon", masks=masks)


def healthy_breast() -> PictureFacts:
    return PictureFacts(modality="ultrasound", body_part="breast", masks={"breast tumour": NOTHING})


def hippocampus_volume() -> PictureFacts:
    front, back = np.zeros((12, 14, 12), bool), np.zeros((12, 14, 12), bool)
    front[3:9, 8:12, 3:9] = True
    back[3:9, 3:8, 3:9] = True
    return PictureFacts(
        modality="MRI", body_part="brain", masks={"anterior hippocampus": front, "posterior hippocampus": back}
    )


PICTURES = {
    "chest": chest(),
    "both lungs": both_lungs(),
    "mirrored lungs": both_lungs(mirrored=True),
    "heart": heart(),
    "blood cell": blood_cell(),
    "two polyps": two_polyps(),
    "healthy breast": healthy_breast(),
    "hippocampus volume": hippocampus_volume(),
}
