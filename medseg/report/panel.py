"""One slice as a person looks at it: masks on the picture, and around it side marks and a millimetre scale bar.

Nothing but masks and their numbers lies on the picture itself. A contour is drawn on a mask's own outermost pixels, so
its outer edge is the mask's edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw
from scipy.ndimage import binary_erosion

from medseg.report.drawn_text import font_of, text_width
from medseg.report.slice_view import (
    display_mask,
    display_size,
    round_length,
    shown_slice,
    side_marks,
    slice_caption,
)
from medseg.study.finding import Finding
from medseg.study.finding_colours import finding_colour
from medseg.study.result import SegmentationResult
from medseg.study.slice_plan import SlicePlan
from medseg.study.volume import Volume
from medseg.study.windows import IntensityWindow

_BAR_SHARE = 0.25
"""Longest scale bar over the width of the picture."""
_WORDS_WIDTH = 14
"""Narrowest panel over the height of its text: room for bar and marks."""
_CONTOUR_SHARE = 1 / 240
"""Width of a contour over the longer side of the picture."""
_NUMBER_SHARE = 0.8
"""Height of a finding's number over that of other text."""
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)

Masks = dict[int, tuple[Finding, Bool[ndarray, "height width"]]]
"""Number of a finding -> itself and its mask in pixels of the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelStyle:
    """How panels are drawn."""

    side: int = 480
    """Pixels that the longer side of a picture is brought near to."""
    text: int = 16
    """Height of text in pixels."""
    fill: float = 0.28
    """Opacity of masks that are found; those that are uncertain have half of it and a dashed contour."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """A drawn slice and what stands on it."""

    image: Image.Image
    """With its margin."""
    number: int
    """Slice of the plan, from 0."""
    caption: str
    """Which slice it is; empty for pictures."""
    corner: tuple[int, int]
    """Where the picture begins in `image`: x and y."""
    size: tuple[int, int]
    """Width and height of the picture in `image`."""
    pixel_mm: float | None
    """Side of a pixel of `image` on the patient; None where spacing is unknown."""
    bar_mm: float | None
    """Length the scale bar stands for; None where there is none."""
    bar_pixels: int
    """Its length in pixels of `image`; 0 where there is none."""
    marks: dict[str, str]
    """`left`, `right`, `top`, `bottom` -> letters of the patient's side; empty for pictures."""


def draw_panel(
    result: SegmentationResult,
    plan: SlicePlan,
    number: int,
    window: IntensityWindow,
    style: PanelStyle = PanelStyle(),
) -> Panel:
    """One slice with all masks that reach it.

    Raises:
        InvalidInputError: there is no such slice, or the voxels are neither grey nor RGB.
    """
    return draw_slice(result.volume, dict(enumerate(result.findings, 1)), plan, number, window, style)


def draw_slice(
    volume: Volume,
    findings: Mapping[int, Finding],
    plan: SlicePlan,
    number: int,
    window: IntensityWindow,
    style: PanelStyle = PanelStyle(),
) -> Panel:
    """One slice with the masks of some findings, each under its own number, or of none.

    Raises:
        InvalidInputError: there is no such slice, or the voxels are neither grey nor RGB.
    """
    size = display_size(plan, style.side)
    picture = Image.fromarray(shown_slice(volume, plan, number, window)).resize(size, Image.Resampling.BICUBIC)
    masks = masks_of_slice(findings, plan, number, size)
    painted = paint_masks(np.array(picture), masks, style)
    pixel_mm = plan.spacing_mm[2] * plan.shape[2] / size[0] if volume.spacing_known else None
    marks = side_marks(volume, plan)
    image, corner = _margin(painted, style, bare=not marks and pixel_mm is None)
    draw = ImageDraw.Draw(image)
    _write_numbers(draw, masks, style, corner)
    _write_marks(draw, marks, style, image.size)
    bar_mm = None if pixel_mm is None else round_length(_BAR_SHARE * size[0] * pixel_mm)
    bar_pixels = 0 if bar_mm is None or pixel_mm is None else round(bar_mm / pixel_mm)
    if bar_mm is not None:
        _draw_bar(draw, bar_mm, bar_pixels, style, corner=(corner[0], corner[1] + size[1]))
    return Panel(
        image=image,
        number=number,
        caption=slice_caption(volume, plan, number),
        corner=corner,
        size=size,
        pixel_mm=pixel_mm,
        bar_mm=bar_mm,
        bar_pixels=bar_pixels,
        marks=marks,
    )


def masks_of_slice(findings: Mapping[int, Finding], plan: SlicePlan, number: int, size: tuple[int, int]) -> Masks:
    """The masks that have a pixel in a slice, at a display size (width, height)."""
    masks: Masks = {}
    for place, finding in findings.items():
        flat = plan.pictures(finding.mask)[number]
        if flat.any():
            masks[place] = (finding, display_mask(flat, size))
    return masks


