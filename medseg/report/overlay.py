"""`write_overlay_png`: a picture, or a sheet of a volume's most informative slices, with masks, legend and scale.

Colours are those of `medseg.study.finding_colours`; each mask bears its number, so nothing hangs on colour alone.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from medseg.errors import InvalidInputError
from medseg.report.drawn_text import DrawnWords, drawable_words, font_of, shortened, text_width, wrapped
from medseg.report.panel import Panel, PanelStyle, draw_number, draw_panel
from medseg.report.result_words import STATUS_WORDS, axes_text, grid_text, size_text, window_text
from medseg.report.slice_choice import informative_slices
from medseg.report.slice_view import counting_text
from medseg.study.finding_colours import finding_colour
from medseg.study.result import RESEARCH_USE, SegmentationResult
from medseg.study.slice_plan import Plane, plan_slices
from medseg.study.windows import IntensityWindow, choose_window
from vlm_bridge.atomic_write import written_whole

_GROUND, _INK, _FAINT, _WARN = (18, 20, 24), (240, 240, 240), (165, 170, 178), (255, 205, 96)
_TEXT, _LINE, _EDGE = 16, 24, 16
"""Height of text, distance of lines, and empty border, pixels."""
_NARROWEST = 720
_SINGLE_SIDE = 900
_WIDEST_PHRASE = 36
"""Room for a phrase in the legend over the height of its text."""
_ACCENTS = "Accents are left off in this picture; the exact words are in the report and the JSON."
_OTHER_SCRIPT = "Words in a script this picture cannot draw are named by number; they are in the report and the JSON."


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayOptions:
    """How a result is drawn."""

    window: IntensityWindow | str | None = None
    """Range of values shown: an own one, a name of `WINDOWS_HU`, or None to choose it by question and modality."""
    plane: Plane | None = None
    """Plane of the slices; None for that of the acquisition."""
    slices: int = 12
    """Most slices on a sheet."""

    def __post_init__(self) -> None:
        if self.slices < 1:
            raise InvalidInputError(f"OverlayOptions: expected 1 slice and more, found {self.slices}. Ask for more.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendRow:
    """One finding in the legend."""

    number: int
    """From 1, as beside its mask."""
    colour: str
    """As `#56b4e9`; empty where there is no mask."""
    phrase: str
    """As drawn."""
    status: str
    """`found`, `uncertain` or `not found`."""
    quantity: str
    """As `1.23 ml, 23.1 x 11.0 mm`; empty where there is no mask."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OverlaySheet:
    """A drawn sheet and what stands on it."""

    image: Image.Image
    """RGB."""
    panels: tuple[Panel, ...]
    """Its slices, in order."""
    places: tuple[tuple[int, int], ...]
    """Where each panel's image begins in `image`."""
    legend: tuple[LegendRow, ...]
    """One per finding, in order."""
    window: str
    """The range of values shown, in words."""
    notes: tuple[str, ...]
    """What the sheet says about itself: words it cannot draw, findings it does not show."""


def write_overlay_png(
    path: Path, result: SegmentationResult, options: OverlayOptions = OverlayOptions()
) -> OverlaySheet:
    """Writes the sheet of `draw_overlay` as PNG and returns it. Equal results give equal bytes.

    Raises:
        InvalidInputError: the name does not end in .png, the window does not fit, or the voxels have other channels
            than grey or RGB.
    """
    if path.suffix.lower() != ".png":
        raise InvalidInputError(f"Overlay: expected a name in .png, found {path.suffix!r}. Rename it.")
    sheet = draw_overlay(result, options)
    with written_whole(path) as partial:
        partial.write_bytes(png_bytes(sheet.image))
    return sheet


def png_bytes(image: Image.Image) -> bytes:
    """The picture as PNG without any text or time in it."""
    content = io.BytesIO()
    image.save(content, format="PNG", optimize=False, compress_level=6)
    return content.getvalue()


