"""The 48 cameras of the tabletop, and the photo and mask each one takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from data.recipes.tabletop.render import LitScene, cast, shade, to_display
from data.recipes.tabletop.scene import TABLE_HEIGHT_M

SIDE_PIXELS = 256
FOCAL_PIXELS = 300.0
_SUPERSAMPLING = 4
_CLOSE_TARGETS = ((-0.25, 0.15), (0.0, 0.0), (0.2, 0.2), (0.35, -0.1), (-0.3, -0.2), (0.15, -0.25))


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One camera."""

    name: str
    """File name stem."""
    camera_to_world: Float[ndarray, "4 4"]
    """OpenCV axes (x right, y down, z forward), metres, z-up world."""


def tabletop_views() -> tuple[View, ...]:
    """Two rings around the table and a ring of close views, 48 in all."""
    views = []
    middle = np.array([0.0, 0.0, TABLE_HEIGHT_M + 0.07])
    for count, radius, elevation, shift in ((18, 1.30, 20.0, 0.0), (14, 1.22, 42.0, 0.4)):
        for place in range(count):
            angle = 2 * np.pi * (place + shift) / count
            views.append((_eye(middle, radius, elevation, angle), middle))
    for place in range(16):
        x, y = _CLOSE_TARGETS[place % len(_CLOSE_TARGETS)]
        target = np.array([x, y, TABLE_HEIGHT_M + 0.07])
        views.append((_eye(target, 0.86, 30.0 if place % 2 else 16.0, 2 * np.pi * (place + 0.5) / 16), target))
    # a step that is coprime with the number of views interleaves rings and close views in the sorted names
    order = [(17 * place) % len(views) for place in range(len(views))]
    return tuple(
        View(name=f"view_{row:03d}", camera_to_world=look_at(*views[source])) for row, source in enumerate(order)
    )


def photograph(scene: LitScene, view: View, *, side: int = SIDE_PIXELS, samples: int = _SUPERSAMPLING) -> ndarray:
    """Display-valued photo 0-1 [side side 3], averaged over `samples` squared rays per pixel in linear light."""
    rows = []
    for start in range(0, side, 64):
        height = min(64, side - start)
        directions = _rays(view, side, samples, start, height)
        origin = np.broadcast_to(view.camera_to_world[:3, 3], directions.shape)
        hits = cast(scene, origin, directions)
        points = origin + directions * np.where(hits.face >= 0, hits.distance, 0.0)[:, None]
        colour = np.clip(shade(scene, hits, directions, points), 0, 4)
        rows.append(colour.reshape(height, samples, side, samples, 3).mean((1, 3)))
    return to_display(np.concatenate(rows))


def instance_map(
    scene: LitScene, view: View, *, side: int = SIDE_PIXELS
) -> tuple[Int[ndarray, "h w"], ndarray, ndarray]:
    """Instance id, telling flag and distance along the ray at every pixel centre (id 0 and inf where nothing is)."""
    directions = camera_rays(view, side)
    hits = cast(scene, np.broadcast_to(view.camera_to_world[:3, 3], directions.shape), directions)
    valid = hits.face >= 0
    part = scene.face_part[np.where(valid, hits.face, 0)]
    ids = np.where(valid, scene.part_object[part], 0).reshape(side, side)
    telling = np.array([piece.telling for piece in scene.parts])
    told = (valid & telling[part]).reshape(side, side)
    return ids, told, np.where(valid, hits.distance, np.inf).reshape(side, side)


def intrinsics(side: int = SIDE_PIXELS) -> Float[ndarray, "3 3"]:
    """Pinhole matrix in pixels."""
    focal = FOCAL_PIXELS * side / SIDE_PIXELS
    return np.array([[focal, 0, side / 2], [0, focal, side / 2], [0, 0, 1.0]])


def camera_rays(view: View, side: int = SIDE_PIXELS) -> Float[ndarray, "pixel 3"]:
    """Unit directions through all pixel centres, row by row, in world axes."""
    return _rays(view, side, 1, 0, side)


def _rays(view: View, side: int, samples: int, start: int, height: int) -> ndarray:
    matrix = intrinsics(side)
    x = (np.arange(side * samples) + 0.5) / samples
    y = start + (np.arange(height * samples) + 0.5) / samples
    grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
    local = np.stack(
        [(grid_x - matrix[0, 2]) / matrix[0, 0], (grid_y - matrix[1, 2]) / matrix[1, 1], np.ones_like(grid_x)], -1
    ).reshape(-1, 3)
    local /= np.linalg.norm(local, axis=1, keepdims=True)
    return local @ view.camera_to_world[:3, :3].T


def _eye(target: ndarray, radius: float, elevation_degrees: float, angle: float) -> ndarray:
    level = radius * np.cos(np.deg2rad(elevation_degrees))
    height = radius * np.sin(np.deg2rad(elevation_degrees))
    return target + np.array([level * np.sin(angle), -level * np.cos(angle), height])


def look_at(eye: ndarray, target: ndarray) -> Float[ndarray, "4 4"]:
    """Camera-to-world matrix (OpenCV axes) of a camera at `eye` that looks at `target`, upright in a z-up world."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], 1)
    pose[:3, 3] = eye
    return pose
