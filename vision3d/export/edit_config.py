"""`EditConfig`: one edit in plain numbers; the command line is made from it. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from vision3d.errors import InvalidInputError
from vision3d.export.ask_config import AskConfig

_KINDS = "--remove, --isolate, --recolour, --duplicate, or any of --move, --rotate and --scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class EditConfig:
    """What is done with the chosen Gaussians: one kind of edit at a time."""

    remove: bool = False
    """Take them away."""
    isolate: bool = False
    """Keep them alone."""
    recolour: Annotated[tuple[float, float, float] | None, tyro.conf.arg(metavar="RED GREEN BLUE")] = None
    """Give them a colour, three numbers in 0-1."""
    keep_shading: bool = True
    """Recolour so that light and shade stay; otherwise every Gaussian gets the bare colour."""
    duplicate: bool = False
    """Leave them where they are and add a copy; --move, --rotate and --scale say where it goes."""
    move: Annotated[tuple[float, float, float] | None, tyro.conf.arg(metavar="X Y Z")] = None
    """Shift, world units."""
    rotate: Annotated[tuple[float, float, float, float] | None, tyro.conf.arg(metavar="X Y Z DEGREES")] = None
    """Axis and angle of a turn about the pivot, anticlockwise when the axis points at you."""
    scale: float | None = None
    """Factor of size about the pivot."""
    pivot: Annotated[tuple[float, float, float] | None, tyro.conf.arg(metavar="X Y Z")] = None
    """Point that turns and scalings leave where it is; None takes the mean of the chosen centres."""
    keep_objects: bool = True
    """Also write NAME.laga.safetensors beside the new splats, so that they can be asked and edited again."""
    ask: Annotated[AskConfig, tyro.conf.arg(name="")] = field(default_factory=AskConfig)
    """How things are found."""

    def __post_init__(self) -> None:
        placing = not (self.move is None and self.rotate is None and self.scale is None)
        kinds = [self.remove, self.isolate, self.recolour is not None, self.duplicate]
        wanted = sum(kinds) + (placing and not self.duplicate)
        if wanted != 1 or (self.duplicate and not placing):
            found = f"{wanted} of them" if wanted != 1 else "--duplicate without a place for the copy"
            raise InvalidInputError(
                f"EditConfig: expected one kind of edit ({_KINDS}), found {found}. Make one edit after the other."
            )
        if self.rotate is not None and not any(self.rotate[:3]):
            raise InvalidInputError(
                f"EditConfig: expected an axis to rotate about, found {self.rotate[:3]}. Give e.g. 0 0 1 90."
            )
