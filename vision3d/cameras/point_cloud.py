"""`PointCloud`: coloured points from structure-from-motion, in the frame of the cameras."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from vision3d.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class PointCloud:
    """Points with colours, the usual start of a Gaussian fit."""

    positions: Float[Tensor, "point 3"]
    """World positions, world units."""
    colours: Float[Tensor, "point 3"]
    """RGB in 0-1."""

    def __post_init__(self) -> None:
        if self.positions.shape != self.colours.shape or self.positions.shape[-1:] != (3,):
            raise InvalidInputError(
                f"PointCloud: expected positions and colours of one shape [point 3], found "
                f"{tuple(self.positions.shape)} and {tuple(self.colours.shape)}. Give one colour per point."
            )

    def __len__(self) -> int:
        return int(self.positions.shape[0])
