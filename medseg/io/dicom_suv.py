"""The factor from activity to the standardised uptake value of PET, by body weight."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta

from pydicom.dataset import Dataset

from medseg.errors import StudyFileError
from medseg.io.dicom_values import one_number, word

SUV_TAGS = (
    "PatientWeight", "RadiopharmaceuticalInformationSequence", "DecayCorrection", "CorrectedImage", "SeriesDate",
    "SeriesTime", "AcquisitionDate", "AcquisitionTime",
)  # fmt: skip
"""What the factor is made of."""
_LEAST_DOSE_BQ = 1e5
"""Below, the dose was written in MBq: no person is given less."""
_LONGEST = timedelta(hours=24)
"""Between injection and scan."""


def suv_factor(header: Dataset) -> float | None:
    """What Bq/ml are multiplied by to become SUV (g/ml); None where the header does not say enough to be sure.

    Activity must be corrected for attenuation and for decay, to the start of the scan or to the injection. The dose is
    brought to the same time. The start is that of the series, which must not lie behind the acquisition.

    Source:
        The vendor-neutral pseudocode of the Quantitative Imaging Biomarkers Alliance, its path for BQML.
    """
    drug = (header.get("RadiopharmaceuticalInformationSequence") or [None])[0]
    corrected = word(header, "CorrectedImage").split()
    if drug is None or word(header, "Units") != "BQML" or not {"ATTN", "DECY"} <= set(corrected):
        return None
    try:
        weight, dose = one_number(header, "PatientWeight"), one_number(drug, "RadionuclideTotalDose")
        half_life = one_number(drug, "RadionuclideHalfLife")
    except StudyFileError:
        return None
    if not weight or not dose or not half_life or min(weight, half_life) <= 0 or dose < _LEAST_DOSE_BQ:
        return None
    correction = word(header, "DecayCorrection")
    if correction == "ADMIN":
        return 1000 * weight / dose
    waited = _waited(header, drug) if correction == "START" else None
    if waited is None:
        return None
    return 1000 * weight / (dose * math.exp2(-waited.total_seconds() / half_life))


def _waited(header: Dataset, drug: Dataset) -> timedelta | None:
    """Time from injection to scan."""
    scan = _moment(word(header, "SeriesDate") + word(header, "SeriesTime"))
    acquired = _moment(word(header, "AcquisitionDate") + word(header, "AcquisitionTime"))
    if scan is None or (acquired is not None and scan > acquired):
        return None
    injected = _moment(word(drug, "RadiopharmaceuticalStartDateTime"))
    if injected is None:
        injected = _moment(word(header, "SeriesDate") + word(drug, "RadiopharmaceuticalStartTime"))
        if injected is not None and injected > scan:  # given before midnight
            injected -= timedelta(days=1)
    if injected is None:
        return None
    waited = scan - injected
    return waited if timedelta() <= waited <= _LONGEST else None


def _moment(text: str) -> datetime | None:
    """A DICOM date and time, YYYYMMDDHHMMSS with fractions; None where it is not whole."""
    digits = re.match(r"\d{14}", text.replace(":", ""))
    if digits is None:
        return None
    try:
        return datetime.strptime(digits.group(), "%Y%m%d%H%M%S")
    except ValueError:
        return None
