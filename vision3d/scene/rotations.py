"""Quaternions (w, x, y, z) and rotation matrices."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def quats_to_matrices(quats: Float[Tensor, "*row 4"]) -> Float[Tensor, "*row 3 3"]:
    """Rotation matrices of quaternions of any non-zero length.

    Example:
        >>> quats_to_matrices(torch.tensor([2.0, 0, 0, 0])).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
    ]
    return torch.stack(rows, -2)


def multiply_quats(first: Float[Tensor, "*#row 4"], second: Float[Tensor, "*#row 4"]) -> Float[Tensor, "*row 4"]:
    """Quaternions of the rotation that applies `second`, then `first`."""
    w1, x1, y1, z1 = first.unbind(-1)
    w2, x2, y2, z2 = second.unbind(-1)
    return torch.stack(
        [
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        ],
        -1,
    )


def matrix_to_quat(matrix: Float[Tensor, "3 3"]) -> Float[Tensor, 4]:
    """The unit quaternion (w >= 0) of one rotation matrix.

    Source: Bar-Itzhack 2000, the eigenvector of the largest eigenvalue of a symmetric 4x4; exact also near half turns.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = matrix.double().unbind(0)
    rows = [
        [xx + yy + zz, zy - yz, xz - zx, yx - xy],
        [zy - yz, xx - yy - zz, xy + yx, xz + zx],
        [xz - zx, xy + yx, yy - xx - zz, yz + zy],
        [yx - xy, xz + zx, yz + zy, zz - xx - yy],
    ]
    symmetric = torch.stack([torch.stack(row) for row in rows])
    quat = torch.linalg.eigh(symmetric).eigenvectors[:, -1]
    return (quat * torch.where(quat[0] < 0, -1.0, 1.0)).to(matrix.dtype)