def paint_masks(
    pixels: UInt8[ndarray, "height width 3"], masks: Masks, style: PanelStyle
) -> UInt8[ndarray, "height width 3"]:
    """The picture with translucent fills, and contours over all of them; dashed where uncertain."""
    painted = pixels.astype(np.float64)
    for place, (finding, mask) in masks.items():
        share = style.fill if finding.status == "found" else style.fill / 2
        painted[mask] += share * (np.array(finding_colour(place).rgb) - painted[mask])
    for place, (finding, mask) in masks.items():
        painted[_contour(mask, dashed=finding.status != "found")] = finding_colour(place).rgb
    return np.rint(painted).astype(np.uint8)


def _contour(mask: Bool[ndarray, "height width"], dashed: bool) -> Bool[ndarray, "height width"]:
    width = max(1, round(max(mask.shape) * _CONTOUR_SHARE))
    inner = np.asarray(binary_erosion(mask, np.ones((3, 3), dtype=bool), iterations=width), dtype=bool)
    line = mask & ~inner
    if not dashed:
        return line
    rows, columns = np.indices(mask.shape) // (4 * width)
    return line & ((rows + columns) % 2 == 0)


def _margin(
    painted: UInt8[ndarray, "height width 3"], style: PanelStyle, bare: bool
) -> tuple[Image.Image, tuple[int, int]]:
    """The picture on black with room for text around it, and where its corner lies."""
    height, width = painted.shape[:2]
    if bare:
        return Image.fromarray(painted), (0, 0)
    margin = round(1.6 * style.text)
    whole = max(width + 2 * margin, _WORDS_WIDTH * style.text)
    image = Image.new("RGB", (whole, height + 2 * margin), _BLACK)
    corner = ((whole - width) // 2, margin)
    image.paste(Image.fromarray(painted), corner)
    return image, corner


def _write_numbers(draw: ImageDraw.ImageDraw, masks: Masks, style: PanelStyle, corner: tuple[int, int]) -> None:
    """Each finding's number beside its mask, in its colour; numbers keep clear of each other where they can."""
    text = round(_NUMBER_SHARE * style.text)
    taken: list[tuple[int, int]] = []
    for place, (_, mask) in masks.items():
        spots = _beside(mask, text)
        free = [spot for spot in spots if all(_apart(spot, other, text) for other in taken)]
        spot = (free or spots)[0]
        taken.append(spot)
        draw_number(draw, place, (corner[0] + spot[0], corner[1] + spot[1]), text)


def draw_number(draw: ImageDraw.ImageDraw, number: int, middle: tuple[int, int], text: int) -> None:
    """A finding's number on a tile of its colour, which shows on any ground."""
    colour = finding_colour(number)
    x, y = middle
    half_width, half_height = round(0.5 * text_width(str(number), text) + 0.3 * text), round(0.6 * text)
    box = (x - half_width, y - half_height, x + half_width, y + half_height)
    draw.rounded_rectangle(box, radius=text // 4, fill=colour.rgb, outline=_BLACK)
    ink = _BLACK if colour.dark_text else _WHITE
    draw.text((x, y), str(number), fill=ink, font=font_of(text), anchor="mm")


def _beside(mask: Bool[ndarray, "height width"], text: int) -> list[tuple[int, int]]:
    """Places (x, y) for a number: at the mask's highest, right, left and lowest pixel, within the picture."""
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    away = round(0.9 * text)
    ends = (
        (rows.argmin(), 0, -away),
        (columns.argmax(), away, 0),
        (columns.argmin(), -away, 0),
        (rows.argmax(), 0, away),
    )
    return [
        (
            int(np.clip(columns[at] + right, text // 2, max(text // 2, width - 1 - text // 2))),
            int(np.clip(rows[at] + down, text // 2, max(text // 2, height - 1 - text // 2))),
        )
        for at, right, down in ends
    ]


def _apart(one: tuple[int, int], other: tuple[int, int], text: int) -> bool:
    return abs(one[0] - other[0]) >= 1.5 * text or abs(one[1] - other[1]) >= text


def _write_marks(draw: ImageDraw.ImageDraw, marks: dict[str, str], style: PanelStyle, size: tuple[int, int]) -> None:
    width, height = size
    near = round(0.8 * style.text)
    places = {"left": (near, height // 2), "right": (width - near, height // 2)}
    places |= {"top": (width // 2, near), "bottom": (width // 2, height - near)}
    for side, letters in marks.items():
        draw.text(places[side], letters, fill=_WHITE, font=font_of(style.text), anchor="mm")


def _draw_bar(
    draw: ImageDraw.ImageDraw, bar_mm: float, bar_pixels: int, style: PanelStyle, *, corner: tuple[int, int]
) -> None:
    """A bar with ends in the lower margin, and its length beside it."""
    x, y = corner[0], corner[1] + round(0.8 * style.text)
    thick = max(2, style.text // 6)
    draw.rectangle((x, y - thick // 2, x + bar_pixels - 1, y - thick // 2 + thick - 1), fill=_WHITE)
    words = f"{bar_mm:g} mm"
    draw.text((x + bar_pixels + style.text // 3, y), words, fill=_WHITE, font=font_of(style.text), anchor="lm")
