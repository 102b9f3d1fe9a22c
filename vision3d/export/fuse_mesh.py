"""`fuse_mesh`: Gaussians to a triangle mesh, by fusing the depth of their surface over many views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import trimesh
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError
from vision3d.export.mesh_config import MeshConfig
from vision3d.export.object_views import close_views
from vision3d.export.surface_depth import surface_depth
from vision3d.export.tsdf_volume import add_view, empty_volume, zero_surface
from vision3d.rendering.catalogue import choose_renderer
from vision3d.rendering.render_views import render_views
from vision3d.rendering.renderer import RasterOptions, Renderer
from vision3d.scene.bounds import AxisAlignedBox, axis_aligned_box
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.selection import select_gaussians
from vlm_bridge.atomic_write import written_whole

MESH_SUFFIXES = (".ply", ".obj", ".glb", ".stl")
"""Formats a mesh can be written in; .stl keeps no colours."""
_STRAY_SHARE = 0.01
_STRAY_REACH = 0.1
_LOW_PASS = RasterOptions().eps2d


def fuse_mesh(
    scene: GaussianScene,
    cameras: CameraBatch,
    *,
    config: MeshConfig = MeshConfig(),
    renderer: Renderer | None = None,
    antialiased: bool = False,
    progress: bool = False,
) -> trimesh.Trimesh:
    """The surface of all Gaussians of `scene` that the cameras see, with vertex colours, in world units.

    Args:
        scene: the Gaussians of one object, and no others: what stands in front of it must not be in it.
        cameras: places to look from, best those of the photos; their pictures are cut to the object.
        config: settings.
        renderer: None takes the one that fits the scene's device.
        antialiased: whether the scene was fitted with the antialiased filter.
        progress: show a progress bar.

    Returns:
        The mesh, open where no camera sees the object (where it stands on something).

    Raises:
        InvalidInputError: no Gaussians, no camera in front of them, or nothing that is opaque enough.
    """
    if len(scene) == 0:
        raise InvalidInputError("fuse_mesh: expected at least one Gaussian, found none. Widen the selection.")
    renderer = renderer or choose_renderer(scene.device)
    scene = without_strays(scene.detach())
    box = axis_aligned_box(scene.means)
    close = close_views(cameras, _corners(box), side=config.view_side)
    volume = empty_volume(
        box.minimum.cpu().numpy(),
        box.maximum.cpu().numpy(),
        resolution=config.resolution,
        truncation_voxels=config.truncation_voxels,
    )
    for name in tqdm(close.names, desc="depth of views", disable=not progress):
        camera = close.select([name])
        zoom = float(camera.intrinsics[0, 0, 0] / cameras.intrinsics[cameras.index_of(name), 0, 0])
        # splats were fitted with a low-pass in pixels of the photos, so it grows with the picture
        options = RasterOptions(eps2d=_LOW_PASS * max(zoom, 1.0) ** 2, antialiased=antialiased)
        depth = surface_depth(scene, camera, renderer, options=options, level=config.level)
        with torch.no_grad():
            seen = render_views(scene, camera, renderer=renderer, options=options)
        colour = seen.colour[0] / seen.alpha[0, ..., None].clamp_min(1e-3)
        add_view(volume, camera, depth, colour.cpu().numpy())
    return _large_pieces(zero_surface(volume, least_views=config.least_views), config.least_share)


def without_strays(scene: GaussianScene) -> GaussianScene:
    """The Gaussians without the few that lie far outside the box of nearly all centres."""
    box = axis_aligned_box(scene.means, quantile=_STRAY_SHARE)
    reach = _STRAY_REACH * box.size.max()
    grown = AxisAlignedBox(minimum=box.minimum - reach, maximum=box.maximum + reach)
    return select_gaussians(scene, grown.contains(scene.means))


def write_mesh(mesh: trimesh.Trimesh, path: str | Path) -> None:
    """Write the mesh in the format its suffix names, whole or not at all.

    Raises:
        InvalidInputError: a suffix outside `MESH_SUFFIXES`.
    """
    target = Path(path)
    if target.suffix.lower() not in MESH_SUFFIXES:
        raise InvalidInputError(
            f"{target}: expected a suffix of {', '.join(MESH_SUFFIXES)} for a mesh, found {target.suffix or 'none'}. "
            "Choose one of these."
        )
    with written_whole(target) as partial, partial.open("wb") as file:
        mesh.export(file, file_type=target.suffix.lower()[1:])


def _corners(box: AxisAlignedBox) -> Float[Tensor, "8 3"]:
    return torch.cartesian_prod(*torch.stack([box.minimum, box.maximum], 1))


def _large_pieces(mesh: trimesh.Trimesh, least_share: float) -> trimesh.Trimesh:
    components = trimesh.graph.connected_components(mesh.face_adjacency, nodes=np.arange(len(mesh.faces)), min_len=1)
    areas = np.array([mesh.area_faces[faces].sum() for faces in components])
    kept = [faces for faces, area in zip(components, areas, strict=True) if area >= least_share * areas.max()]
    mesh.update_faces(np.sort(np.concatenate(kept)))
    mesh.remove_unreferenced_vertices()
    return mesh
