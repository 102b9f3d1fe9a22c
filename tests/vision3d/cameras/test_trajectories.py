"""Camera paths: `look_at` by hand, orbits that stay where the photos were."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tests.vision3d.cameras.small_scenes import refused
from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.trajectories import focus_point, look_at, orbit_cameras
from vision3d.errors import InvalidInputError

UP = torch.tensor([0.0, 0, 1])


def cameras_looking(eyes: torch.Tensor, target: torch.Tensor, up: torch.Tensor = UP) -> CameraBatch:
    count = len(eyes)
    return CameraBatch(
        world_to_camera=torch.stack([look_at(eye, target, up) for eye in eyes]),
        intrinsics=torch.tensor([[40.0, 0, 16], [0, 40, 12], [0, 0, 1]]).repeat(count, 1, 1),
        image_sizes=torch.tensor([[32, 24]] * count),
        names=tuple(f"{row:02d}" for row in range(count)),
    )


def ring(count: int, radius: float, height: float) -> torch.Tensor:
    turns = torch.arange(count) / count * 2 * math.pi
    return torch.stack([radius * turns.cos(), radius * turns.sin(), torch.full((count,), height)], 1)


def seen_at(cameras: CameraBatch, point: torch.Tensor) -> torch.Tensor:
    """Camera coordinates of one world point in every view."""
    return (cameras.world_to_camera @ torch.cat([point, torch.ones(1)]))[:, :3]


def test_look_at_by_hand() -> None:
    """From (0, -2, 0) towards +y with z up: right is +x, down is -z, forward is +y."""
    pose = look_at(torch.tensor([0.0, -2, 0]), torch.zeros(3), UP)
    assert pose.tolist() == [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 2], [0, 0, 0, 1]]


def test_look_at_refuses_a_view_without_direction() -> None:
    with refused(InvalidInputError, "look_at"):
        look_at(torch.ones(3), torch.ones(3), UP)
    with refused(InvalidInputError, "look_at"):
        look_at(torch.zeros(3), UP, UP)


def test_focus_is_where_the_views_meet() -> None:
    target = torch.tensor([1.0, -2, 0.5])
    found = focus_point(cameras_looking(target + ring(12, 4.0, 1.5), target))
    # the pull of 1e-4 towards the centres moves it by about 1e-4 of their distance
    assert torch.allclose(found, target, atol=1e-3)


def test_focus_of_views_that_look_apart_lies_in_front() -> None:
    """Two cameras side by side, turned outwards by 0.1 each: their axes meet behind them."""
    eyes = torch.tensor([[-1.0, 0, 0], [1.0, 0, 0]])
    poses = [look_at(eye, eye + torch.tensor([math.copysign(0.1, float(eye[0])), 1, 0]), UP) for eye in eyes]
    apart = cameras_looking(eyes, torch.tensor([0.0, 5, 0]))
    apart = CameraBatch(
        world_to_camera=torch.stack(poses),
        intrinsics=apart.intrinsics,
        image_sizes=apart.image_sizes,
        names=apart.names,
    )
    assert (seen_at(apart, focus_point(apart))[:, 2] > 0).all()


def test_orbit_of_a_full_ring_keeps_radius_and_height_and_looks_at_the_focus() -> None:
    target = torch.tensor([1.0, -2, 0.5])
    cameras = cameras_looking(target + ring(12, 4.0, 1.5), target)
    path = orbit_cameras(cameras, view_count=20, width=64, height=48)
    offsets = path.camera_centres - target
    assert torch.allclose(offsets[:, :2].norm(dim=1), torch.tensor(4.0), atol=5e-3)
    assert torch.allclose(offsets[:, 2], torch.tensor(1.5), atol=5e-3)
    seen = seen_at(path, focus_point(cameras))
    assert seen[:, :2].abs().max() < 1e-4
    assert (seen[:, 2] > 0).all()
    steps = path.camera_centres - path.camera_centres.roll(1, 0)  # closed and even: chord of 18 degrees
    assert torch.allclose(steps.norm(dim=1), torch.tensor(2 * 4.0 * math.sin(math.pi / 20)), atol=5e-3)


def test_orbit_of_forward_facing_views_stays_in_the_covered_area() -> None:
    """A grid of 2 by 1 units before a wall 10 units away; up is -y, as a photographer's camera has it."""
    x, y = torch.meshgrid(torch.linspace(-1, 1, 5), torch.linspace(-0.5, 0.5, 5), indexing="ij")
    eyes = torch.stack([x.flatten(), y.flatten(), torch.zeros(25)], 1)
    cameras = cameras_looking(eyes, torch.tensor([0.0, 0, 10]), torch.tensor([0.0, -1, 0]))
    centres = orbit_cameras(cameras, view_count=16, width=32, height=24).camera_centres
    assert (centres.abs() <= torch.tensor([1.0, 0.5, 1e-3])).all()
    assert centres[:, 0].max() > 0.5  # it moves: more than half of the reach to each side
    assert centres[:, 1].max() > 0.25


