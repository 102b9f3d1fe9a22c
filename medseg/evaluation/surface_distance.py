"""`surface_distances`: how far two surfaces lie apart, in the unit of the affine: HD95, ASSD and NSD.

The surface of a mask is its voxels that touch the outside by a face; the outside begins at the border of the volume
too. An axis of one voxel does not count, so a picture has outlines and not two large faces. Distances run between the
centres of such voxels, placed by the affine: uneven spacing and tilted grids are measured as they are.

Empty rules: both empty gives distances of 0 and NSD 1. One empty gives NaN for the distances (count them as failures)
and NSD 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import binary_erosion, generate_binary_structure
from scipy.spatial import KDTree

from medseg.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceDistances:
    """Three figures of two surfaces."""

    hd95: float
    """Larger one of the two directed 95th percentiles (linear between ranks), not the percentile of both together."""
    assd: float
    """Mean over the voxels of both surfaces of the distance to the other one."""
    nsd: float
    """Share of the voxels of both surfaces that lie within the tolerance of the other one (its end included)."""


def surface_distances(
    predicted: Bool[ndarray, "i j k"],
    reference: Bool[ndarray, "x y z"],
    voxel_to_ras: Float[ndarray, "4 4"],
    *,
    tolerance: float,
) -> SurfaceDistances:
    """The figures of two masks on one grid; `tolerance` is in the unit of the affine.

    Example:
        >>> one, other = np.zeros((2, 9, 3, 1), dtype=bool)
        >>> one[2, 1], other[6, 1] = True, True
        >>> surface_distances(one, other, np.diag([0.5, 1.0, 1.0, 1.0]), tolerance=2.0)
        SurfaceDistances(hd95=2.0, assd=2.0, nsd=1.0)

    Raises:
        InvalidInputError: the masks are of different grids, or the tolerance is negative.
    """
    if predicted.shape != reference.shape or tolerance < 0:
        raise InvalidInputError(
            f"Surface distances: expected masks on one grid and a tolerance >= 0, found {predicted.shape}, "
            f"{reference.shape} and {tolerance}. Bring the prediction to the grid of the reference."
        )
    ours, theirs = surface_points(predicted, voxel_to_ras), surface_points(reference, voxel_to_ras)
    if not len(ours) and not len(theirs):
        return SurfaceDistances(hd95=0.0, assd=0.0, nsd=1.0)
    if not len(ours) or not len(theirs):
        return SurfaceDistances(hd95=float("nan"), assd=float("nan"), nsd=0.0)
    there, _ = KDTree(theirs).query(ours)
    back, _ = KDTree(ours).query(theirs)
    both = np.concatenate([there, back])
    # Centres come out of a product with the affine: equal distances may differ in the last bits.
    return SurfaceDistances(
        hd95=float(max(np.percentile(there, 95), np.percentile(back, 95))),
        assd=float(both.mean()),
        nsd=float(np.mean(both <= tolerance + 1e-6 * max(1.0, tolerance))),
    )


def surface_points(mask: Bool[ndarray, "i j k"], voxel_to_ras: Float[ndarray, "4 4"]) -> Float[ndarray, "point 3"]:
    """Centres of the voxels on the surface of a mask, in the unit of the affine, without its offset."""
    box = _box(mask)
    if box is None:
        return np.zeros((0, 3))
    inside = mask[box]
    wide = tuple(axis for axis in range(3) if mask.shape[axis] > 1)
    kept = inside.reshape([inside.shape[axis] for axis in wide])
    core = binary_erosion(kept, generate_binary_structure(len(wide), 1)) if wide else np.zeros_like(kept)
    places = np.argwhere((kept & np.logical_not(core)).reshape(inside.shape)) + [part.start for part in box]
    return places @ voxel_to_ras[:3, :3].T


def _box(mask: Bool[ndarray, "i j k"]) -> tuple[slice, slice, slice] | None:
    ends = []
    for axis in range(3):
        seen = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if not seen.size:
            return None
        ends.append(slice(int(seen[0]), int(seen[-1]) + 1))
    return ends[0], ends[1], ends[2]
