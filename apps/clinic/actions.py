"""What the controls of the page do, as plain functions from one `Dialogue` to the next, and to what is seen.

Nothing here knows gradio: page.py calls these functions and lays out what they return.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from apps.clinic.dialogue import ALL, AUTOMATIC, NONE, Dialogue
from medseg.errors import InvalidInputError
from medseg.inference.segment import segment, turn_of
from medseg.inference.segmenter import Segmenter
from medseg.report.panel import Panel, PanelStyle, draw_slice
from medseg.report.result_words import window_text
from medseg.report.slice_choice import slice_areas
from medseg.report.slice_view import counting_text
from medseg.study.finding import Finding
from medseg.study.result import SegmentationResult
from medseg.study.slice_plan import Plane, plan_slices
from medseg.study.volume import Volume
from medseg.study.windows import WINDOWS_HU, IntensityWindow, choose_window

TURNS_MAX = 40
"""Most questions of one dialogue."""
MASK_BYTES_MAX = 2 * 2**30
"""Most memory that the masks of one dialogue may take."""
PANEL = PanelStyle(side=680, text=18)
"""How a slice is drawn."""
_FULL = "full range"
_SPREADS = {"brighter": 0.6, "darker": 1.6}
"""Window by name -> its width over that of the automatic one, from the same lowest value."""
_KEPT_PICTURES = 4
_PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPicture:
    """A slice as it is seen."""

    path: Path
    """PNG."""
    words: str
    """What it shows, for those who do not see it."""
    caption: str
    """Which slice it is, in which window."""


def answer(dialogue: Dialogue, question: str, segmenter: Segmenter) -> SegmentationResult:
    """The answer to a question in the light of the earlier ones; takes as long as the model does.

    Raises:
        InvalidInputError: no study is open, the question is empty or too long, or the dialogue is full.
        SegmenterError: the model's answer contradicts itself.
    """
    volume = dialogue.volume
    held = sum(finding.mask.size for turn in dialogue.turns for finding in turn.findings if finding.mask.any())
    if len(dialogue.turns) >= TURNS_MAX or held > MASK_BYTES_MAX:
        raise InvalidInputError(
            f"Dialogue: expected at most {TURNS_MAX} questions and {MASK_BYTES_MAX / 2**30:.0f} GiB of masks, found "
            f"{len(dialogue.turns)} and {held / 2**30:.1f}. Download what you need and start a new dialogue."
        )
    study = volume if dialogue.study is None else dialogue.study
    return segment(segmenter, study, question, [turn_of(turn) for turn in dialogue.turns])


def with_answer(dialogue: Dialogue, result: SegmentationResult) -> Dialogue:
    """The dialogue with an answer more, seen where its first finding with a mask is largest.

    Raises:
        InvalidInputError: another study was opened meanwhile.
    """
    if dialogue.study is None or dialogue.study.volume is not result.volume:
        raise InvalidInputError("Answer: expected the study that was asked about, found another open. Ask again.")
    turns = (*dialogue.turns, result)
    return show_turn(replace(dialogue, turns=turns), len(turns) - 1)


def ask(dialogue: Dialogue, question: str, segmenter: Segmenter) -> Dialogue:
    """`answer` and `with_answer`, one after the other.

    Raises:
        InvalidInputError: as `answer` raises.
        SegmenterError: as `answer` raises.
    """
    return with_answer(dialogue, answer(dialogue, question, segmenter))


def show_turn(dialogue: Dialogue, number: int) -> Dialogue:
    """The masks of an answer, numbered from 0, on the slice where its first finding is largest.

    Raises:
        InvalidInputError: there is no such answer.
    """
    if not 0 <= number < len(dialogue.turns):
        raise InvalidInputError(f"Answer: expected one of {len(dialogue.turns)}, found number {number + 1}.")
    there = replace(dialogue, shown=number, view=replace(dialogue.seen, looked_at=ALL))
    with_mask = [place for place, found in _numbered(there).items() if found.mask.any()]
    return _at_largest(there, with_mask[0]) if with_mask else there


def look_at(dialogue: Dialogue, what: str) -> Dialogue:
    """All masks, none, or one finding alone (by its number from 1) on the slice where it is largest.

    Raises:
        InvalidInputError: there is no such finding.
    """
    if what not in (ALL, NONE, *(str(place) for place in _numbered(dialogue))):
        raise InvalidInputError(f"Masks: expected all, none or the number of a finding, found {what!r}. Choose one.")
    there = replace(dialogue, view=replace(dialogue.seen, looked_at=what))
    return there if what in (ALL, NONE) else _at_largest(there, int(what))


def walk(dialogue: Dialogue, number: int) -> Dialogue:
    """Another slice, numbered from 0; the nearest there is."""
    last = dialogue.plan.shape[0] - 1
    return replace(dialogue, view=replace(dialogue.seen, number=min(max(number, 0), last)))


def with_plane(dialogue: Dialogue, plane: str) -> Dialogue:
    """Slices of another plane: the middle one, or where the finding that is seen is largest.

    Raises:
        InvalidInputError: the study has no such plane.
    """
    known = planes_of(dialogue)
    if plane not in known:
        raise InvalidInputError(f"Plane: expected one of {', '.join(known)}, found {plane!r}. Choose one.")
    chosen: Plane = next(name for name in _PLANES if name == plane)
    middle = plan_slices(dialogue.volume, chosen).shape[0] // 2
    there = replace(dialogue, view=replace(dialogue.seen, plane=chosen, number=middle))
    seen = [place for place, found in seen_findings(there).items() if found.mask.any()]
    return _at_largest(there, seen[0]) if seen else there


def with_window(dialogue: Dialogue, name: str) -> Dialogue:
    """Another range of intensities for the eye; what the model looks at stays its own choice.

    Raises:
        InvalidInputError: there is no such window.
    """
    if name not in windows_of(dialogue.volume):
        raise InvalidInputError(
            f"Window: expected one of {', '.join(windows_of(dialogue.volume))}, found {name!r}. Choose one."
        )
    return replace(dialogue, view=replace(dialogue.seen, window=name))


def new_dialogue(dialogue: Dialogue) -> Dialogue:
    """The same study from the same place, nothing asked."""
    view = None if dialogue.view is None else replace(dialogue.view, looked_at=ALL)
    return replace(dialogue, turns=(), shown=-1, view=view)


def planes_of(dialogue: Dialogue) -> tuple[Plane, ...]:
    """Planes that can be seen: three for a volume of a patient, its own for a picture or one slice."""
    volume = dialogue.volume
    if volume.space != "patient" or min(volume.shape) == 1:
        return (plan_slices(volume).plane,)
    return _PLANES


def windows_of(volume: Volume) -> tuple[str, ...]:
    """Names of windows for a volume, the automatic one first."""
    named = tuple(WINDOWS_HU) if volume.unit == "HU" else tuple(_SPREADS)
    return (AUTOMATIC, *named, _FULL)


def window_of(dialogue: Dialogue) -> IntensityWindow:
    """The present window; the automatic one follows the question that is shown."""
    volume, name = dialogue.volume, dialogue.seen.window
    if name in WINDOWS_HU:
        return choose_window(volume, override=name)
    if name == _FULL:
        low, high = float(volume.voxels.min()), float(volume.voxels.max())
        return IntensityWindow(low=low, high=high if high > low else low + 1.0, name=_FULL)
    question = "" if dialogue.result is None else dialogue.result.question
    window = choose_window(volume, question)
    if name == AUTOMATIC:
        return window
    return IntensityWindow(low=window.low, high=window.low + _SPREADS[name] * (window.high - window.low), name=name)


def seen_findings(dialogue: Dialogue) -> dict[int, Finding]:
    """Findings whose masks are seen, by their number."""
    looked_at, all_of_them = dialogue.seen.looked_at, _numbered(dialogue)
    if looked_at == ALL:
        return all_of_them
    return {} if looked_at == NONE else {int(looked_at): all_of_them[int(looked_at)]}


def look_choices(dialogue: Dialogue) -> list[tuple[str, str]]:
    """What can be looked at, and its name; empty where the answer has no mask."""
    masks = [(place, found) for place, found in _numbered(dialogue).items() if found.mask.any()]
    if not masks:
        return []
    named = [(f"{place} · {found.label}", str(place)) for place, found in masks] if len(masks) > 1 else []
    return [("all masks" if named else "the mask", ALL), *named, ("picture alone", NONE)]


def turn_choices(dialogue: Dialogue) -> list[tuple[str, int]]:
    """Answers to look at again, and their numbers."""
    return [(f"{number + 1}. {turn.question}", number) for number, turn in enumerate(dialogue.turns)]


def panel(dialogue: Dialogue) -> Panel:
    """The present slice with its masks, side marks and scale bar."""
    number, window = dialogue.seen.number, window_of(dialogue)
    return draw_slice(dialogue.volume, seen_findings(dialogue), dialogue.plan, number, window, PANEL)


def write_picture(dialogue: Dialogue, folder: Path) -> ShownPicture:
    """The present slice as a new PNG in `folder`; the oldest ones there are removed."""
    drawn, plan, view = panel(dialogue), dialogue.plan, dialogue.seen
    for old in sorted(folder.glob("slice_*.png"), key=lambda path: path.stat().st_mtime)[: -_KEPT_PICTURES + 1]:
        old.unlink(missing_ok=True)
    path = folder / f"slice_{secrets.token_hex(8)}.png"
    drawn.image.save(path, compress_level=3)
    seen = seen_findings(dialogue).items()
    here = [f"{place} {found.label}" for place, found in seen if plan.pictures(found.mask)[view.number].any()]
    told = (
        drawn.caption,
        window_text(window_of(dialogue), dialogue.volume.unit),
        counting_text(dialogue.volume, plan),
    )
    return ShownPicture(
        path=path,
        words=f"{drawn.caption or 'The picture'}, {'masks: ' + ', '.join(here) if here else 'no mask on it'}",
        caption=" · ".join(word for word in told if word),
    )


def _numbered(dialogue: Dialogue) -> dict[int, Finding]:
    return {} if dialogue.result is None else dict(enumerate(dialogue.result.findings, 1))


def _at_largest(dialogue: Dialogue, place: int) -> Dialogue:
    """The slice of the present plane where a finding is largest; the present one where it has no mask."""
    if dialogue.result is None:
        return dialogue
    areas = slice_areas(dialogue.result, dialogue.plan)[place - 1]
    return walk(dialogue, int(np.argmax(areas))) if areas.any() else dialogue
