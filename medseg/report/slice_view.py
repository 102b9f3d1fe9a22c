"""A slice as square pixels for the eye: grey values or colours, masks, which sides it shows, how long a pixel is.

All of it follows the plan of slices, so pictures are seen as radiologists see them: the patient's right on the left.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from PIL import Image

from medseg.errors import InvalidInputError
from medseg.study.affine import axis_codes
from medseg.study.slice_axis import slice_axis, source_slice_axis, source_slice_numbers
from medseg.study.slice_plan import SlicePlan
from medseg.study.volume import Volume
from medseg.study.windows import IntensityWindow, show

_SIDES = (("L", "R"), ("P", "A"), ("I", "S"))
_OPPOSITE = str.maketrans("LRPAIS", "RLAPSI")
_OBLIQUE = 0.35
"""Cosine from which a second patient axis is named at a side, as `AL`: about 20 degrees."""
_NEVER_SMALLER = 0.8
"""Pictures are made smaller only where they would have to be smaller than this share."""
_HALF_STEPS_UP_TO = 3.0
_TOWARDS = {"R": "right", "L": "left", "A": "front", "P": "back", "S": "head", "I": "feet"}


def shown_slice(
    volume: Volume, plan: SlicePlan, number: int, window: IntensityWindow
) -> UInt8[ndarray, "height width 3"]:
    """One slice in its window, as RGB; only that slice is converted.

    Raises:
        InvalidInputError: there is no such slice, or the voxels are neither grey nor RGB.
    """
    channels = volume.voxels.shape[3:]
    if channels not in ((), (1,), (3,)):
        raise InvalidInputError(f"Picture: expected grey values or RGB, found {channels[0]} channels. Choose three.")
    values = plan.picture(volume, number)
    seen = show(replace(volume, voxels=values[:, :, None]), window)[:, :, 0]
    return np.ascontiguousarray(np.broadcast_to(seen if seen.ndim == 3 else seen[..., None], (*values.shape[:2], 3)))


def display_size(plan: SlicePlan, side: int) -> tuple[int, int]:
    """Width and height on the screen: pixels square on the patient, the longer side near `side`.

    Pictures near that size keep their pixels; smaller ones grow by whole numbers (by halves up to three times).
    """
    height, width = plan.square_size
    factor = side / max(height, width)
    if factor >= _HALF_STEPS_UP_TO:
        factor = math.floor(factor)
    elif factor >= _NEVER_SMALLER:
        factor = max(1.0, math.floor(2 * factor) / 2)
    return max(1, round(width * factor)), max(1, round(height * factor))


def display_mask(
    mask: Bool[ndarray, "height width"], size: tuple[int, int]
) -> Bool[ndarray, "display_height display_width"]:
    """The mask at another size (width, height): grown by whole pixels, and no pixel of it is lost where it shrinks."""
    grown = Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).resize(size, Image.Resampling.BOX)
    return np.asarray(grown) > 0


def side_marks(volume: Volume, plan: SlicePlan) -> dict[str, str]:
    """Letters of the patient's sides at `left`, `right`, `top`, `bottom`; two where oblique; empty for pictures."""
    if volume.space != "patient":
        return {}
    placed = plan.move.affine(volume.voxel_to_ras, volume.shape)
    bottom, right = _letters(placed[:3, 1]), _letters(placed[:3, 2])
    return {
        "left": right.translate(_OPPOSITE),
        "right": right,
        "top": bottom.translate(_OPPOSITE),
        "bottom": bottom,
    }


def slice_caption(volume: Volume, plan: SlicePlan, number: int) -> str:
    """Which slice it is, in words and by its index in the files' grid; empty where there is one alone.

    Example:
        >>> from medseg.study.slice_plan import plan_slices
        >>> from medseg.study.volume import volume_in_memory
        >>> volume = volume_in_memory(np.zeros((4, 5, 6)), np.diag([1.0, 1.0, 3.0, 1.0]))
        >>> slice_caption(volume, plan_slices(volume), 1)
        'axial slice 2 of 6, k = 1'
    """
    if plan.shape[0] == 1:
        return ""
    kind = f"{plan.plane} slice" if volume.space == "patient" else "frame"
    words = f"{kind} {number + 1} of {plan.shape[0]}"
    axis = plan.move.order[0]
    if axis != slice_axis(volume):
        return words
    index = plan.shape[0] - 1 - number if plan.move.flips[0] else number
    return f"{words}, {'ijk'[source_slice_axis(volume.source)]} = {source_slice_numbers(volume)[index]}"


def counting_text(volume: Volume, plan: SlicePlan) -> str:
    """Where slices are counted to, as `slices count towards the head`; empty for pictures."""
    if volume.space != "patient" or plan.shape[0] == 1:
        return ""
    code = axis_codes(plan.move.affine(volume.voxel_to_ras, volume.shape))[0]
    return f"slices count towards the {_TOWARDS[code]}"


def round_length(longest: float) -> float:
    """The longest of 1, 2 and 5 times a power of ten that is not above `longest`.

    Example:
        >>> [round_length(length) for length in (0.3, 4.9, 5.0, 130.0)]
        [0.2, 2.0, 5.0, 100.0]
    """
    power = 10.0 ** math.floor(math.log10(longest) + 1e-9)
    step = max(step for step in (1, 2, 5) if step * power <= longest * (1 + 1e-9))
    return float(f"{step * power:.1g}")


def _letters(step: Float[ndarray, "3"]) -> str:
    """Patient sides a step runs to, the nearest first."""
    cosines = step / np.linalg.norm(step)
    axes = sorted(range(3), key=lambda axis: -abs(cosines[axis]))
    named = [axes[0], *(axis for axis in axes[1:] if abs(cosines[axis]) >= _OBLIQUE)]
    return "".join(_SIDES[axis][int(cosines[axis] > 0)] for axis in named)
