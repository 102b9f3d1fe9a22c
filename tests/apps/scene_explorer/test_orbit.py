"""Walking around a scene: the first photo's place is where one starts, and every camera looks at the middle."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from apps.scene_explorer.browser_splats import VIEWER_TURN, placed_for_viewer
from apps.scene_explorer.orbit import Orbit, Stand, camera_at, find_orbit, start_stand
from tests.vision3d.laga.ball_scene import make_ball_scene

_DEGREES = st.floats(-180, 180)


@pytest.fixture(scope="module")
def orbit() -> Orbit:
    balls = make_ball_scene(8)
    return find_orbit(balls.scene, balls.cameras)


def test_it_starts_at_the_first_photo(orbit: Orbit) -> None:
    balls = make_ball_scene(8)
    assert torch.allclose(orbit.middle, torch.tensor([0.0, 0.0, 0.2]), atol=0.01)
    assert torch.allclose(orbit.up, torch.tensor([0.0, 0.0, 1.0]), atol=1e-5)
    assert orbit.focal_share == pytest.approx(1.1)
    there = camera_at(orbit, Stand(height_degrees=orbit.height_degrees), width=64, height=64)
    assert torch.allclose(there.camera_centres[0], balls.cameras.camera_centres[0], atol=0.01)
    assert start_stand(orbit).height_degrees == round(math.degrees(math.atan2(2.2, 3.5)))


@given(turn=_DEGREES, rise=_DEGREES, away=st.floats(0.3, 2.5))
def test_every_camera_looks_at_the_middle_with_up_upwards(turn: float, rise: float, away: float) -> None:
    orbit = find_orbit(*(lambda balls: (balls.scene, balls.cameras))(_BALLS))
    camera = camera_at(orbit, Stand(turn_degrees=turn, height_degrees=rise, distance_share=away), width=60, height=40)
    seen = camera.world_to_camera[0] @ torch.cat([orbit.middle, torch.ones(1)])
    assert seen[:3].tolist() == pytest.approx([0, 0, away * orbit.distance], abs=1e-3)
    assert float(camera.world_to_camera[0, 1, :3] @ orbit.up) < 0  # down in the picture is down


def test_a_turn_goes_to_the_right(orbit: Orbit) -> None:
    front = camera_at(orbit, Stand(), width=64, height=64)
    turned = camera_at(orbit, Stand(turn_degrees=10.0), width=64, height=64)
    assert float((front.world_to_camera[0] @ torch.cat([turned.camera_centres[0], torch.ones(1)]))[0]) > 0


def test_splats_without_cameras_have_a_walk_too() -> None:
    orbit = find_orbit(_BALLS.scene, None)
    assert orbit.up.tolist() == [0.0, -1.0, 0.0]
    assert 2 < orbit.distance < 20


def test_cameras_from_straight_above_have_a_walk_too() -> None:
    above = camera_at(find_orbit(_BALLS.scene, _BALLS.cameras), Stand(height_degrees=85.0), width=64, height=64)
    found = find_orbit(_BALLS.scene, above)
    assert float(found.front.norm()) == pytest.approx(1.0)
    assert float(found.front @ found.up) == pytest.approx(0.0, abs=1e-5)


def test_the_viewer_is_given_the_first_stand(orbit: Orbit) -> None:
    placement, scale = placed_for_viewer(orbit)
    rotation, shift = placement[:, :3], placement[:, 3]
    assert torch.allclose(rotation @ rotation.T, torch.eye(3), atol=1e-5)
    assert float(torch.linalg.det(rotation)) == pytest.approx(1.0, abs=1e-5)
    assert (rotation @ orbit.middle + shift).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert (rotation @ orbit.up).tolist() == pytest.approx([0, -1, 0], abs=1e-5)
    eye = [math.sin(VIEWER_TURN), 0, -math.cos(VIEWER_TURN)]
    assert (rotation @ orbit.front).tolist() == pytest.approx(eye, abs=1e-5)
    assert scale > 0


_BALLS = make_ball_scene(8)
