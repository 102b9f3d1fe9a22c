"""`MeshConfig`: every setting of `fuse_mesh`. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from vision3d.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshConfig:
    """How Gaussians become a mesh."""

    resolution: int = 64
    """Voxels along the longest edge of the object; twice as many take some six times as long."""
    truncation_voxels: float = 4.0
    """Distance behind the surface up to which a view has a say; thin walls need it small, rough fits large."""
    view_side: int = 128
    """Pixels of the pictures that are fused; twice the resolution is enough."""
    level: float = 0.5
    """Opacity from which on a ray has met the surface."""
    least_views: int = 2
    """Views that have to tell of a place before it can carry a surface."""
    least_share: float = 0.05
    """Loose pieces with less than this share of the largest piece's area are dropped."""

    def __post_init__(self) -> None:
        if not (self.resolution >= 4 and self.view_side >= 8 and self.truncation_voxels >= 1 and self.least_views >= 1):
            raise InvalidInputError(
                f"MeshConfig: expected a resolution of at least 4, a view side of at least 8, and truncation and views "
                f"of at least 1, found {self.resolution}, {self.view_side}, {self.truncation_voxels} and "
                f"{self.least_views}. Raise them."
            )
        if not (0 < self.level < 1 and 0 <= self.least_share <= 1):
            raise InvalidInputError(
                f"MeshConfig: expected a level within 0-1 and a least share in 0-1, found {self.level} and "
                f"{self.least_share}. Change them."
            )
