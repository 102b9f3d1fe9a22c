"""Numbers of a finding as measurements of a structured report, in UCUM units."""

from __future__ import annotations

from highdicom import sr
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from medseg.study.finding import Finding
from medseg.study.volume import Volume

_MILLILITRE = Code("ml", "UCUM", "milliliter")
_PIXELS = Code("{pixels}", "UCUM", "pixels")
_UNITS = {
    "HU": codes.UCUM.HounsfieldUnit,
    "SUV": Code("{SUVbw}g/ml", "UCUM", "Standardized Uptake Value body weight"),
    "Bq/ml": Code("Bq/ml", "UCUM", "Becquerels/milliliter"),
    "Gy": Code("Gy", "UCUM", "Gray"),
}
_INTENSITY = Code("MEAN_INTENSITY", "99MEDSEG", "Mean stored intensity")
"""Where DICOM has no word for what the numbers of an image mean."""


def measurements_of(finding: Finding, volume: Volume) -> list[sr.Measurement]:
    """Volume, area, axes and mean intensity as far as they are known, and the probability of presence."""
    found = [sr.Measurement(name=codes.DCM.Probability, value=round(finding.presence, 6), unit=codes.UCUM.NoUnits)]
    measured = finding.quantities
    if measured is None:
        return found
    rows: list[tuple[Code, float | None, Code]] = [
        (codes.SCT.Volume, measured.volume_ml, _MILLILITRE),
        (codes.SCT.LongAxis, measured.long_axis_mm, codes.UCUM.Millimeter),
        (codes.SCT.ShortAxis, measured.short_axis_mm, codes.UCUM.Millimeter),
    ]
    found += [_number(name, value, unit) for name, value, unit in rows if value is not None]
    if measured.area_mm2 is not None:
        found.append(_number(codes.SCT.Area, measured.area_mm2, codes.UCUM.SquareMillimeter))
    else:
        found.append(_number(codes.SCT.Area, float(measured.area_pixels), _PIXELS))
    if measured.intensity_mean is not None:
        unit = _UNITS.get(measured.unit, codes.UCUM.NoUnits)
        name = _intensity(measured.unit, volume.modality)
        found.append(_number(name, measured.intensity_mean, unit, derivation=codes.SCT.Mean))
    return found


def _intensity(unit: str, modality: str) -> Code:
    if unit == "HU":
        return codes.DCM.AttenuationCoefficient
    if unit == "SUV":
        return Code("126401", "DCM", "SUVbw")
    if unit == "Gy":
        return codes.DCM.AbsorbedDose
    return codes.DCM.MRSignalIntensity if modality == "MR" else _INTENSITY


def _number(name: Code, value: float, unit: Code, derivation: Code | None = None) -> sr.Measurement:
    return sr.Measurement(name=name, value=float(f"{value:.8g}"), unit=unit, derivation=derivation)
