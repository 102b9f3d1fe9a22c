"""Text that may tell who a patient is: header fields, names as DICOM writes them, dates, numbers, addresses."""

from __future__ import annotations

import re

_SIGNS: dict[str, re.Pattern[str]] = {
    "a DICOM tag": re.compile(r"\([0-9A-Fa-f]{4},\s?[0-9A-Fa-f]{4}\)"),
    "a DICOM field": re.compile(
        r"\b(?:Patient(?:'s|s)?\s?(?:Name|ID|Birth\s?Date|Address|Sex|Age)|AccessionNumber|InstitutionName|"
        r"(?:ReferringPhysician|Operators?|PerformingPhysician)(?:'s|s)?Name|(?:Study|Series|SOP)InstanceUID)\b",
        re.IGNORECASE,
    ),
    "a name as DICOM writes it": re.compile(r"[^\W\d_]+\^[^\W\d_]*"),
    "a UID": re.compile(r"\b[0-2](?:\.\d+){5,}\b"),
    "a date": re.compile(
        r"\b(?:19|20)\d\d[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])\b"
        r"|\b(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|1[0-2])[-/.](?:19|20)?\d\d\b"
        r"|\b(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\b"
    ),
    "a date of birth": re.compile(r"\b(?:DOB|date of birth|born (?:on|in)|geb\.)", re.IGNORECASE),
    "a number of a record": re.compile(
        r"\b(?:MRN|medical record|accession|case no\.?|patient no\.?)\W*\d", re.IGNORECASE
    ),
    "an e-mail address": re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.]+\b"),
    "a telephone number": re.compile(r"(?<![\w.])\+?\d{2,4}[ /-]\d{3,}[ /-]?\d{2,}\b"),
    "a title with a name": re.compile(r"\b(?:Mr|Mrs|Ms|Herr|Frau)\.? [A-Z]\w+"),
}


def private_signs(text: str) -> tuple[str, ...]:
    """What in a text may tell who a patient is, in words; the text itself is not repeated.

    Example:
        >>> private_signs("Mark the lesion of DOE^JANE."), private_signs("Mark the liver.")
        (('a name as DICOM writes it',), ())
    """
    return tuple(sign for sign, pattern in _SIGNS.items() if pattern.search(text))
