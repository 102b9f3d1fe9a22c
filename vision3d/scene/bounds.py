"""How large a scene is: boxes around points and the length scales of a capture. All lengths are world units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from vision3d.errors import InvalidInputError

_CAMERA_MARGIN = 1.1
"""3DGS widens the reach of the cameras by this factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisAlignedBox:
    """A box along the world axes."""

    minimum: Float[Tensor, 3]
    """Lowest corner."""
    maximum: Float[Tensor, 3]
    """Highest corner."""

    @property
    def centre(self) -> Float[Tensor, 3]:
        """Middle of the box."""
        return (self.minimum + self.maximum) / 2

    @property
    def size(self) -> Float[Tensor, 3]:
        """Edge lengths along x, y, z."""
        return self.maximum - self.minimum

    def contains(self, points: Float[Tensor, "point 3"]) -> Bool[Tensor, " point"]:
        """True for points inside the box or on its faces."""
        return ((points >= self.minimum) & (points <= self.maximum)).all(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrientedBox:
    """A box along its own axes."""

    centre: Float[Tensor, 3]
    """Middle of the box."""
    axes: Float[Tensor, "3 3"]
    """Row i is the unit vector of edge i; a right-handed rotation (world to box)."""
    half_extents: Float[Tensor, 3]
    """Half the edge length along each axis."""

    @property
    def volume(self) -> float:
        """Product of the edge lengths."""
        return float((2 * self.half_extents).prod())

    @property
    def corners(self) -> Float[Tensor, "8 3"]:
        """The eight corners."""
        signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=self.axes.dtype, device=self.axes.device)] * 3)
        return self.centre + (signs * self.half_extents) @ self.axes

    def contains(self, points: Float[Tensor, "point 3"], *, tolerance: float = 1e-6) -> Bool[Tensor, " point"]:
        """True for points inside the box, or outside by no more than `tolerance` times its longest half edge."""
        reach = self.half_extents + tolerance * self.half_extents.max()
        return (((points - self.centre) @ self.axes.T).abs() <= reach).all(1)


def axis_aligned_box(points: Float[Tensor, "point 3"], quantile: float = 0.0) -> AxisAlignedBox:
    """The box along the world axes that holds the points; `quantile` of them may stick out on each side of each axis.

    Raises:
        InvalidInputError: no points, a coordinate that is not finite, or a quantile outside [0, 0.5).
    """
    low, high = _range_along_axes(_checked_points(points), quantile)
    return AxisAlignedBox(minimum=_like(low, points), maximum=_like(high, points))


def oriented_box(
    points: Float[Tensor, "point 3"], *, method: Literal["pca", "min_volume"] = "min_volume", quantile: float = 0.0
) -> OrientedBox:
    """A tight box around the points, its axes sorted from the longest edge to the shortest.

    `pca` takes the principal axes. `min_volume` keeps one principal axis at a time, finds the smallest rectangle around
    the points seen along it, and returns the smallest of the three boxes (never larger than the `pca` box when
    `quantile` is 0). `quantile` of the points may stick out on each side of each axis.

    Raises:
        InvalidInputError: no points, a coordinate that is not finite, or a quantile outside [0, 0.5).
    """
    rows = _checked_points(points)
    centred = rows - rows.mean(axis=0)
    principal = np.linalg.svd(centred.T @ centred)[2]
    candidates = [principal]
    if method == "min_volume":
        candidates += [_smallest_rectangle_axes(centred, np.roll(principal, shift, axis=0)) for shift in range(3)]
    spans = [_range_along_axes(centred @ axes.T, quantile) for axes in candidates]
    # a sliver on every edge lets flat and straight sets, whose volume is zero, compare by area and length
    sliver = 1e-9 * max(float((high - low).max()) for low, high in spans)
    best = min(range(len(candidates)), key=lambda index: float(np.prod(spans[index][1] - spans[index][0] + sliver)))
    axes, (low, high) = candidates[best], spans[best]
    order = np.argsort(low - high, kind="stable")
    axes, low, high = axes[order], low[order], high[order]
    centre = rows.mean(axis=0) + (low + high) / 2 @ axes
    axes = axes * np.array([[1.0], [1.0], [np.sign(np.linalg.det(axes))]])
    return OrientedBox(
        centre=_like(centre, points), axes=_like(axes, points), half_extents=_like((high - low) / 2, points)
    )


def scene_scale(camera_centres: Float[Tensor, "view 3"]) -> float:
    """Reach of the cameras: 1.1 x the largest distance of a camera centre from their mean. 0 for a single camera.

    Raises:
        InvalidInputError: no cameras, or a centre that is not finite.

    Source: Kerbl et al. 2023, `cameras_extent` of the authors' code; densification thresholds are relative to it.
    """
    rows = _checked_points(camera_centres)
    return _CAMERA_MARGIN * float(np.linalg.norm(rows - rows.mean(axis=0), axis=1).max())


def point_extent(points: Float[Tensor, "point 3"], *, share: float = 0.9) -> float:
    """Radius of the ball around the median point that holds `share` of the points; far strays do not change it much.

    Raises:
        InvalidInputError: no points, a coordinate that is not finite, or a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise InvalidInputError(f"point_extent: expected a share in (0, 1], found {share}.")
    rows = _checked_points(points)
    return float(np.quantile(np.linalg.norm(rows - np.median(rows, axis=0), axis=1), share))


def _checked_points(points: Tensor) -> np.ndarray:
    rows = points.detach().cpu().double().numpy()
    if len(rows) == 0 or not np.isfinite(rows).all():
        found = f"{int((~np.isfinite(rows)).any(axis=1).sum())} of {len(rows)} not finite" if len(rows) else "none"
        raise InvalidInputError(f"Expected at least one point, all finite, found {found}. Check the scene.")
    return rows


def _range_along_axes(rows: np.ndarray, quantile: float) -> tuple[np.ndarray, np.ndarray]:
    if not 0 <= quantile < 0.5:
        raise InvalidInputError(f"Expected a quantile in [0, 0.5), found {quantile}. 0 keeps every point inside.")
    if quantile == 0:
        return rows.min(axis=0), rows.max(axis=0)
    low, high = np.quantile(rows, [quantile, 1 - quantile], axis=0)
    return low, high


def _smallest_rectangle_axes(centred: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """`axes` turned about its first row so that the other two follow the smallest rectangle around the points.

    One side of that rectangle lies along an edge of the convex hull (Freeman and Shapira 1975), so trying the edges
    is exact.
    """
    plane = centred @ axes[1:].T
    try:
        outline = plane[ConvexHull(plane).vertices]
    except QhullError:  # fewer than three points, or all on a line: the principal axes already fit it
        return axes
    edges = np.roll(outline, -1, axis=0) - outline
    angles = np.arctan2(edges[:, 1], edges[:, 0])
    turns = np.stack(
        [np.stack([np.cos(angles), np.sin(angles)], -1), np.stack([-np.sin(angles), np.cos(angles)], -1)], 1
    )
    areas = np.ptp(np.einsum("eij,pj->epi", turns, outline), axis=1).prod(axis=1)
    return np.concatenate([axes[:1], turns[np.argmin(areas)] @ axes[1:]])


def _like(values: np.ndarray, points: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device=points.device, dtype=points.dtype)
