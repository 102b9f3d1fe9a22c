"""The start of a fit: from points, between points, or at random inside the views."""

from __future__ import annotations

import math

import pytest
import torch

from tests.vision3d.reconstruction.known_scenes import SIDE, ring_cameras
from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.point_cloud import PointCloud
from vision3d.reconstruction.initial_scene import focus_distance, initial_scene, random_points
from vision3d.scene.gaussian_scene import GaussianScene


def _cloud(count: int, seed: int = 0) -> PointCloud:
    generator = torch.Generator().manual_seed(seed)
    return PointCloud(
        positions=torch.randn(count, 3, generator=generator), colours=torch.rand(count, 3, generator=generator)
    )


def _start(points: PointCloud | None, cameras: CameraBatch | None = None, **changes) -> GaussianScene:
    settings = {"count": 50, "sh_degree": 2, "opacity": 0.2, "scale_factor": 0.5, "seed": 1}
    return initial_scene(points, cameras or ring_cameras(), **(settings | changes))


def test_as_many_points_as_wanted_are_all_taken() -> None:
    cloud = _cloud(50)
    scene = _start(cloud)
    order = torch.cdist(scene.means, cloud.positions).argmin(1)
    assert sorted(order.tolist()) == list(range(50))
    assert torch.equal(scene.means, cloud.positions[order])
    # colour = 0.5 + C0 * sh with C0 = 1 / (2 sqrt pi)
    assert torch.allclose(0.5 + scene.sh[:, 0] / (2 * math.sqrt(math.pi)), cloud.colours[order], atol=1e-6)
    assert scene.sh.shape == (50, 9, 3)
    assert not scene.sh[:, 1:].any()
    assert torch.allclose(scene.opacities, torch.tensor(0.2))
    assert torch.allclose(scene.quats.norm(dim=1), torch.tensor(1.0))


def test_more_points_than_wanted_leave_a_subset() -> None:
    cloud = _cloud(500)
    scene = _start(cloud)
    assert len(scene) == 50
    nearest = torch.cdist(scene.means, cloud.positions).argmin(1)
    assert torch.equal(scene.means, cloud.positions[nearest])
    assert len(set(nearest.tolist())) == 50
    assert not torch.equal(scene.means, _start(cloud, seed=2).means)


def test_fewer_points_are_filled_up_between_neighbours() -> None:
    # four corners of a unit square: new Gaussians lie on its sides and diagonals, coloured by the same share
    square = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    scene = _start(PointCloud(positions=square, colours=square), count=40)
    assert len(scene) == 40
    assert torch.equal(scene.means[:4], square)
    added = scene.means[4:]
    assert (added >= 0).all()
    assert (added <= 1).all()
    x, y = added[:, 0], added[:, 1]
    on_a_line = (x * (1 - x) * y * (1 - y)).abs() < 1e-6
    on_a_line |= ((x - y).abs() < 1e-6) | ((x + y - 1).abs() < 1e-6)
    assert on_a_line.all()
    assert torch.allclose(0.5 + scene.sh[4:, 0] / (2 * math.sqrt(math.pi)), added, atol=1e-6)


def test_size_follows_the_neighbours() -> None:
    # corners of a unit cube: three neighbours at distance 1; a cube ten times as large gives ten times the size
    cube = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    for edge in (1.0, 10.0):
        scene = _start(PointCloud(positions=edge * cube, colours=torch.rand(8, 3)), count=8, scale_factor=0.25)
        assert torch.allclose(scene.scales, torch.tensor(0.25 * edge))


def test_size_is_the_root_mean_square_of_three_distances() -> None:
    # from 0: 1, 2 and 4, so sqrt((1 + 4 + 16) / 3) = sqrt 7
    line = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [4, 0, 0], [100, 0, 0]])
    scene = _start(PointCloud(positions=line, colours=torch.rand(5, 3)), count=5, scale_factor=1.0)
    origin = int(scene.means.norm(dim=1).argmin())
    assert scene.scales[origin].tolist() == pytest.approx([math.sqrt(7)] * 3)


def test_points_at_one_place_keep_a_size() -> None:
    scene = _start(PointCloud(positions=torch.ones(6, 3), colours=torch.rand(6, 3)), count=12)
    assert torch.isfinite(scene.log_scales).all()


def test_without_points_gaussians_lie_inside_the_views() -> None:
    cameras = ring_cameras()
    scene = _start(None, count=400)
    assert len(scene) == 400
    local = torch.einsum("vij,gj->vgi", cameras.world_to_camera[:, :3, :3], scene.means)
    local = local + cameras.world_to_camera[:, None, :3, 3]
    pixels = local[..., :2] / local[..., 2:] * 1.2 * SIDE + SIDE / 2
    seen = (local[..., 2] > 0) & (pixels > -1e-2).all(-1) & (pixels < SIDE + 1e-2).all(-1)
    assert seen.any(0).all()
    assert not scene.sh.any()  # grey


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_points_start_at_random_and_say_so(count: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        scene = _start(_cloud(count))
    assert torch.equal(scene.means, _start(None).means)
    assert f"{count} points are too few" in caplog.text


def test_seed_decides() -> None:
    first, again, other = _start(None), _start(None), _start(None, seed=2)
    assert torch.equal(first.means, again.means)
    assert torch.equal(first.quats, again.quats)
    assert not torch.equal(first.means, other.means)


def test_one_gaussian_and_one_view_are_enough() -> None:
    camera = ring_cameras(1)
    scene = _start(None, camera, count=1)
    assert torch.isfinite(scene.log_scales).all()
    # a single view has no parallax: one world unit ahead is assumed, and points lie at 0.3 to 3 of it
    assert focus_distance(camera) == pytest.approx(1.0, rel=1e-3)
    cloud = random_points(camera, count=100, seed=0)
    depths = cloud.positions @ camera.world_to_camera[0, 2, :3] + camera.world_to_camera[0, 2, 3]
    assert 0.29 < float(depths.min()) < float(depths.max()) < 3.01


def test_focus_of_a_ring_is_its_centre() -> None:
    # eyes at (3 cos, 3 sin, 0.8) look at the origin
    assert focus_distance(ring_cameras()) == pytest.approx(math.hypot(3.0, 0.8), rel=1e-3)
