"""`measure`: what a mask says in millilitres and millimetres. Numbers are computed from the mask, never read by eye."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool
from numpy import ndarray

from medseg.study.volume import Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantities:
    """What was measured in a mask."""

    voxels: int
    """Voxels of the mask."""
    volume_ml: float | None
    """Millilitres; None for pictures and for spacings nobody knows."""
    area_mm2: float | None
    """Area of the mask in its largest slice, square millimetres; None where spacing is unknown."""
    area_pixels: int
    """The same in pixels."""
    long_axis_mm: float | None
    """Longest diameter within a slice (as RECIST measures it), computed; None where spacing is unknown."""
    short_axis_mm: float | None
    """Longest diameter at right angles to it in that slice, computed."""
    axis_slice: int
    """Slice k of the two diameters."""
    components: int
    """Separate parts (26 neighbours)."""
    touches_border: bool
    """Whether the mask reaches the border of the volume along an axis, so that some of it may lie outside."""
    intensity_mean: float | None
    """Mean value inside, in the volume's unit; None for colour."""
    intensity_std: float | None
    """Standard deviation inside."""
    intensity_min: float | None
    """Smallest value inside."""
    intensity_max: float | None
    """Largest value inside."""
    unit: str
    """Unit of the intensities."""


def measure(mask: Bool[ndarray, "i j k"], volume: Volume) -> Quantities | None:
    """What is measured in `mask`, or None where it is empty.

    Raises:
        InvalidInputError: the mask is not on the volume's grid.
    """
    raise NotImplementedError
