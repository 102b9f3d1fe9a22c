"""Names that files of others give to segments and regions, without any word of the patient's name."""

from __future__ import annotations

from pydicom.dataset import Dataset

from medseg.io.dicom_privacy import harmless, names_in
from medseg.io.dicom_values import word


def harmless_name(text: str, header: Dataset, otherwise: str) -> str:
    """`text`, or `otherwise` where it is empty or holds a word of a tag that names somebody."""
    return harmless(text, names_in(header)) or otherwise


def code_of(item: Dataset | None) -> tuple[str, str, str] | None:
    """Scheme, value and meaning of a code sequence's item; None where there is none."""
    if item is None or not word(item, "CodeValue"):
        return None
    return word(item, "CodingSchemeDesignator"), word(item, "CodeValue"), word(item, "CodeMeaning")
