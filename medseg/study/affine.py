"""Affines between voxel indices and the patient: 4x4 float64 `voxel_to_ras`, millimetres, RAS+ (x to the right).

Index (0, 0, 0) is the centre of the first voxel. A column of the upper 3x3 is the step of one voxel along that axis.
DICOM and ITK speak LPS, which differs in the sign of the first two rows.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medseg.errors import GeometryError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Turns LPS coordinates into RAS ones, and back."""
_DIRECTIONS = (("L", "R"), ("P", "A"), ("I", "S"))
_SHEAR_COSINE = 1e-4


def check_affine(voxel_to_ras: ndarray, where: str) -> None:
    """Raise unless the matrix is a finite, invertible 4x4 affine.

    Raises:
        GeometryError: it is not; `where` opens the message.
    """
    found = np.asarray(voxel_to_ras)
    if found.shape != (4, 4) or not np.isfinite(found).all() or not np.allclose(found[3], [0, 0, 0, 1]):
        raise GeometryError(
            f"{where}: expected a finite 4x4 affine that ends in 0 0 0 1, found shape {found.shape}. Mend its header."
        )
    steps = spacing_mm(found)
    if steps.min() <= 0 or abs(np.linalg.det(found[:3, :3] / np.maximum(steps, 1e-300))) < 1e-3:
        raise GeometryError(
            f"{where}: expected three independent axes of positive spacing, found spacing {steps.tolist()} and axes "
            "that lie in one plane. Mend its header."
        )


def spacing_mm(voxel_to_ras: Float[ndarray, "4 4"]) -> Float[ndarray, "3"]:
    """Distance between neighbouring voxels along i, j and k.

    Example:
        >>> spacing_mm(np.diag([-0.5, 2.0, 3.0, 1.0])).tolist()
        [0.5, 2.0, 3.0]
    """
    return np.linalg.norm(np.asarray(voxel_to_ras, dtype=np.float64)[:3, :3], axis=0)


def voxel_volume_mm3(voxel_to_ras: Float[ndarray, "4 4"]) -> float:
    """Volume of a voxel, right for sheared axes too."""
    return float(abs(np.linalg.det(voxel_to_ras[:3, :3])))


def nearest_axes(voxel_to_ras: Float[ndarray, "4 4"]) -> tuple[tuple[int, int], ...]:
    """For i, j and k: the patient axis (0 right, 1 anterior, 2 superior) it runs along most, and its sign.

    Each patient axis is given once: of all assignments, the one with the largest sum of cosines.

    Example:
        >>> nearest_axes(np.diag([-1.0, 1.0, 1.0, 1.0]))
        ((0, -1), (1, 1), (2, 1))
    """
    cosines = voxel_to_ras[:3, :3] / spacing_mm(voxel_to_ras)
    orders = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    best = max(orders, key=lambda order: sum(abs(cosines[axis, place]) for place, axis in enumerate(order)))
    return tuple((axis, 1 if cosines[axis, place] >= 0 else -1) for place, axis in enumerate(best))


def axis_codes(voxel_to_ras: Float[ndarray, "4 4"]) -> str:
    """Three letters that say where i, j and k run to, as `RAS` or `LPS`.

    Example:
        >>> axis_codes(np.diag([-1.0, -1.0, 2.0, 1.0]))
        'LPS'
    """
    return "".join(_DIRECTIONS[axis][int(sign > 0)] for axis, sign in nearest_axes(voxel_to_ras))


def is_sheared(voxel_to_ras: Float[ndarray, "4 4"]) -> bool:
    """Whether two axes are not perpendicular, as after a tilted gantry."""
    unit = voxel_to_ras[:3, :3] / spacing_mm(voxel_to_ras)
    return bool(np.abs(unit.T @ unit - np.eye(3)).max() > _SHEAR_COSINE)


def to_ras(voxel_to_ras: Float[ndarray, "4 4"], indices: Float[ndarray, "point 3"]) -> Float[ndarray, "point 3"]:
    """Places of voxel indices (fractions allowed), millimetres."""
    return indices @ voxel_to_ras[:3, :3].T + voxel_to_ras[:3, 3]
