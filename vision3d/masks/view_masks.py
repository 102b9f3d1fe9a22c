"""`ViewMasks`: the label maps of all views of a scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Integer
from numpy import ndarray

from vision3d.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewMasks:
    """Masks of every view, level by level."""

    labels: Integer[ndarray, "view level height width"]
    """Number of the mask at each pixel, -1 = none; counted from 0 per view and level. May be mapped from a file."""
    view_names: tuple[str, ...]
    """Views are found by name, never by row."""
    level_names: tuple[str, ...]
    """From fine to coarse, e.g. s, m, l."""
    source: str
    """What made the masks, with its settings: equal sources and equal photos give equal masks."""

    def __post_init__(self) -> None:
        expected = (len(self.view_names), len(self.level_names))
        if self.labels.shape[:2] != expected or len(set(self.view_names)) != len(self.view_names):
            raise InvalidInputError(
                f"ViewMasks: expected label maps of {expected[0]} distinct views and {expected[1]} levels, found an "
                f"array {self.labels.shape} and {len(set(self.view_names))} distinct names. Give one map per name."
            )

    def rows(self, names: Sequence[str]) -> list[int]:
        """Row of each named view.

        Raises:
            InvalidInputError: there are no masks of a named view.
        """
        row_of = {name: row for row, name in enumerate(self.view_names)}
        missing = [name for name in names if name not in row_of]
        if missing:
            raise InvalidInputError(
                f"Expected masks of {len(names)} views, found none of {len(missing)}: {', '.join(missing[:5])}. "
                "Make masks of these photos, or use only views that have them."
            )
        return [row_of[name] for name in names]
