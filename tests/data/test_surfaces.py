"""Pieces of the tabletop recipe: surfaces close, face outwards and keep their measures; textures tile."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import trimesh

from data.recipes.tabletop import food, furnishings, kitchenware, packages, printed_faces, toys
from data.recipes.tabletop.surfaces import (
    Material,
    Part,
    Parts,
    ball_part,
    box,
    joined,
    lathe,
    moved,
    placement,
    shading_normals,
    smooth_curve,
    tube,
)
from data.recipes.tabletop.textures import glaze, smooth_noise

GREY = Material(texture=glaze((128, 128, 128)))
BUILDERS = {
    "mug": lambda seed: kitchenware.mug((190, 40, 40), stripe=(250, 250, 250), seed=seed),
    "teapot": lambda seed: kitchenware.teapot((220, 120, 50), seed=seed),
    "bowl": lambda seed: kitchenware.bowl((40, 100, 160), seed=seed),
    "plate": lambda seed: kitchenware.plate((240, 240, 240), rim=(60, 90, 160), seed=seed),
    "bottle": lambda seed: kitchenware.bottle((30, 110, 60), seed=seed),
    "apple": lambda seed: food.apple((200, 170, 60), blush=(190, 30, 30), seed=seed),
    "banana": lambda seed: food.banana(seed=seed),
    "doughnut": lambda seed: food.doughnut(seed=seed),
    "printed box": lambda seed: packages.printed_box(printed_faces.cereal_face(seed=seed), seed=seed),
    "carton": lambda seed: packages.gable_carton(printed_faces.cow_face(), seed=seed),
    "tin": lambda seed: packages.tea_tin(seed=seed),
    "book": lambda seed: packages.book(printed_faces.fish_cover(), cloth=(30, 90, 140), seed=seed),
    "photo frame": lambda seed: packages.photo_frame(printed_faces.sea_photo(), seed=seed),
    "clock": lambda seed: furnishings.alarm_clock(seed=seed),
    "lamp": lambda seed: furnishings.table_lamp(seed=seed),
    "candle": lambda seed: furnishings.candle((150, 90, 160), (200, 170, 80), seed=seed),
    "vase": lambda seed: furnishings.vase((240, 236, 224), figure=(40, 80, 160), seed=seed),
    "plant": lambda seed: furnishings.potted_plant(seed=seed),
    "duck": lambda seed: toys.rubber_duck(seed=seed),
}


def _solid(parts: Parts) -> trimesh.Trimesh:
    return trimesh.Trimesh(*joined(parts), process=True)


def test_a_box_has_its_volume_and_looks_outwards() -> None:
    assert _solid(box((0.2, 0.1, 0.3), {"other": GREY})).volume == pytest.approx(0.2 * 0.1 * 0.3, rel=1e-9)


def test_box_sides_are_named_as_seen_with_the_front_to_minus_y() -> None:
    names: tuple[str, ...] = ("front", "right", "back", "left", "top", "bottom")
    sides: dict[str, Part] = dict(
        zip(names, box((0.2, 0.1, 0.3), {"other": GREY}, telling=frozenset({"front"})), strict=True)
    )
    looks = {
        "front": (0, -1, 0),
        "right": (1, 0, 0),
        "back": (0, 1, 0),
        "left": (-1, 0, 0),
        "top": (0, 0, 1),
        "bottom": (0, 0, -1),
    }
    for name, direction in looks.items():
        np.testing.assert_allclose(sides[name].mesh.face_normals.mean(0), direction, atol=1e-9)
    assert [name for name in names if sides[name].telling] == ["front"]


def test_a_picture_on_the_front_reads_from_left_to_right_and_from_the_top() -> None:
    front = box((0.2, 0.1, 0.3), {"other": GREY})[0]
    top_left = front.uv[(front.mesh.vertices - (-0.1, -0.05, 0.3)).__abs__().sum(1) < 1e-9]
    bottom_right = front.uv[(front.mesh.vertices - (0.1, -0.05, 0.0)).__abs__().sum(1) < 1e-9]
    np.testing.assert_allclose(top_left, [[0, 0]])
    np.testing.assert_allclose(bottom_right, [[1, 1]])


def test_a_lathe_turns_a_half_circle_into_a_sphere() -> None:
    turn = np.linspace(0, np.pi, 200)
    sphere = lathe(0.5 * np.stack([np.sin(turn), np.cos(turn)], 1), GREY, sections=200)
    assert _solid((sphere,)).volume == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=1e-3)
    np.testing.assert_allclose(shading_normals((sphere,)), sphere.mesh.vertices / 0.5, atol=0.02)


def test_a_tube_faces_outwards_whichever_way_it_bends() -> None:
    for path in ([(0, 0, 0), (0, 0, 1)], [(0, 0, 0), (1, 0, 0)], [(0, 1, 0), (0, 0, 0), (1, 0, 0)]):
        curve = smooth_curve(path, 30)
        part = tube(curve, 0.05, GREY)
        nearest = curve[np.argmin(np.linalg.norm(part.mesh.triangles_center[:, None] - curve[None], axis=-1), 1)]
        assert ((part.mesh.triangles_center - nearest) * part.mesh.face_normals).sum(1).min() > 0


def test_an_ellipsoid_has_its_volume() -> None:
    part = ball_part(0.1, GREY, stretch=(1.0, 2.0, 0.5))
    assert _solid((part,)).volume == pytest.approx(4 / 3 * np.pi * 0.1**3, rel=0.01)


def test_normals_are_smooth_over_seams_and_sharp_over_creases() -> None:
    parts = box((1, 1, 1), {"other": GREY}, step=0.5)
    normals = shading_normals(parts)
    np.testing.assert_allclose(np.sort(np.abs(normals), 1), np.tile([0, 0, 1.0], (len(normals), 1)), atol=1e-9)


def test_a_placement_turns_then_shifts() -> None:
    part = moved((ball_part(0.1, GREY),), placement(offset=(1, 2, 3), yaw=30, scale=2.0))[0]
    np.testing.assert_allclose(part.mesh.bounds.mean(0), [1, 2, 3], atol=1e-3)
    np.testing.assert_allclose(np.ptp(part.mesh.bounds, axis=0), 0.4, atol=1e-2)


def test_noise_tiles() -> None:
    field = smooth_noise(64, 96, 8.0, seed=3)
    inside = np.abs(np.diff(field, axis=0)).max()
    assert np.abs(field[0] - field[-1]).max() <= 1.5 * inside
    assert (field.mean(), field.std()) == pytest.approx((0, 1), abs=1e-9)


@pytest.mark.parametrize("name", BUILDERS)
def test_an_object_stands_on_the_ground_and_is_the_same_for_the_same_seed(name: str) -> None:
    first, again, other = (BUILDERS[name](seed) for seed in (1, 1, 2))
    vertices, _ = joined(first)
    assert abs(vertices[:, 2].min()) < 1e-3
    assert np.abs(vertices[:, :2]).max() < 0.25
    np.testing.assert_array_equal(vertices, joined(again)[0])
    assert all(np.array_equal(a.material.texture, b.material.texture) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a.material.texture, b.material.texture) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("count", range(1, 7))
def test_a_die_shows_its_number(count: int) -> None:
    face = printed_faces.die_face(count, (200, 30, 30))
    pips = cv2.connectedComponents((face[..., 2] > 140).astype(np.uint8))[0] - 1
    assert pips == count
