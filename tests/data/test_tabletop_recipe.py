"""The recipe makes the shipped scene again: masks, points on surfaces, photos that agree with the points, meshes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.data.tabletop_files import ShippedScene, ShippedView, shipped_scene

pytest.importorskip("embreex", reason="the recipe casts its rays with embreex (pip install embreex)")

from data.recipes.tabletop.render import Hits, LitScene, cast, unlit_scene
from data.recipes.tabletop.scene import TABLE_HEIGHT_M, everything, tabletop_meshes, tabletop_objects
from data.recipes.tabletop.views import instance_map, tabletop_views


@pytest.fixture(scope="module")
def scene() -> ShippedScene:
    return shipped_scene()


@pytest.fixture(scope="module")
def dark() -> LitScene:
    return unlit_scene(*everything(tabletop_objects()))


def _hidden_from(dark: LitScene, place: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How far each point lies behind (+) or before (-) what a ray from `place` meets, metres."""
    offset = points - place
    distance = np.linalg.norm(offset, axis=1)
    hits: Hits = cast(dark, np.broadcast_to(place, points.shape), offset / distance[:, None])
    return distance - hits.distance


def _colours_at(view: ShippedView, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the points inside the picture and the colours there."""
    pixels, depth = view.project(points)
    column, row = np.floor(pixels).astype(int).T
    rows = np.flatnonzero((depth > 0) & (column >= 0) & (column < 256) & (row >= 0) & (row < 256))
    return rows, view.photo[row[rows], column[rows]].astype(float)


@pytest.mark.parametrize("number", [7, 30])
def test_the_same_command_gives_the_same_mask_and_pose(scene: ShippedScene, dark: LitScene, number: int) -> None:
    view = tabletop_views()[number]
    shipped = scene.views[number]
    assert view.name == shipped.name
    np.testing.assert_allclose(view.camera_to_world @ np.diag([1, -1, -1, 1]), shipped.camera_to_world, atol=1e-8)
    ids, _, _ = instance_map(dark, view)
    # Equal on the machine that made it; another processor may round a ray that grazes an edge to the other side.
    assert (ids != shipped.ids).mean() <= 0.0005


def test_points_lie_on_surfaces_that_two_views_see(scene: ShippedScene, dark: LitScene) -> None:
    seen = np.zeros(len(scene.positions), int)
    for view in scene.views:
        rows, _ = _colours_at(view, scene.positions)
        # a match error of 0.4 pixels at 3 m is 4 mm; 15 mm leaves room for slanted surfaces
        seen[rows] += np.abs(_hidden_from(dark, view.place, scene.positions[rows])) < 0.015
    assert (seen >= 2).mean() > 0.97


def test_points_have_the_colour_of_the_photos_where_nothing_hides_them(scene: ShippedScene, dark: LitScene) -> None:
    def difference(positions: np.ndarray) -> np.ndarray:
        found = []
        for view in scene.views[::6]:
            rows, colours = _colours_at(view, positions)
            free = np.abs(_hidden_from(dark, view.place, scene.positions[rows])) < 0.015
            found.append(np.abs(colours - scene.colours[rows])[free].mean(1))
        return np.concatenate(found)

    exact, moved = difference(scene.positions), difference(scene.positions + np.array([0.02, 0.0, 0.0]))
    assert np.median(exact) < 10
    assert np.quantile(exact, 0.9) < 45
    assert np.median(moved) > 1.5 * np.median(exact), "a shift of 2 cm must show"


def test_meshes_fit_the_ground_truth_boxes(scene: ShippedScene) -> None:
    meshes = tabletop_meshes()
    assert sorted(meshes) == sorted(thing["name"] for thing in scene.objects)
    for thing in scene.objects:
        expected = [thing["box"]["minimum"], thing["box"]["maximum"]]
        np.testing.assert_allclose(meshes[thing["name"]].bounds, expected, atol=2e-6, err_msg=thing["name"])


def test_nothing_sinks_into_the_table() -> None:
    depth = {name: TABLE_HEIGHT_M - float(mesh.bounds[0, 2]) for name, mesh in tabletop_meshes().items()}
    assert max(depth.values()) < 1e-4, depth


def test_every_object_faces_outwards() -> None:
    # Light enters the room from above: a ray straight down on an object must meet a face that looks up.
    for name, mesh in tabletop_meshes().items():
        low, high = mesh.bounds
        start = np.random.default_rng(0).uniform(low, high, (200, 3))
        start[:, 2] = high[2] + 1
        hit = mesh.ray.intersects_first(start, np.tile([0.0, 0.0, -1.0], (200, 1)))
        assert (mesh.face_normals[hit[hit >= 0], 2] > 0).mean() > 0.98, name
