"""Which words of a DICOM header may be said: those that name nobody.

Tags that name people or places are read for one purpose, to tell whether another text holds a word of them.
"""

from __future__ import annotations

import hashlib
import re

from pydicom.dataset import Dataset

from medseg.io.dicom_values import word

NAME_TAGS = (
    "PatientName", "PatientID", "OtherPatientNames", "OtherPatientIDs", "PatientBirthName", "PatientMotherBirthName",
    "PatientAddress", "PatientTelephoneNumbers", "ResponsiblePerson", "ReferringPhysicianName",
    "PerformingPhysicianName", "RequestingPhysician", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy",
    "OperatorsName", "InstitutionName", "InstitutionAddress", "AccessionNumber", "StudyID",
)  # fmt: skip
"""Tags whose words must not be said."""
MODALITIES = frozenset({
    "AR", "AS", "BDUS", "BI", "BMD", "CD", "CF", "CFM", "CP", "CR", "CS", "CT", "CTPROTOCOL", "DD", "DF", "DG",
    "DM", "DMS", "DOC", "DS", "DX", "EC", "ECG", "EEG", "EM", "EMG", "EOG", "EPS", "ES", "FA", "FID", "FS", "GM",
    "HC", "HD", "IO", "IOL", "IVOCT", "IVUS", "KER", "KO", "LEN", "LP", "LS", "MA", "MG", "MR", "MS", "NM", "OAM",
    "OCT", "OP", "OPM", "OPR", "OPT", "OPTBSV", "OPTENF", "OPV", "OSS", "OT", "PA", "PLAN", "POS", "PR", "PT", "PX",
    "REG", "RESP", "RF", "RG", "RTDOSE", "RTIMAGE", "RTINTENT", "RTPLAN", "RTRAD", "RTRECORD", "RTSEGANN",
    "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "ST", "STAIN", "TEXTUREMAP", "TG", "US", "VA", "VF", "XA",
    "XAPROTOCOL", "XC",
})  # fmt: skip
"""Words DICOM knows for a modality (PS3.3, C.7.3.1.1.1), retired ones too."""
PHOTOMETRICS = frozenset({
    "MONOCHROME1", "MONOCHROME2", "RGB", "HSV", "ARGB", "CMYK", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422",
    "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "PALETTE COLOR",
})  # fmt: skip
"""Words DICOM knows for the meaning of pixels (PS3.3, C.7.6.3.1.2)."""
_IMAGE_TYPES = frozenset({
    "ORIGINAL", "DERIVED", "MIXED", "PRIMARY", "SECONDARY", "AXIAL", "LOCALIZER", "VOLUME", "NONE", "OTHER", "M",
    "P", "R", "I", "FFE", "SE", "IR", "M_FFE", "M_SE", "M_IR", "P_FFE", "P_SE", "R_IR", "I_SE", "ADC", "T1", "T2",
    "DIFFUSION", "FLAIR", "DIXON", "WATER", "FAT", "IN_PHASE", "OUT_PHASE", "OPP_PHASE", "NORM", "DIS2D", "DIS3D",
    "ND", "MPR", "MIP", "MINIP", "PHASE", "MAGNITUDE", "REAL", "IMAGINARY", "AVERAGE", "SUBTRACTION", "MASK",
    "ATTENUATION", "EMISSION", "TRANSMISSION", "RECON", "TOMO", "STATIC", "DYNAMIC", "GATED", "WHOLE", "BODY",
    "PERFUSION", "REFORMATTED", "RESAMPLED", "MAX", "MEAN", "QUANTITY",
})  # fmt: skip
"""Words of an image type that may be said; makers add their own, and people may have written there."""
_CODE = re.compile(r"[A-Z0-9_ ]{1,48}")


def names_in(header: Dataset) -> tuple[str, ...]:
    """Words of the tags that name somebody, in small letters."""
    said = " ".join(word(header, tag) for tag in NAME_TAGS).lower()
    return tuple(dict.fromkeys(re.findall(r"[^\W_]{2,}", said)))


def harmless(text: str, names: tuple[str, ...]) -> str:
    """The text, or nothing where it holds one of `names`; names of two letters count as whole words alone.

    Example:
        >>> harmless("thorax, Dr. Wu", ("wu",)), harmless("thoracic wunder", ("wu",)), harmless("of Doe2", ("doe",))
        ('', 'thoracic wunder', '')
    """
    lowered = text.lower()
    words = set(re.findall(r"[^\W_]+", lowered))
    named = any(name in words if len(name) < 3 and name.isascii() else name in lowered for name in names)
    return "" if named else text


def harmless_code(text: str, names: tuple[str, ...]) -> str:
    """A word of DICOM's kind (capitals, digits, spaces), or nothing where it is another text or holds a name."""
    return harmless(text, names) if _CODE.fullmatch(text) else ""


def sayable_split(text: str) -> bool:
    """Whether what tells slices apart may be said: numbers, and known words of an image type.

    Example:
        >>> sayable_split("1.5 2"), sayable_split("DERIVED PRIMARY"), sayable_split("Doe")
        (True, True, False)
    """
    return all(part in _IMAGE_TYPES or re.fullmatch(r"[-+]?[0-9]{1,5}(\.[0-9]*)?", part) for part in text.split())


def known_modality(text: str) -> str:
    """DICOM's word for a modality, or nothing for a word that DICOM does not know."""
    return text if text in MODALITIES else ""


def sayable_uid(text: str) -> str:
    """A UID as it is; for a text of another form, a UID made from it, the same each time.

    Example:
        >>> sayable_uid("1.2.840"), sayable_uid(""), sayable_uid("Doe").startswith("2.25.")
        ('1.2.840', '', True)
    """
    if not text or re.fullmatch(r"[0-9.]{1,64}", text):
        return text
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode(errors='replace')).digest()[:15], 'big')}"
