"""`Exploration`: what one person sees of a scene right now. It never changes; every action gives a new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Bool
from torch import Tensor

from apps.scene_explorer.explored_scene import ExploredScene
from apps.scene_explorer.orbit import Stand, start_stand
from vision3d.laga.query_scene import QueryResult

AskedBy = Literal["phrase", "click", "row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """Scene, place and answer."""

    explored: ExploredScene
    """The scene."""
    stand: Stand
    """Where the picture is taken from."""
    level: str
    """Level of clicks and of the table; empty for bare splats."""
    result: QueryResult | None = None
    """The last answer; None before the first."""
    asked_by: AskedBy = "phrase"
    """What it answers."""
    clicked: tuple[float, float] | None = None
    """Place of the last click, as long as the picture is the same, in its pixels."""

    @property
    def chosen(self) -> Bool[Tensor, " gaussian"] | None:
        """The selection; None where there is none."""
        if self.result is None or not bool(self.result.chosen.any()):
            return None
        return self.result.chosen


def begin(explored: ExploredScene) -> Exploration:
    """The scene as it is opened: nothing asked, seen from the first photo, objects of a middle level."""
    levels = explored.level_names
    level = levels[min(len(levels) // 2, 1)] if levels else ""
    return Exploration(explored=explored, stand=start_stand(explored.orbit), level=level)
