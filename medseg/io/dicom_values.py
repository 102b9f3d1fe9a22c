"""Values of DICOM elements that may be missing or broken, without an error that quotes them."""

from __future__ import annotations

import math
import struct

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue

from medseg.errors import StudyFileError

_BROKEN = (
    ArithmeticError, AttributeError, BytesLengthException, LookupError, RuntimeError, TypeError, ValueError,
    struct.error,
)  # fmt: skip


def word(header: Dataset, keyword: str) -> str:
    """The text of an element, several values joined by spaces; empty where it is missing or broken."""
    value = _value(header, keyword)
    if value is None:
        return ""
    if isinstance(value, MultiValue | list | tuple):
        return " ".join(str(one).strip() for one in value)
    return str(value).strip("\0 ")


def numbers(header: Dataset, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """The numbers of an element, None where it is missing or empty.

    Raises:
        StudyFileError: they are not `count` finite numbers.
    """
    value = _value(header, keyword)
    several = value if isinstance(value, MultiValue | list | tuple) else [value]
    if value is None or value == "" or len(several) == 0:
        return None
    try:
        found = tuple(float(str(one)) for one in several)
    except _BROKEN:
        found = ()
    if not found or not all(math.isfinite(one) for one in found) or (count is not None and len(found) != count):
        raise StudyFileError(
            f"DICOM header: expected {count or 'some'} finite numbers as {keyword}, found something else. "
            "Export the series again."
        )
    return found


def one_number(header: Dataset, keyword: str) -> float | None:
    """The first number of an element, None where it is missing or empty."""
    found = numbers(header, keyword)
    return None if found is None else found[0]


def count_of(header: Dataset, keyword: str) -> int | None:
    """A count, None where it is missing, broken or negative."""
    try:
        count = int(float(str(_value(header, keyword))))
    except _BROKEN:
        return None
    return count if count >= 0 else None


def _value(header: Dataset, keyword: str) -> object:
    try:
        return header.get(keyword)
    except _BROKEN:
        return None
