"""What a pixel can show, by number: the shapes, things and structures the vision tower learns to tell apart."""

from __future__ import annotations

from data.recipes.household.catalogue import KINDS
from data.recipes.household.palette import NAMED

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "diamond", "hexagon", "heart", "moon")
STRUCTURES = (
    "tumour", "kidney tumour", "liver", "lungs", "airways", "heart shadow", "ground glass opacities", "consolidation",
    "left ventricle", "heart muscle", "left atrium", "cell membrane", "blood vessels", "nucleus", "glioma", "polyp",
    "fetal head", "cytoplasm", "wound", "hippocampus", "spinal cord",
)  # fmt: skip
"""Structures of the medical pictures; `heart shadow` is the cardiomediastinum of a chest X-ray."""
WHAT = ("nothing", *SHAPES, *(f"a {kind}" for kind in KINDS), *STRUCTURES)
COLOURS = ("none", *NAMED)


def what_number(name: str) -> int:
    """The number of a shape or structure, or of a household kind written `a mug`."""
    return WHAT.index(name)


def colour_number(name: str) -> int:
    """The number of a colour."""
    return COLOURS.index(name)
