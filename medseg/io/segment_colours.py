"""Colours of segments: one list for DICOM SEG (CIELab) and RTSTRUCT (RGB), in the order of the findings."""

from __future__ import annotations

from highdicom.color import CIELabColor

SEGMENT_COLOURS = (
    (230, 25, 75), (60, 180, 75), (0, 130, 200), (245, 130, 48), (145, 30, 180), (70, 240, 240), (240, 50, 230),
    (210, 245, 60), (250, 190, 212), (0, 128, 128), (220, 190, 255), (170, 110, 40), (255, 225, 25),
)  # fmt: skip
"""sRGB, 0-255; far apart in hue and lightness. From the fourteenth finding on they begin again."""


def segment_colour(number: int) -> tuple[int, int, int]:
    """The colour of a finding, `number` counted from 0."""
    return SEGMENT_COLOURS[number % len(SEGMENT_COLOURS)]


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
