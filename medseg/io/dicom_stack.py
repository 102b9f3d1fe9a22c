"""Slices of a series put in order and onto one affine: gaps, doubles and tilt are refused, or corrected and said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medseg.errors import GeometryError
from medseg.io.dicom_groups import FrameGroup
from medseg.io.dicom_headers import FrameHead
from medseg.study.affine import LPS_TO_RAS
from medseg.study.study import Notice

Gaps = Literal["refuse", "longest"]
Tilt = Literal["shear", "refuse"]
_GAP_SHARE, _GAP_MM = 0.01, 0.01
"""Gaps may differ by this share of their median, or by this much."""
_DRIFT_SHARE = 0.01
"""Share of a pixel the stack may drift sideways, from end to end, and still count as straight."""
_UNIT_SHARE = 1e-2
"""How far direction cosines may be from unit length and from a right angle to be mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Slices in order, and where they lie."""

    frames: tuple[FrameHead | None, ...]
    """One per k; None where a segmentation left an empty slice out."""
    voxel_to_ras: Float[ndarray, "4 4"]
    """From column, row and slice to RAS+ mm."""
    notices: tuple[Notice, ...] = ()
    """What was corrected or assumed."""


def stack_slices(group: FrameGroup, gaps: Gaps = "refuse", tilt: Tilt = "shear") -> Stack:
    """Frames sorted along their normal, and the affine that places them.

    A tilted gantry (slices that move sideways by a constant step) is written into the affine, which then has a shear:
    every voxel lies where the scanner measured it, and no value is interpolated. `straighten` makes the axes
    perpendicular. Several slices of one place are refused, as are uneven gaps; `gaps="longest"` keeps the longest even
    run instead.

    Raises:
        GeometryError: doubles, uneven gaps, or a drift that is no tilt; tilt where `tilt` refuses it.
    """
    across, notices = _directions(group.frames[0])
    normal = np.cross(across[:, 0], across[:, 1])
    places = np.array([frame.position for frame in group.frames], dtype=np.float64)
    order = np.argsort(places @ normal, kind="stable")
    frames, places = [group.frames[number] for number in order], places[order]
    if len(frames) == 1:
        step, more = _single_step(frames[0], normal)
        notices += more
        kept: list[FrameHead | None] = [frames[0]]
    else:
        first, last, more = _even_run(places @ normal, gaps, group.head.modality == "SEG")
        notices += more
        kept, places = [*frames[first:last]], places[first:last]
        if group.head.modality == "SEG":
            kept, places = _with_empty_slices(kept, places, normal, frames[0].depth)
        if len(kept) == 1:
            step, more = _single_step(frames[first], normal)
        else:
            step, more = _slice_step(places, normal, frames[0].spacing or (1.0, 1.0), tilt)
        notices += more
    affine = np.eye(4)
    rows_mm, columns_mm = (frames[0].spacing or (1.0, 1.0))[:2]
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = across[:, 0] * columns_mm, across[:, 1] * rows_mm, step
    affine[:3, 3] = places[0]
    return Stack(frames=tuple(kept), voxel_to_ras=LPS_TO_RAS @ affine, notices=tuple(notices))


def flat_affine(spacing: tuple[float, ...] | None, depth: float | None) -> Float[ndarray, "4 4"]:
    """Where a picture of unknown place is laid: an axial slice with its first pixel at the origin."""
    rows_mm, columns_mm = (spacing or (1.0, 1.0))[:2]
    return LPS_TO_RAS @ np.diag([columns_mm, rows_mm, depth or 1.0, 1.0])


def _directions(frame: FrameHead) -> tuple[Float[ndarray, "3 2"], list[Notice]]:
    """Unit vectors along a row (towards higher columns) and down a column."""
    orientation, spacing = np.asarray(frame.orientation, dtype=np.float64), frame.spacing or (1.0, 1.0)
    across, down = orientation[:3], orientation[3:]
    lengths = np.linalg.norm(across), np.linalg.norm(down)
    off = max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(float(across @ down)))
    if off > _UNIT_SHARE or min(spacing) <= 0:
        raise GeometryError(
            "DICOM series: expected two perpendicular directions of length 1 and positive pixel spacing, found lengths "
            f"{lengths[0]:.4f} and {lengths[1]:.4f}, cosine {float(across @ down):.4f}, spacing {spacing}. "
            "Export the series again."
        )
    across = across / lengths[0]
    down = down - across * float(across @ down)
    down = down / np.linalg.norm(down)
    notices = []
    if off > 1e-3:
        notices.append(Notice(code="directions_mended", text=f"Row and column directions were off by {off:.4f}."))
    return np.stack([across, down], axis=1), notices


def _single_step(frame: FrameHead, normal: Float[ndarray, "3"]) -> tuple[Float[ndarray, "3"], list[Notice]]:
    if frame.depth and frame.depth > 0:
        return normal * frame.depth, []
    text = "One slice without a thickness: taken as 1 mm thick, so volumes in ml are not true."
    return normal * 1.0, [Notice(code="no_slice_distance", text=text)]


def _even_run(heights: Float[ndarray, "slice"], gaps: Gaps, sparse: bool) -> tuple[int, int, list[Notice]]:
    """First and one past the last slice of the run to keep."""
    steps = np.diff(heights)
    median = float(np.median(steps))
    slack = max(_GAP_SHARE * median, _GAP_MM)
    if steps.min() < min(slack, 0.5 * median) or median <= 0:
        double = int(steps.argmin())
        raise GeometryError(
            f"DICOM series: expected one slice per place, found several at {heights[double]:.2f} mm along the normal "
            f"(slice {double + 1} of {len(heights)}). Export one acquisition alone."
        )
    if sparse:
        return 0, len(heights), []
    uneven = np.abs(steps - median) > slack
    if not uneven.any():
        return 0, len(heights), []
    if gaps == "refuse":
        raise GeometryError(_uneven_text(heights, steps, median, int(uneven.argmax())))
    first, last = _longest(heights, steps)
    text = f"Gaps are uneven: kept slices {first + 1} to {last} of {len(heights)}, the longest run of even gaps."
    return first, last, [Notice(code="slices_left_out", text=text)]


def _uneven_text(heights: Float[ndarray, "slice"], steps: ndarray, median: float, worst: int) -> str:
    missing = round(steps[worst] / median) - 1
    whole = abs(steps[worst] - (missing + 1) * median) <= max(0.05 * median, _GAP_MM)
    what = f"{missing} missing slice(s)" if missing > 0 and whole else "an uneven gap"
    return (
        f"DICOM series: expected even gaps of {median:.3f} mm, found {what} of {steps[worst]:.3f} mm after slice "
        f"{worst + 1} of {len(heights)} (at {heights[worst]:.2f} mm along the normal). Export the whole series, or "
        'read it with gaps="longest", which keeps the longest even run.'
    )


def _longest(heights: Float[ndarray, "slice"], steps: ndarray) -> tuple[int, int]:
    best = (0, 1)
    first = 0
    for number in range(1, len(heights) + 1):
        same = number < len(heights) and abs(steps[number - 1] - steps[first]) <= max(
            _GAP_SHARE * steps[first], _GAP_MM
        )
        if not same:
            if number - first > best[1] - best[0]:
                best = (first, number)
            # The gap that broke the run may begin the next one.
            first = number if number == first + 1 else number - 1
    return best


def _slice_step(
    places: Float[ndarray, "slice 3"], normal: Float[ndarray, "3"], spacing: tuple[float, ...], tilt: Tilt
) -> tuple[Float[ndarray, "3"], list[Notice]]:
    step = (places[-1] - places[0]) / (len(places) - 1)
    straight = normal * float(step @ normal)
    pixel = min(spacing)
    astray = np.abs(places - places[0] - np.arange(len(places))[:, None] * step).max()
    if astray > max(0.5 * pixel, 0.02 * float(step @ normal)):
        raise GeometryError(
            f"DICOM series: expected slices in a straight row, found one {astray:.2f} mm beside it. "
            "Export the series again."
        )
    drift = float(np.linalg.norm(step - straight)) * (len(places) - 1)
    if drift <= max(_DRIFT_SHARE * pixel, 1e-4 * float(np.linalg.norm(places[-1] - places[0]))):
        return straight, []
    degrees = float(np.degrees(np.arctan2(np.linalg.norm(step - straight), step @ normal)))
    if tilt == "refuse":
        raise GeometryError(
            f"DICOM series: expected slices above each other, found a gantry tilt of {degrees:.2f} degrees. "
            'Read it with tilt="shear".'
        )
    text = (
        f"The gantry was tilted by {degrees:.2f} degrees: the affine holds the shear, no voxel was changed. "
        "`straighten` makes the axes perpendicular."
    )
    return step, [Notice(code="gantry_tilt", text=text)]


def _with_empty_slices(
    kept: list[FrameHead | None], places: Float[ndarray, "slice 3"], normal: Float[ndarray, "3"], depth: float | None
) -> tuple[list[FrameHead | None], Float[ndarray, "k 3"]]:
    """Slices of a segmentation at even steps; those it left out because they are empty as None."""
    heights = places @ normal
    if len(kept) == 1:
        return kept, places
    step = float(np.diff(heights).min())
    claimed = step / depth if depth else 0.0
    if depth and round(claimed) >= 1 and abs(claimed - round(claimed)) < 0.01:
        step = depth  # the slices between them were all left out
    numbers = (heights - heights[0]) / step
    if np.abs(numbers - np.rint(numbers)).max() > 0.05:
        raise GeometryError(
            f"DICOM segmentation: expected gaps that are multiples of {step:.3f} mm, found others. Export it again."
        )
    whole = np.rint(numbers).astype(int)
    filled: list[FrameHead | None] = [None] * (int(whole[-1]) + 1)
    for number, frame in zip(whole, kept, strict=True):
        filled[number] = frame
    along = (places[-1] - places[0]) / max(1, int(whole[-1]))
    return filled, places[0] + np.arange(len(filled))[:, None] * along
