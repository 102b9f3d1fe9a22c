"""`TsdfVolume`: depth maps of many views merged into one signed distance, and the mesh at its zero.

Distances are cut off and counted in units of the truncation: +1 is free space in front of a surface, -1 lies behind it.

Source: Curless and Levoy 1996, A Volumetric Method for Building Complex Models from Range Images. Pixels that see
nothing also count, as free space: they carve the outline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import map_coordinates
from skimage.measure import marching_cubes

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError

_NEAREST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class TsdfVolume:
    """A grid of voxels and what the views said of each."""

    origin: Float[ndarray, "3"]
    """Centre of the first voxel, world units."""
    voxel: float
    """Spacing, world units."""
    truncation: float
    """Distance that counts as 1, world units."""
    distance: Float[ndarray, "x y z"]
    """Sum of the cut-off distances."""
    views: Float[ndarray, "x y z"]
    """Views that said something of the voxel."""
    colour: Float[ndarray, "x y z 3"]
    """Sum of the colours of the surfaces nearby, 0-1."""
    coloured: Float[ndarray, "x y z"]
    """Views that gave it a colour."""


def empty_volume(
    minimum: Float[ndarray, "3"], maximum: Float[ndarray, "3"], *, resolution: int, truncation_voxels: float
) -> TsdfVolume:
    """A volume around a box: `resolution` voxels along its longest edge, and the truncation more on every side.

    Raises:
        InvalidInputError: the box is a point.

    Example:
        >>> empty_volume(np.zeros(3), np.array([1.0, 0.5, 0.5]), resolution=10, truncation_voxels=2).distance.shape
        (17, 12, 12)
    """
    voxel = float((maximum - minimum).max()) / resolution
    if not voxel > 0:
        raise InvalidInputError("Expected an object with an extent, found a single point. Choose more Gaussians.")
    margin = truncation_voxels + 1
    shape = tuple(int(count) + 1 for count in np.ceil((maximum - minimum) / voxel + 2 * margin - 1e-9))
    return TsdfVolume(
        origin=np.asarray(minimum, np.float64) - margin * voxel,
        voxel=voxel,
        truncation=truncation_voxels * voxel,
        distance=np.zeros(shape, np.float32),
        views=np.zeros(shape, np.float32),
        colour=np.zeros((*shape, 3), np.float32),
        coloured=np.zeros(shape, np.float32),
    )


def add_view(
    volume: TsdfVolume, camera: CameraBatch, depth: Float[ndarray, "height width"],
    colour: Float[ndarray, "height width 3"],
) -> None:  # fmt: skip
    """Add what one view saw to the volume, in place; depth NaN means that the ray met nothing."""
    width, height = camera.uniform_size
    pose, matrix = camera.world_to_camera[0].double().cpu().numpy(), camera.intrinsics[0].double().cpu().numpy()
    local = _camera_grid(volume, pose)
    deep = np.maximum(local[:, 2], _NEAREST)
    x = (local[:, 0] / deep * matrix[0, 0] + matrix[0, 2]).astype(np.float32)
    y = (local[:, 1] / deep * matrix[1, 1] + matrix[1, 2]).astype(np.float32)
    seen = np.flatnonzero((local[:, 2] > _NEAREST) & (x >= 0) & (x < width) & (y >= 0) & (y < height))
    pixel = y[seen].astype(np.int32) * width + x[seen].astype(np.int32)
    found = depth.reshape(-1)[pixel]
    missed = np.isnan(found)
    free = seen[missed]
    volume.distance.reshape(-1)[free] += 1
    volume.views.reshape(-1)[free] += 1
    hit, pixel, found = seen[~missed], pixel[~missed], found[~missed]
    stretch = np.sqrt((local[hit] ** 2).sum(1)) / deep[hit]  # from camera depth to length along the ray
    signed = (found - deep[hit]) * stretch / volume.truncation
    told = signed > -1
    volume.distance.reshape(-1)[hit[told]] += np.minimum(signed[told], 1)
    volume.views.reshape(-1)[hit[told]] += 1
    near = np.abs(signed) < 1
    volume.colour.reshape(-1, 3)[hit[near]] += colour.reshape(-1, 3)[pixel[near]]
    volume.coloured.reshape(-1)[hit[near]] += 1


def _camera_grid(volume: TsdfVolume, pose: Float[ndarray, "4 4"]) -> Float[ndarray, "voxel 3"]:
    """Centres of all voxels in camera axes: sums of steps along the three edges of the grid."""
    edges = [
        np.arange(count)[:, None] * volume.voxel * pose[:3, axis] for axis, count in enumerate(volume.distance.shape)
    ]
    corner = pose[:3, :3] @ volume.origin + pose[:3, 3]
    grid = (edges[0] + corner)[:, None, None] + edges[1][None, :, None] + edges[2][None, None]
    return grid.reshape(-1, 3).astype(np.float32)


def zero_surface(volume: TsdfVolume, *, least_views: int) -> trimesh.Trimesh:
    """The mesh between free space and what lies behind surfaces, with vertex colours; triangles face outwards.

    Voxels that fewer than `least_views` views told of make no surface, so what no view saw stays open.

    Raises:
        InvalidInputError: no surface was seen.
    """
    mean = np.where(volume.views > 0, volume.distance / np.maximum(volume.views, 1), -1.0)
    known = volume.views >= least_views
    if not (known & (mean > 0)).any() or not (known & (mean < 0)).any():
        raise InvalidInputError(
            f"Expected a surface that at least {least_views} views see, found none in {volume.distance.shape} voxels. "
            "Choose a more opaque object, or give cameras that look at it."
        )
    vertices, faces, _, _ = marching_cubes(mean, 0.0, mask=known)
    weight = map_coordinates(volume.coloured, vertices.T, order=1)
    colours = np.stack([map_coordinates(volume.colour[..., axis], vertices.T, order=1) for axis in range(3)], 1)
    colours = colours / np.maximum(weight, 1e-6)[:, None]
    return trimesh.Trimesh(
        vertices=vertices * volume.voxel + volume.origin,
        faces=faces,
        vertex_colors=np.round(np.clip(colours, 0, 1) * 255).astype(np.uint8),
        process=False,
    )
