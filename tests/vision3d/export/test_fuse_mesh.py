"""Meshes: depth of a surface by hand, a volume by hand, and a ball of Gaussians against the ball it was put on."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError
from vision3d.export.fuse_mesh import fuse_mesh, without_strays, write_mesh
from vision3d.export.mesh_config import MeshConfig
from vision3d.export.object_views import close_views, views_around
from vision3d.export.surface_depth import surface_depth
from vision3d.export.tsdf_volume import add_view, empty_volume, zero_surface
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.render_views import render_views
from vision3d.scene.gaussian_scene import SH_C0, GaussianScene
from vision3d.scene.selection import select_gaussians
from vision3d.scene.transforms import apply_similarity

CONFIG = MeshConfig(resolution=32, view_side=64)
COLOUR = (0.8, 0.4, 0.1)


def _ball(count: int = 600, *, radius: float = 1.0, across: float = 0.08, along: float = 0.01) -> GaussianScene:
    """Flat Gaussians on a ball about the origin, facing outwards."""
    steps = torch.arange(count)
    z = 1 - (2 * steps + 1) / count
    angle = steps * math.pi * (3 - math.sqrt(5))
    ring = torch.sqrt(1 - z * z)
    normals = torch.stack([ring * torch.cos(angle), ring * torch.sin(angle), z], 1)
    # the half-way quaternion turns +z to the normal
    quats = torch.stack([1 + z, -normals[:, 1], normals[:, 0], torch.zeros(count)], 1)
    return GaussianScene(
        means=radius * normals,
        quats=quats,
        log_scales=torch.tensor([across, across, along]).log().repeat(count, 1),
        opacity_logits=torch.full((count,), 4.0),
        sh=((torch.tensor(COLOUR) - 0.5) / SH_C0).repeat(count, 1, 1),
    )


def _around(side: int = 80, count: int = 16) -> CameraBatch:
    return views_around(-torch.ones(3), torch.ones(3), view_count=count, side=side)


def _one(depth: float, scale: float, logit: float) -> GaussianScene:
    return GaussianScene(
        means=torch.tensor([[0.0, 0, depth]]), quats=torch.tensor([[1.0, 0, 0, 0]]),
        log_scales=torch.full((1, 3), math.log(scale)), opacity_logits=torch.tensor([logit]), sh=torch.zeros(1, 1, 3),
    )  # fmt: skip


def _front(side: int = 21) -> CameraBatch:
    matrix = torch.tensor([[100.0, 0, side / 2], [0, 100, side / 2], [0, 0, 1]])
    return CameraBatch(
        world_to_camera=torch.eye(4)[None], intrinsics=matrix[None], image_sizes=torch.tensor([[side, side]]),
        names=("front",),
    )  # fmt: skip


def test_the_surface_of_one_gaussian_lies_in_front_of_its_centre() -> None:
    scene = _one(5.0, 0.5, 2.0)
    alpha = float(torch.sigmoid(torch.tensor(2.0)))
    for level in (0.3, 0.5, 0.8):
        depth = surface_depth(scene, _front(), CpuRenderer(), level=level)
        assert depth[10, 10] == pytest.approx(5 - 0.5 * math.sqrt(2 * math.log(alpha / level)), abs=2e-3)
    assert np.isnan(surface_depth(scene, _front(), CpuRenderer(), level=0.9)).all()


def test_two_thin_layers_reach_the_level_together() -> None:
    front, back = _one(2.0, 0.001, 0.0), _one(3.0, 0.001, 0.0)
    wide = [replace(one, log_scales=torch.tensor([[0.0, 0.0, math.log(0.001)]])) for one in (front, back)]
    both = GaussianScene(
        **{name: torch.cat([getattr(one, name) for one in wide])
           for name in ("means", "quats", "log_scales", "opacity_logits", "sh")}
    )  # fmt: skip
    # each lets half through: one alone does not exceed 0.6, both do, at the second one
    assert np.isnan(surface_depth(wide[0], _front(), CpuRenderer(), level=0.6)).all()
    assert surface_depth(both, _front(), CpuRenderer(), level=0.6)[10, 10] == pytest.approx(3, abs=0.01)
    assert surface_depth(both, _front(), CpuRenderer(), level=0.4)[10, 10] == pytest.approx(2, abs=0.01)


def test_nothing_is_no_surface_anywhere() -> None:
    assert np.isnan(surface_depth(_one(-5.0, 0.1, 2.0), _front(), CpuRenderer())).all()


def test_a_plane_is_fused_where_it_was_seen() -> None:
    volume = empty_volume(np.array([-0.1, -0.1, 1.9]), np.array([0.1, 0.1, 2.1]), resolution=20, truncation_voxels=3)
    depth = np.full((21, 21), 2.0)
    add_view(volume, _front(), depth, np.tile(np.array([1.0, 0.5, 0.0]), (21, 21, 1)))
    mesh = zero_surface(volume, least_views=1)
    assert np.abs(mesh.vertices[:, 2] - 2).max() < 1e-3
    assert (mesh.face_normals[:, 2] < -0.99).all()  # towards the camera
    assert (mesh.visual.vertex_colors[:, :3] == [255, 128, 0]).all()
    with pytest.raises(InvalidInputError, match="at least 2 views"):
        zero_surface(volume, least_views=2)


def test_a_ball_comes_out_as_a_ball() -> None:
    mesh = fuse_mesh(_ball(), _around(), config=CONFIG)
    radii = np.linalg.norm(mesh.vertices, axis=1)
    diagonal = 2 * math.sqrt(3)
    assert np.abs(radii - 1).mean() < 0.01 * diagonal
    assert np.abs(radii - 1).max() < 0.03 * diagonal
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * math.pi, rel=0.1)
    assert np.abs(mesh.visual.vertex_colors[:, :3] / 255 - COLOUR).max() < 0.03


def test_the_mesh_is_as_large_as_the_outline_in_pictures() -> None:
    # round blobs whose centres lie far inside of what is seen, as a short fit leaves them
    scene, cameras = _ball(300, radius=0.88, across=0.1, along=0.1), _around(side=120, count=16)
    seen = render_views(scene, cameras).alpha >= 0.5
    distance, focal = float(cameras.camera_centres[0].norm()), float(cameras.intrinsics[0, 0, 0])
    outline = float(seen.sum((1, 2)).float().mean() / math.pi) ** 0.5 / focal
    expected = distance * math.sin(math.atan(outline))
    mesh = fuse_mesh(scene, cameras, config=CONFIG)
    assert expected > 0.95
    assert np.linalg.norm(mesh.vertices, axis=1).mean() == pytest.approx(expected, rel=0.03)


def test_what_no_camera_sees_stays_open() -> None:
    around = _around(count=24)
    above = around.select([name for name, z in zip(around.names, around.camera_centres[:, 2], strict=True) if z > 1])
    scene = _ball()
    upper = select_gaussians(scene, scene.means[:, 2] > -0.3)
    mesh = fuse_mesh(upper, above, config=CONFIG)
    assert not mesh.is_watertight
    assert mesh.vertices[:, 2].min() > -0.6


def test_moving_and_scaling_the_world_moves_and_scales_the_mesh() -> None:
    shift, scale = torch.tensor([3.0, -2.0, 1.0]), 10.0
    matrix = torch.cat([torch.eye(3), shift[:, None]], 1)
    before = fuse_mesh(_ball(), _around(), config=CONFIG)
    cameras = views_around(scale * (shift - 1), scale * (shift + 1), view_count=16, side=80)
    after = fuse_mesh(apply_similarity(_ball(), matrix, scale), cameras, config=CONFIG)
    radii = np.linalg.norm(after.vertices / scale - shift.numpy(), axis=1)
    assert np.abs(np.sort(radii)[:: len(radii) // 50].mean() - np.linalg.norm(before.vertices, axis=1).mean()) < 2e-3


def test_a_stray_does_not_blow_up_the_volume() -> None:
    scene = _ball()
    means = scene.means.clone()
    means[0] = 50.0
    assert len(without_strays(replace(scene, means=means))) == len(scene) - 1
    assert len(without_strays(scene)) == len(scene)


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".glb", ".stl"])
def test_files_are_read_back(tmp_path: Path, suffix: str) -> None:
    mesh = trimesh.creation.icosphere(subdivisions=2)
    write_mesh(mesh, tmp_path / f"ball{suffix}")
    back = trimesh.load(tmp_path / f"ball{suffix}", force="mesh")
    assert len(back.faces) == len(mesh.faces)
    assert back.area == pytest.approx(mesh.area, rel=1e-4)


def test_what_cannot_be_meshed_says_why(tmp_path: Path) -> None:
    faint = replace(_ball(50), opacity_logits=torch.full((50,), -6.0))
    with pytest.raises(InvalidInputError, match="more opaque"):
        fuse_mesh(faint, _around(), config=CONFIG)
    with pytest.raises(InvalidInputError, match="found none"):
        fuse_mesh(select_gaussians(_ball(), torch.arange(0)), _around(), config=CONFIG)
    with pytest.raises(InvalidInputError, match="more Gaussians"):
        fuse_mesh(select_gaussians(_ball(), torch.arange(1)), _around(), config=CONFIG)
    with pytest.raises(InvalidInputError, match="from outside"):
        close_views(_front(), torch.tensor([[0.0, 0.0, -1.0]]), side=10)
    with pytest.raises(InvalidInputError, match="suffix"):
        write_mesh(trimesh.creation.icosphere(), tmp_path / "ball.xyz")
    with pytest.raises(InvalidInputError, match="resolution"):
        MeshConfig(resolution=1)
    with pytest.raises(InvalidInputError, match="level"):
        MeshConfig(level=1.0)


def test_views_around_look_at_the_middle_from_everywhere() -> None:
    cameras = views_around(torch.tensor([1.0, 1, 1]), torch.tensor([3.0, 3, 3]), view_count=30, side=50)
    middle = cameras.world_to_camera @ torch.tensor([2.0, 2, 2, 1])
    assert torch.allclose(middle[:, :2], torch.zeros(30, 2), atol=1e-4)
    assert (middle[:, 2] > 0).all()
    assert (cameras.camera_centres - 2).mean(0).norm() < 0.05 * (cameras.camera_centres - 2).norm(dim=1).mean()


def test_close_views_show_all_points_and_stand_where_they_stood() -> None:
    cameras = _around()
    points = torch.rand(20, 3) * 0.3 + 0.2
    close = close_views(cameras, points, side=64)
    assert torch.allclose(close.camera_centres, cameras.camera_centres)
    local = points @ close.world_to_camera[:, :3, :3].transpose(1, 2) + close.world_to_camera[:, None, :3, 3]
    pixels = local @ close.intrinsics.transpose(1, 2)
    pixels = pixels[..., :2] / pixels[..., 2:]
    assert ((pixels > 0) & (pixels < 64)).all()
    assert (pixels.amax(1) - pixels.amin(1)).amax(1).min() > 50
