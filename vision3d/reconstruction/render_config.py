"""`RenderConfig`: every setting of a render; the command line is made from it. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vision3d.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderConfig:
    """What to render."""

    path: Literal["orbit", "views"] = "orbit"
    """A closed orbit, or the scene's own views."""
    frames: int = 60
    """Views of the orbit."""
    max_side: int | None = None
    """Longest side of the pictures; None keeps the size of the cameras (512 for a bare splat file)."""
    cameras: Path | None = None
    """Scene folder, fitted folder or camera file whose views to use; None takes those beside the splats."""
    background: tuple[float, float, float] | None = None
    """RGB behind the scene in 0-1; None takes that of the fit, black for a bare splat file."""
    antialiased: bool | None = None
    """Use the antialiased filter; None does as the fit did, off for a bare splat file."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to render."""

    def __post_init__(self) -> None:
        if self.frames < 1 or (self.max_side is not None and self.max_side < 1):
            raise InvalidInputError(
                f"RenderConfig: expected frames and max_side of at least 1, found {self.frames} and {self.max_side}. "
                "Raise them."
            )
        if not all(0 <= value <= 1 for value in self.background or ()):
            raise InvalidInputError(
                f"RenderConfig: expected a background of three numbers in 0-1, found {self.background}. Divide by 255?"
            )
