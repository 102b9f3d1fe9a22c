"""`LabelledMask`: a mask somebody drew or computed, as a file names it."""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Bool, Float
from numpy import ndarray

from medseg.study.study import Notice


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledMask:
    """One segment or region of interest, on the voxels of the volume it was read for."""

    label: str
    """What the file calls it."""
    number: int
    """Its number in the file."""
    mask: Bool[ndarray, "i j k"] = field(repr=False)
    """Where it is."""
    fraction: Float[ndarray, "i j k"] | None = field(default=None, repr=False)
    """Probability or occupancy, 0-1, of fractional segments; None for others."""
    code: tuple[str, str, str] | None = None
    """Scheme, value and meaning of what it is, as `("SCT", "10200004", "Liver")`; None where the file has none."""
    colour: tuple[int, int, int] | None = None
    """sRGB colour the file recommends, 0-255."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledMasks:
    """What a segmentation or a structure set holds."""

    masks: tuple[LabelledMask, ...]
    """In the order of their numbers; empty ones included."""
    notices: tuple[Notice, ...] = ()
    """What did not fit the volume's voxels, and what was done about it."""
