"""`SceneObjects`: which Gaussians, and which masks, make which object."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from vision3d.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneObjects:
    """A scene taken apart, once per level. Objects are numbered across the levels, fine levels first."""

    gaussian_object: Int[Tensor, "level gaussian"]
    """Object of each Gaussian at each level; -1 = in no object."""
    mask_object: Int[Tensor, " mask"]
    """Object of each mask, in the order of the mask features it came from; -1 = in no object."""
    object_level: Int[Tensor, " object"]
    """Level of each object, rising."""

    def __post_init__(self) -> None:
        levels, count = self.gaussian_object.shape[0], len(self.object_level)
        highest = max(
            int(self.gaussian_object.max()) if self.gaussian_object.numel() else -1,
            int(self.mask_object.max()) if self.mask_object.numel() else -1,
        )
        if highest >= count or (count and not 0 <= int(self.object_level.max()) < levels):
            raise InvalidInputError(
                f"SceneObjects: expected objects below {count} on {levels} levels, found object {highest} and levels "
                f"{self.object_level.unique().tolist()}. List every object's level."
            )

    def __len__(self) -> int:
        return len(self.object_level)
