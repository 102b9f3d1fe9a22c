"""Colours as DICOM SEG stores them (CIELab) and back; which finding has which stands in `finding_colours`."""

from __future__ import annotations

from highdicom.color import CIELabColor


def as_cielab(colour: tuple[int, int, int]) -> CIELabColor:
    """The colour as DICOM SEG stores it.

    Example:
        >>> [round(value) for value in as_cielab((255, 255, 255)).value]
        [65535, 32897, 32893]
    """
    return CIELabColor.from_rgb(*(float(part) for part in colour))


def as_rgb(stored: tuple[int, ...]) -> tuple[int, int, int]:
    """The sRGB colour of a stored CIELab value, rounded."""
    rgb = CIELabColor.from_dicom_value(list(stored)).to_rgb()
    return round(rgb[0]), round(rgb[1]), round(rgb[2])
