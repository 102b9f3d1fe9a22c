"""`Dialogue`: what one person has open and has asked. It never changes; every action gives a new one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from medseg.errors import InvalidInputError
from medseg.study.result import SegmentationResult
from medseg.study.series_facts import SeriesFacts
from medseg.study.slice_plan import Plane, SlicePlan, plan_slices
from medseg.study.study import Study
from medseg.study.volume import Volume

AUTOMATIC = "automatic"
"""The window that follows question, body part and modality."""
ALL, NONE = "all", "none"
"""What is looked at, where it is no single finding: every mask, or the bare picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Which slice is seen, and how."""

    plane: Plane
    """Plane of the slices; a picture has one alone."""
    number: int
    """Slice of the plan, from 0."""
    window: str = AUTOMATIC
    """Name of a window, see `windows_of`."""
    looked_at: str = ALL
    """`all`, `none`, or the number of a finding, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedInput:
    """What was opened, and the series it holds."""

    path: Path = field(repr=False)
    """File or folder."""
    title: str
    """What the page calls it; never the name of a file."""
    series: tuple[SeriesFacts, ...]
    """What could be read of it."""
    questions: tuple[str, ...] = ()
    """Questions to try, for an example."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dialogue:
    """Study, questions and answers, and what is seen of them."""

    opened: OpenedInput | None = None
    """What was opened; None at first."""
    key: str = ""
    """Key of the series that was read; empty while several wait for a choice."""
    study: Study | None = field(default=None, repr=False)
    """That series."""
    turns: tuple[SegmentationResult, ...] = ()
    """Answers, the oldest first."""
    shown: int = -1
    """Number of the answer whose masks are seen, from 0; -1 where nothing was asked."""
    view: View | None = None
    """What is seen of the study; None without one."""

    @property
    def volume(self) -> Volume:
        """What can be asked about.

        Raises:
            InvalidInputError: no study is open, or no series of it is chosen.
        """
        if self.study is None:
            found = "none open" if self.opened is None else f"{len(self.opened.series)} series and none chosen"
            raise InvalidInputError(f"Expected a study, found {found}. Open one, and choose a series of it.")
        return self.study.volume

    @property
    def result(self) -> SegmentationResult | None:
        """The answer whose masks are seen."""
        return self.turns[self.shown] if 0 <= self.shown < len(self.turns) else None

    @property
    def seen(self) -> View:
        """The view of the study.

        Raises:
            InvalidInputError: no study is open.
        """
        if self.view is None:
            raise InvalidInputError("Expected a study to look at, found none open. Open one.")
        return self.view

    @property
    def plan(self) -> SlicePlan:
        """Slices of the present plane.

        Raises:
            InvalidInputError: no study is open.
        """
        return plan_slices(self.volume, self.seen.plane)
