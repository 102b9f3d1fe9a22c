"""`ReasonConfig`: how a request that names nothing is answered. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from vision3d.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonConfig:
    """Which objects are looked at, and when one is meant."""

    level: str | None = None
    """Level of the objects; None takes the coarsest one of single things."""
    views: int = 12
    """So many views are looked through for the one that shows an object best."""
    minimum_pixels: int = 120
    """Objects of which no view shows so many pixels are left out."""
    margin: float = 1.35
    """Side of the cut-out in sides of the object."""
    found: float = 0.5
    """Probability from which an object is meant."""
    uncertain: float = 0.3
    """Probability from which the best object is shown as uncertain where none is meant."""

    def __post_init__(self) -> None:
        if not 0 < self.uncertain <= self.found <= 1 or self.margin < 1 or min(self.views, self.minimum_pixels) < 1:
            raise InvalidInputError(
                "ReasonConfig: expected 0 < uncertain <= found <= 1, a margin of at least 1 and at least 1 view and "
                f"pixel, found {self}. Change it."
            )
