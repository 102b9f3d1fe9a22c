"""Colours of findings: fixed, far apart for every kind of colour vision, with text that can be read on them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from medseg.errors import InvalidInputError
from medseg.study.finding_colours import FINDING_COLOURS, finding_colour

# Viénot, Brettel and Mollon (1999): linear RGB seen without long-wave and without middle-wave cones.
WITHOUT_CONES = {
    "protanopia": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
    "deuteranopia": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
}


def linear(rgb: tuple[int, int, int]) -> np.ndarray:
    shares = np.array(rgb) / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = to_xyz @ np.clip(light, 0, 1) / [0.9505, 1.0, 1.089]
    bent = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * bent[1] - 16, 500 * (bent[0] - bent[1]), 200 * (bent[1] - bent[2])])


@pytest.mark.parametrize("kind", [None, *WITHOUT_CONES])
def test_any_two_differ_for_every_eye(kind: str | None) -> None:
    seen = np.eye(3) if kind is None else np.array(WITHOUT_CONES[kind])
    places = [lab(seen @ linear(colour.rgb)) for colour in FINDING_COLOURS]
    # A difference of 2.3 is just noticeable.
    assert min(np.linalg.norm(one - other) for one, other in combinations(places, 2)) > 10


def test_text_on_each_colour_can_be_read() -> None:
    for colour in FINDING_COLOURS:
        light = float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour.rgb))
        contrast = (light + 0.05) / 0.05 if colour.dark_text else 1.05 / (light + 0.05)
        assert contrast >= 4.5, colour.name


def test_colours_follow_the_number() -> None:
    assert finding_colour(1).hex == "#56b4e9"
    assert finding_colour(8) is finding_colour(1)
    with pytest.raises(InvalidInputError, match="found 0"):
        finding_colour(0)
