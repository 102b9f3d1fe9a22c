"""Boxes of objects: along the world axes, and turned to fit; world units throughout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.scene.bounds import AxisAlignedBox, OrientedBox, axis_aligned_box, oriented_box
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.selection import select_gaussians

STRAY_SHARE = 0.01
"""Share of the Gaussians that may stick out of a box on each side of each axis: fits leave strays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectShape:
    """Where an object is and how large; measured on the centres of its Gaussians, visible or not."""

    axis_aligned: AxisAlignedBox
    """Along the world axes."""
    oriented: OrientedBox
    """Turned to be small, longest edge first."""
    centroid: Float[Tensor, " 3"]
    """Mean of the centres, weighted by opacity."""
    volume: float
    """Of the convex hull of the centres in the oriented box, cubic world units; 0 for flat sets."""


def object_shape(scene: GaussianScene, *, stray_share: float = STRAY_SHARE) -> ObjectShape:
    """The shape of all Gaussians of `scene`.

    Raises:
        InvalidInputError: there are none, or a share outside [0, 0.5).

    Example:
        >>> import torch
        >>> corners = torch.cartesian_prod(*[torch.tensor([0.0, 2.0])] * 3)
        >>> cube = GaussianScene(
        ...     means=corners, quats=torch.ones(8, 4), log_scales=torch.zeros(8, 3), opacity_logits=torch.zeros(8),
        ...     sh=torch.zeros(8, 1, 3),
        ... )
        >>> shape = object_shape(cube)
        >>> shape.centroid.tolist(), round(shape.volume, 4)
        ([1.0, 1.0, 1.0], 8.0)
    """
    if len(scene) == 0:
        raise InvalidInputError("object_shape: expected at least one Gaussian, found none. Choose something.")
    means = scene.means.detach().double().cpu()
    # so few that a quantile would lie between two of them: none is a stray
    share = stray_share if len(means) * stray_share >= 1 else 0.0
    box = oriented_box(means, quantile=share)
    inside = box.contains(means)
    opacities = scene.opacities.detach().double().cpu().clamp_min(1e-9)
    return ObjectShape(
        axis_aligned=axis_aligned_box(means, quantile=share),
        oriented=box,
        centroid=(means * opacities[:, None]).sum(0) / opacities.sum(),
        volume=_hull_volume(means[inside].numpy()),
    )


def boxes_content(scene: GaussianScene, chosen: Mapping[str, Tensor]) -> dict[str, Any]:
    """Named selections as a JSON-ready mapping with both boxes of each; axes are rows, world to box."""
    return {
        "units": "world units of the scene",
        "axes": "row i is the unit vector of edge i",
        "objects": [
            {"name": name} | shape_record(object_shape(select_gaussians(scene, rows))) for name, rows in chosen.items()
        ],
    }


def shape_record(shape: ObjectShape) -> dict[str, Any]:
    """A shape in plain numbers."""
    return {
        "centroid": _rounded(shape.centroid),
        "volume": float(f"{shape.volume:.6g}"),
        "box": {"minimum": _rounded(shape.axis_aligned.minimum), "maximum": _rounded(shape.axis_aligned.maximum)},
        "oriented_box": {
            "centre": _rounded(shape.oriented.centre),
            "axes": [_rounded(axis) for axis in shape.oriented.axes],
            "half_extents": _rounded(shape.oriented.half_extents),
        },
    }


def _hull_volume(points: np.ndarray) -> float:
    try:
        return float(ConvexHull(points).volume)
    except (QhullError, ValueError):  # too few points, or all in one plane
        return 0.0


def _rounded(values: Tensor) -> list[float]:
    return [float(f"{value:.7g}") for value in values.tolist()]
