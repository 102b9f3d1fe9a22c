"""`Study`: what was read from an input, with everything a reader noticed on the way."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.errors import InvalidInputError
from medseg.study.series_facts import SeriesFacts
from medseg.study.volume import Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something a person should know: what was corrected, assumed or left out."""

    code: str
    """A word to act on, as `gantry_tilt`."""
    text: str
    """A sentence without any name."""

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Volumes of one input, in the order of `series`."""

    series: tuple[SeriesFacts, ...]
    """What each volume is."""
    volumes: tuple[Volume, ...]
    """One per series."""
    notices: tuple[Notice, ...] = ()
    """What was noticed while reading, in that order."""

    def __post_init__(self) -> None:
        if len(self.series) != len(self.volumes) or not self.volumes:
            raise InvalidInputError(
                f"Study: expected one volume per series and at least one, found {len(self.volumes)} of "
                f"{len(self.series)}."
            )

    @property
    def volume(self) -> Volume:
        """The one volume.

        Raises:
            InvalidInputError: there are several.
        """
        if len(self.volumes) != 1:
            raise InvalidInputError(f"Study: expected one volume, found {len(self.volumes)}. Name one of `volumes`.")
        return self.volumes[0]

    def noticed(self, code: str) -> tuple[Notice, ...]:
        """Notices of one kind."""
        return tuple(notice for notice in self.notices if notice.code == code)