def test_orbit_cameras_see_as_wide_as_the_photos() -> None:
    cameras = cameras_looking(ring(8, 3.0, 1.0), torch.zeros(3))  # fx = fy = 40 at 32x24
    path = orbit_cameras(cameras, view_count=2, width=64, height=48)
    assert path.names == ("orbit_000", "orbit_001")
    assert path.uniform_size == (64, 48)
    assert path.intrinsics[0].tolist() == [[80, 0, 32], [0, 80, 24], [0, 0, 1]]


def test_one_photo_is_enough_for_an_orbit() -> None:
    camera = cameras_looking(torch.tensor([[0.0, -3, 1]]), torch.zeros(3))
    path = orbit_cameras(camera, view_count=4, width=32, height=24)
    assert torch.isfinite(path.world_to_camera).all()


def test_an_orbit_without_views_or_pixels_is_refused() -> None:
    cameras = cameras_looking(ring(8, 3.0, 1.0), torch.zeros(3))
    with refused(InvalidInputError, "0 views"):
        orbit_cameras(cameras, view_count=0, width=32, height=24)
    with refused(InvalidInputError, "32x0"):
        orbit_cameras(cameras, view_count=3, width=32, height=0)


def test_parallel_views_look_ahead() -> None:
    """Axes that never meet: the focus lies as far ahead as the outermost camera is from the middle, 2 units."""
    eyes = torch.tensor([[-2.0, 0, 0], [0, 0, 0], [2, 0, 0]])
    cameras = replace(
        cameras_looking(eyes, torch.tensor([0.0, 5, 0])),
        world_to_camera=torch.stack([look_at(eye, eye + torch.tensor([0.0, 1, 0]), UP) for eye in eyes]),
    )
    assert torch.allclose(focus_point(cameras), torch.tensor([0.0, 2, 0]), atol=1e-5)
    path = orbit_cameras(cameras, view_count=4, width=32, height=24)
    assert (seen_at(path, torch.tensor([0.0, 2, 0]))[:, 2] > 1).all()


@pytest.mark.parametrize("tilted", [False, True])
def test_photos_rolled_all_around_still_give_an_orbit(tilted: bool) -> None:
    """Eight cameras over a table, each turned by 45 degrees, so that no direction is up in the photos.

    They look straight down, or from 72 degrees beside the vertical inwards, where "up" is away from the table.
    """
    eyes = torch.tensor([0.0, 0, 1]) + ring(8, 3.0 if tilted else 0.5, 0.0)
    targets = torch.zeros(8, 3) if tilted else eyes - UP
    rolled = torch.linalg.cross(targets - eyes, UP.expand(8, 3)) if tilted else ring(8, 1.0, 0.0)
    poses = [look_at(*views) for views in zip(eyes, targets, rolled, strict=True)]
    cameras = replace(cameras_looking(eyes, torch.tensor([0.0, 0, -1])), world_to_camera=torch.stack(poses))
    assert cameras.world_to_camera[:, 1, :3].mean(0).norm() < 1e-6
    path = orbit_cameras(cameras, view_count=6, width=32, height=24)
    centres = path.camera_centres
    assert torch.allclose(centres[:, 2], torch.tensor(1.0), atol=1e-3)
    assert (seen_at(path, focus_point(cameras))[:, 2] > 0.9).all()
    assert (centres[:, :2].norm(dim=1) <= (3.01 if tilted else 0.5)).all()


def test_cameras_of_two_sizes_with_one_angle_of_view_keep_it() -> None:
    cameras = cameras_looking(ring(8, 3.0, 1.0), torch.zeros(3))  # f = 40 at 32x24
    factors = torch.tensor([1.0, 2.0]).repeat(4)
    intrinsics = cameras.intrinsics * factors[:, None, None]
    intrinsics[:, 2, 2] = 1
    sizes = (cameras.image_sizes * factors[:, None]).long()
    path = orbit_cameras(replace(cameras, intrinsics=intrinsics, image_sizes=sizes), view_count=1, width=64, height=48)
    assert path.intrinsics[0].tolist() == [[80, 0, 32], [0, 80, 24], [0, 0, 1]]


def test_an_orbit_around_nothing_is_refused() -> None:
    nothing = cameras_looking(ring(3, 3.0, 1.0), torch.zeros(3)).select([])
    with refused(InvalidInputError, "0 cameras"):
        orbit_cameras(nothing, view_count=3, width=32, height=24)
