"""Coded words for segments: a phrase as `left lung` or `liver tumour` as SNOMED CT concepts that DICOM readers know.

The table is small and holds what it holds; a phrase outside it is coded as `Tissue`, or as `Morphologically Abnormal
Structure` where a word as `opacity` says that much. The phrase itself is always the segment's label, whatever its code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

_ORGANS: dict[str, str] = {
    "adrenal gland": "AdrenalGland", "aorta": "Aorta", "artery": "Artery", "bone": "Bone", "brain": "Brain",
    "breast": "Breast", "cell": "Cell", "clavicle": "Clavicle", "colon": "Colon", "duodenum": "Duodenum",
    "esophagus": "Esophagus", "eye": "Eye", "fat": "AdiposeTissue", "femur": "Femur", "gallbladder": "Gallbladder",
    "head": "Head", "heart": "Heart", "hip": "Hip", "hippocampus": "Hippocampus", "humerus": "Humerus",
    "inferior vena cava": "InferiorVenaCava", "kidney": "Kidney", "liver": "Liver", "lung": "Lung",
    "lymph node": "LymphNode", "muscle": "Muscle", "nucleus": "Nucleus", "optic disc": "OpticDiscStructure",
    "pancreas": "Pancreas", "pelvis": "Pelvis", "pericardium": "Pericardium", "portal vein": "PortalVein",
    "prostate": "Prostate", "rectum": "Rectum", "rib": "Rib", "sacrum": "Sacrum", "scapula": "Scapula", "skin": "Skin",
    "small bowel": "SmallIntestine", "small intestine": "SmallIntestine", "spinal cord": "SpinalCord",
    "spleen": "Spleen", "sternum": "Sternum", "stomach": "Stomach", "thyroid": "Thyroid", "tooth": "Tooth",
    "trachea": "Trachea", "urinary bladder": "UrinaryBladderStructure", "bladder": "UrinaryBladderStructure",
    "uterus": "Uterus", "vein": "Vein", "vertebra": "Vertebra", "vessel": "BloodVessel",
}  # fmt: skip
_ABNORMAL: dict[str, str] = {
    "abscess": "Abscess", "aneurysm": "Aneurysm", "cancer": "Neoplasm", "cyst": "Cyst", "edema": "Edema",
    "effusion": "Effusion", "embolus": "Embolus", "hematoma": "Hematoma", "hemorrhage": "Hemorrhage",
    "lesion": "Lesion", "mass": "Mass", "metastasis": "Metastasis", "necrosis": "Necrosis", "neoplasm": "Neoplasm",
    "nodule": "Nodule", "pleural effusion": "PleuralEffusion", "stenosis": "Stenosis", "thrombus": "Thrombus",
    "tumor": "Neoplasm", "ulcer": "Ulcer",
}  # fmt: skip
_ABNORMAL_AT_LARGE = {"abnormality", "consolidation", "fracture", "glioma", "infarct", "infiltrate", "opacity",
                      "pneumonia", "pneumothorax", "polyp", "wound"}  # fmt: skip
_SPELLINGS = {
    "bowels": "bowel", "cancers": "cancer", "haematoma": "hematoma", "haemorrhage": "hemorrhage", "kidneys": "kidney",
    "metastases": "metastasis", "metastatic": "metastasis", "nuclei": "nucleus", "oedema": "edema",
    "oesophagus": "esophagus", "opacities": "opacity", "abnormalities": "abnormality", "hepatic": "liver",
    "masses": "mass", "nodes": "node", "pulmonary": "lung", "renal": "kidney", "splenic": "spleen", "teeth": "tooth",
    "tumour": "tumor", "tumours": "tumor", "vertebrae": "vertebra", "arteries": "artery", "abscesses": "abscess",
}  # fmt: skip
_ENDS_IN_S = {"abscess", "hippocampus", "mass", "nucleus", "pancreas", "pelvis", "uterus", "esophagus", "humerus",
              "stenosis", "necrosis", "embolus", "thrombus", "metastasis"}  # fmt: skip
_LEFT = Code("7771000", "SCT", "Left")
_RIGHT = Code("24028007", "SCT", "Right")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCode:
    """What kind of thing a segment is, in codes."""

    category: Code
    """Anatomical structure, tissue, or morphologically abnormal structure."""
    kind: Code
    """As liver, or neoplasm."""
    side: Code | None = None
    """Left or right, where the phrase says so."""
    organ: Code | None = None
    """Where something abnormal lies, where the phrase says so."""


def segment_code(phrase: str) -> SegmentCode:
    """The codes of a phrase; generic ones where the table has none.

    Example:
        >>> found = segment_code("the left lungs")
        >>> found.kind.meaning, found.side.meaning
        ('Lung', 'Left')
        >>> found = segment_code("liver tumour")
        >>> found.category.meaning, found.kind.meaning, found.organ.meaning
        ('Morphologically Abnormal Structure', 'Neoplasm', 'Liver')
        >>> segment_code("something odd").kind.meaning
        'Tissue'
    """
    words = [_singular(word) for word in re.findall(r"[a-z]+", phrase.lower())]
    text = f" {' '.join(words)} "
    side = _LEFT if " left " in text else _RIGHT if " right " in text else None
    if " left " in text and " right " in text:
        side = None
    organ, abnormal = _longest(text, _ORGANS), _longest(text, _ABNORMAL)
    if abnormal is None and not _ABNORMAL_AT_LARGE.isdisjoint(words):
        abnormal = codes.SCT.MorphologicallyAbnormalStructure
    if abnormal is not None:
        return SegmentCode(category=codes.SCT.MorphologicallyAbnormalStructure, kind=abnormal, side=side, organ=organ)
    if organ is not None:
        return SegmentCode(category=codes.SCT.AnatomicalStructure, kind=organ, side=side)
    return SegmentCode(category=codes.SCT.Tissue, kind=codes.SCT.Tissue, side=side)


def coded_phrases() -> tuple[str, ...]:
    """The phrases that have a code of their own."""
    return tuple(sorted({*_ORGANS, *_ABNORMAL}))


def _longest(text: str, table: dict[str, str]) -> Code | None:
    """The code of the last of the longest phrases of `table` in `text`: `portal vein` before `vein`."""
    found = [phrase for phrase in table if f" {phrase} " in text]
    if not found:
        return None
    chosen = max(found, key=lambda phrase: (phrase.count(" "), text.rfind(f" {phrase} ")))
    return getattr(codes.SCT, table[chosen])


def _singular(word: str) -> str:
    if word in _SPELLINGS:
        return _SPELLINGS[word]
    if word in _ENDS_IN_S or len(word) < 4 or not word.endswith("s"):
        return word
    return word[:-1]