def draw_overlay(result: SegmentationResult, options: OverlayOptions = OverlayOptions()) -> OverlaySheet:
    """A picture with its masks, or of a volume the slices where its findings are largest, with all that explains them.

    Slices are those of the acquisition plane, seen as radiologists see them, pixels square on the patient.

    Raises:
        InvalidInputError: the window does not fit, or the voxels have other channels than grey or RGB.
    """
    volume = result.volume
    plan = plan_slices(volume, options.plane)
    window = choose_window(volume, result.question, options.window)
    choice = informative_slices(result, plan, most=options.slices)
    side = _SINGLE_SIDE if len(choice.slices) == 1 else 480
    style = PanelStyle(side=side, text=18 if len(choice.slices) == 1 else 16)
    panels = tuple(draw_panel(result, plan, number, window, style) for number in choice.slices)
    legend, faithful = _legend(result)
    question = drawable_words(result.question, "Question in a script this picture cannot draw: see the report.")
    notes = _notes([*faithful, question])
    if choice.unseen:
        notes.append(f"No slice shown here reaches finding {', '.join(str(number) for number in choice.unseen)}.")
    facts = [grid_text(volume), window_text(window, volume.unit), counting_text(volume, plan)]
    words = _SheetWords(
        question=question.text, facts=drawable_words(" · ".join(fact for fact in facts if fact), "").text, notes=notes
    )
    image, places = _compose(panels, legend, words)
    return OverlaySheet(
        image=image,
        panels=panels,
        places=places,
        legend=legend,
        window=window_text(window, volume.unit),
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _SheetWords:
    question: str
    facts: str
    notes: list[str]


def _legend(result: SegmentationResult) -> tuple[tuple[LegendRow, ...], list[DrawnWords]]:
    rows, words = [], []
    for number, finding in enumerate(result.findings, 1):
        words.append(drawable_words(finding.label, f"(finding {number}: see the report)"))
        sizes = (size_text(finding).replace("mm²", "sq mm"), axes_text(finding.quantities))
        has_mask = bool(finding.mask.any())
        rows.append(
            LegendRow(
                number=number,
                colour=finding_colour(number).hex if has_mask else "",
                phrase=words[-1].text,
                status=STATUS_WORDS[finding.status],
                quantity=", ".join(size for size in sizes if size) if has_mask else "",
            )
        )
    return tuple(rows), words


def _notes(words: list[DrawnWords]) -> list[str]:
    said = {word.faithful for word in words}
    notes = [_ACCENTS] if "without accents" in said else []
    return [*notes, _OTHER_SCRIPT] if "replaced" in said else notes


def _compose(
    panels: tuple[Panel, ...], legend: tuple[LegendRow, ...], words: _SheetWords
) -> tuple[Image.Image, tuple[tuple[int, int], ...]]:
    """Question, panels with captions, legend, notes and the research notice, from top to bottom."""
    columns = {1: 1, 2: 2, 3: 3, 4: 2}.get(len(panels), 3 if len(panels) <= 9 else 4)
    wide, high = max(panel.image.size for panel in panels)
    caption = _LINE + 4 if any(panel.caption for panel in panels) else 0
    width = max(_NARROWEST, columns * wide + (columns + 1) * _EDGE)
    inner = width - 2 * _EDGE
    head = [(row, _INK) for row in wrapped(words.question, _TEXT + 2, inner, 2)]
    head += [(row, _FAINT) for row in wrapped(words.facts, _TEXT, inner, 2)]
    foot = [(row, _WARN) for note in words.notes for row in wrapped(note, _TEXT, inner, 3)]
    foot.append((RESEARCH_USE, _INK))
    top = _EDGE + len(head) * _LINE + _EDGE // 2
    rows = -(-len(panels) // columns)
    below = top + rows * (high + caption + _EDGE)
    height = below + (len(legend) + len(foot)) * _LINE + _EDGE + _EDGE // 2
    image = Image.new("RGB", (width, height), _GROUND)
    draw = ImageDraw.Draw(image)
    _lines(draw, head, _EDGE)
    left = (width - columns * wide - (columns - 1) * _EDGE) // 2
    places = []
    for place, panel in enumerate(panels):
        corner = (left + place % columns * (wide + _EDGE), top + place // columns * (high + caption + _EDGE))
        image.paste(panel.image, corner)
        draw.text((corner[0], corner[1] + high + 4), panel.caption, fill=_FAINT, font=font_of(_TEXT))
        places.append(corner)
    _draw_legend(draw, legend, below, width)
    _lines(draw, foot, below + len(legend) * _LINE + _EDGE // 2)
    return image, tuple(places)


def _lines(draw: ImageDraw.ImageDraw, rows: list[tuple[str, tuple[int, int, int]]], top: int) -> None:
    for place, (text, colour) in enumerate(rows):
        height = _TEXT + 2 if place == 0 and top == _EDGE else _TEXT
        draw.text((_EDGE, top + place * _LINE), text, fill=colour, font=font_of(height))


def _draw_legend(draw: ImageDraw.ImageDraw, legend: tuple[LegendRow, ...], top: int, width: int) -> None:
    """One row per finding: swatch, number, phrase, status, quantity; the swatch is crossed out where it has no mask."""
    font = font_of(_TEXT)
    first = _EDGE + 4 * _TEXT
    status_at = max([first + text_width(row.phrase, _TEXT) for row in legend], default=0) + 2 * _TEXT
    status_at = min(status_at, first + _WIDEST_PHRASE * _TEXT, width - _EDGE - 22 * _TEXT)
    for place, row in enumerate(legend):
        y = top + place * _LINE + _LINE // 2
        _swatch(draw, (_EDGE, y - 8, _EDGE + 24, y + 8), row)
        ink = _INK if row.colour else _FAINT
        if row.colour:
            draw_number(draw, row.number, (_EDGE + 42, y), _TEXT - 2)
        else:
            draw.text((_EDGE + 42, y), str(row.number), fill=ink, font=font, anchor="mm")
        phrase = shortened(row.phrase, _TEXT, status_at - first - _TEXT)
        draw.text((first, y), phrase, fill=ink, font=font, anchor="lm")
        draw.text((status_at, y), row.status, fill=ink, font=font, anchor="lm")
        draw.text((status_at + 6 * _TEXT, y), row.quantity, fill=ink, font=font, anchor="lm")


def _swatch(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], row: LegendRow) -> None:
    """As the mask is drawn: filled where found, dashed where uncertain, crossed out where there is none."""
    if not row.colour:
        draw.rectangle(box, outline=_FAINT)
        draw.line((box[0], box[3], box[2], box[1]), fill=_FAINT)
        return
    colour = finding_colour(row.number).rgb
    if row.status == STATUS_WORDS["found"]:
        draw.rectangle(box, fill=colour)
        return
    draw.rectangle(box, outline=colour, width=2)
    for x in range(box[0] + 3, box[2] - 2, 8):
        for y in (box[1], box[3] - 1):
            draw.rectangle((x, y, x + 3, y + 1), fill=_GROUND)
