"""Boxes and extents: worked by hand, and the law that turning the world turns the box."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vision3d.errors import InvalidInputError
from vision3d.scene.bounds import axis_aligned_box, oriented_box, point_extent, scene_scale
from vision3d.scene.rotations import quats_to_matrices

quats = (
    st.lists(st.floats(-1, 1), min_size=4, max_size=4)
    .filter(lambda values: math.hypot(*values) > 0.1)
    .map(lambda values: torch.tensor(values, dtype=torch.float64))
)


def filled_box(*sizes: float, count: int = 400) -> torch.Tensor:
    """Points inside a box around the origin, its eight corners among them."""
    size = torch.tensor(sizes, dtype=torch.float64)
    corners = torch.cartesian_prod(*[torch.tensor([-0.5, 0.5], dtype=torch.float64)] * 3)
    return torch.cat([corners, torch.rand(count, 3, dtype=torch.float64) - 0.5]) * size


def test_axis_aligned_box_by_hand() -> None:
    box = axis_aligned_box(torch.tensor([[0.0, -1, 2], [4, 1, 2], [1, 0, 3]]))
    assert box.minimum.tolist() == [0, -1, 2]
    assert box.maximum.tolist() == [4, 1, 3]
    assert box.centre.tolist() == [2, 0, 2.5]
    assert box.size.tolist() == [4, 2, 1]
    inside = box.contains(torch.tensor([[0.0, 0, 2.5], [4, 1, 3], [4.1, 0, 2.5], [2, 0, 1.9]]))
    assert inside.tolist() == [True, True, False, False]


def test_a_quantile_leaves_strays_outside() -> None:
    points = torch.linspace(0, 100, 101)[:, None].repeat(1, 3)
    points[0, 0] = -1e6
    box = axis_aligned_box(points, quantile=0.05)
    assert box.minimum.tolist() == [5, 5, 5]
    assert box.maximum.tolist() == [95, 95, 95]


@given(quat=quats)
def test_the_smallest_box_of_a_turned_box_is_that_box(quat: torch.Tensor) -> None:
    points = filled_box(5, 2, 1)
    rotation = quats_to_matrices(quat)
    shift = torch.tensor([10.0, -20, 30], dtype=torch.float64)
    box = oriented_box(points @ rotation.T + shift)
    turned = points @ rotation.T + shift
    assert box.contains(turned).all()
    torch.testing.assert_close(box.axes @ box.axes.T, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-9)
    assert torch.linalg.det(box.axes) > 0
    assert box.half_extents.diff().le(1e-9).all()  # longest first
    # keeping one principal axis costs a little: the box of 400 even points leans by about 1/20
    assert box.volume <= 10 * 1.25
    assert box.volume <= oriented_box(turned, method="pca").volume * (1 + 1e-9)


@given(quat=quats)
def test_turning_the_world_turns_the_box(quat: torch.Tensor) -> None:
    points = filled_box(5, 2, 1)
    rotation = quats_to_matrices(quat)
    for method in ("pca", "min_volume"):
        before, after = oriented_box(points, method=method), oriented_box(points @ rotation.T, method=method)
        torch.testing.assert_close(after.centre, before.centre @ rotation.T, rtol=0, atol=1e-6)
        torch.testing.assert_close(after.half_extents, before.half_extents, rtol=0, atol=1e-6)
        torch.testing.assert_close(after.axes.abs(), (before.axes @ rotation.T).abs(), rtol=0, atol=1e-6)


def test_a_prism_seen_along_its_axis_gets_its_smallest_rectangle() -> None:
    """A triangle (0,0) (4,0) (0,2) extruded by 10: the smallest rectangle lies on a side, area 8 for all three."""
    triangle = torch.tensor([[0.0, 0], [4, 0], [0, 2]], dtype=torch.float64)
    heights = torch.tensor([-5.0, 5], dtype=torch.float64)
    points = torch.cat([torch.cat([triangle, h.expand(3, 1)], dim=1) for h in heights])
    box = oriented_box(points)
    assert box.volume == pytest.approx(80)
    assert box.half_extents[0] == pytest.approx(5)
    assert oriented_box(points, method="pca").volume > 80 * 1.05  # the principal axes lean


def test_corners_are_the_corners() -> None:
    box = oriented_box(filled_box(6, 4, 2, count=0))
    expected = {(x, y, z) for x in (-3.0, 3) for y in (-2.0, 2) for z in (-1.0, 1)}
    assert {tuple(round(value, 9) for value in corner) for corner in box.corners.tolist()} == expected


@pytest.mark.parametrize(
    ("points", "half_extents"),
    [
        ([[1.0, 2, 3]], [0, 0, 0]),
        ([[0.0, 0, 0], [3, 4, 0]], [2.5, 0, 0]),
        ([[0.0, 0, 0], [1, 1, 1], [3, 3, 3]], [1.5 * math.sqrt(3), 0, 0]),
        ([[1.0, 1, 0], [3, 1, 0], [3, 5, 0], [1, 5, 0], [2, 3, 0]], [2, 1, 0]),
    ],
)
def test_flat_straight_and_single_sets(points: list[list[float]], half_extents: list[float]) -> None:
    cloud = torch.tensor(points, dtype=torch.float64)
    box = oriented_box(cloud)
    torch.testing.assert_close(box.half_extents, torch.tensor(half_extents, dtype=torch.float64), rtol=0, atol=1e-7)
    torch.testing.assert_close(torch.linalg.det(box.axes), torch.tensor(1.0, dtype=torch.float64))
    assert box.contains(cloud + 1e-9 if len(points) > 1 else cloud).all()


def test_scene_scale_is_the_reach_of_the_cameras() -> None:
    # mean (1, 0, 0), farthest centre 3 away
    centres = torch.tensor([[0.0, 0, 0], [-1, 0, 0], [4, 0, 0]])
    assert scene_scale(centres) == pytest.approx(3.3)
    assert scene_scale(centres[:1]) == 0


def test_point_extent_ignores_strays() -> None:
    points = torch.zeros(101, 3)
    points[:, 0] = torch.linspace(-50, 50, 101)  # median 0; 90 % lie within 45.0 of it
    assert point_extent(points) == pytest.approx(45)
    points[0] = -1e9
    assert point_extent(points) == pytest.approx(45)
    assert point_extent(points, share=1.0) > 1e8


@pytest.mark.parametrize("measure", [axis_aligned_box, oriented_box, scene_scale, point_extent])
def test_no_points_and_nan_are_refused(measure: object) -> None:
    assert callable(measure)
    with pytest.raises(InvalidInputError, match="found none"):
        measure(torch.zeros(0, 3))
    with pytest.raises(InvalidInputError, match="1 of 2 not finite"):
        measure(torch.tensor([[0.0, 0, 0], [0, float("nan"), 0]]))


def test_shares_out_of_range_are_refused() -> None:
    points = torch.rand(5, 3)
    with pytest.raises(InvalidInputError, match=r"0\.5"):
        axis_aligned_box(points, quantile=0.5)
    with pytest.raises(InvalidInputError, match=r"-0\.1"):
        oriented_box(points, quantile=-0.1)
    with pytest.raises(InvalidInputError, match="share"):
        point_extent(points, share=0.0)
