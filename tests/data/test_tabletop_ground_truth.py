"""The embedded tabletop keeps what its README promises, and its files agree with each other."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.data.tabletop_files import ShippedScene, ShippedView, shipped_scene

KINDS_OF_QUERY = {"name", "attribute", "side", "category", "absent"}


@pytest.fixture(scope="module")
def scene() -> ShippedScene:
    return shipped_scene()


def _pixel_counts(scene: ShippedScene, number: int) -> dict[str, int]:
    return {view.name: int((view.ids == number).sum()) for view in scene.views}


def _box_corners(thing: dict) -> np.ndarray:
    low, high = thing["box"]["minimum"], thing["box"]["maximum"]
    return np.array(list(itertools.product(*zip(low, high, strict=True))))


def _oriented_corners(thing: dict) -> np.ndarray:
    box = thing["oriented_box"]
    signs = np.array(list(itertools.product((-1, 1), repeat=3)))
    return np.array(box["centre"]) + (signs * np.array(box["half_extents"])) @ np.array(box["axes"])


def test_the_promised_amounts(scene: ShippedScene) -> None:
    assert len(scene.objects) >= 12
    assert len(scene.told_by_a_side) >= 4
    assert len(scene.views) == 48
    assert {view.photo.shape for view in scene.views} == {(256, 256, 3)}
    assert max(Counter(thing["kind"] for thing in scene.objects).values()) >= 2
    assert 6_000 <= len(scene.positions) <= 10_000
    size = sum(path.stat().st_size for path in scene.folder.rglob("*") if path.is_file())
    assert size <= 6_000_000


def test_masks_hold_the_listed_instances_and_the_listed_pixels(scene: ShippedScene) -> None:
    listed = {thing["id"] for thing in scene.objects}
    found = set(np.unique(np.stack([view.ids for view in scene.views])).tolist())
    assert found == listed | {scene.truth["mask_background"]}
    for thing in scene.objects:
        counts = _pixel_counts(scene, thing["id"])
        assert thing["pixels"] == {name: count for name, count in counts.items() if name in thing["pixels"]}
        assert max((count for name, count in counts.items() if name not in thing["pixels"]), default=0) < 30


def test_every_object_is_seen_well_from_half_of_the_views(scene: ShippedScene) -> None:
    seen = {thing["name"]: sum(count >= 60 for count in thing["pixels"].values()) for thing in scene.objects}
    assert min(seen.values()) >= 24, seen


@pytest.mark.parametrize("corners_of", [_box_corners, _oriented_corners])
def test_boxes_project_around_the_masks(scene: ShippedScene, corners_of) -> None:
    # A projection keeps convex hulls: whatever lies in the box lies between the projected corners.
    for view, thing in itertools.product(scene.views, scene.objects):
        rows, columns = np.nonzero(view.ids == thing["id"])
        pixels, depth = view.project(corners_of(thing))
        if len(rows) and (depth > 0).all():
            where = f"{thing['name']} in {view.name}"
            low, high = (columns.min() + 0.5, rows.min() + 0.5), (columns.max() + 0.5, rows.max() + 0.5)
            assert (pixels.min(0) <= low).all(), where
            assert (pixels.max(0) >= high).all(), where


def test_a_box_moved_by_five_centimetres_would_be_noticed(scene: ShippedScene) -> None:
    for thing in scene.objects:
        moved = _box_corners(thing) + np.array([0.05, 0.05, 0.0])
        assert any(_leaves(view, moved, thing["id"]) for view in scene.views), thing["name"]


def _leaves(view: ShippedView, corners: np.ndarray, number: int) -> bool:
    columns = np.nonzero((view.ids == number).any(0))[0]
    pixels, depth = view.project(corners)
    return bool(len(columns) and (depth > 0).all() and columns.min() + 0.5 < pixels[:, 0].min())


def test_centroids_fall_on_the_masks(scene: ShippedScene) -> None:
    for thing in scene.objects:
        whole = [view for view in scene.views if _is_whole(view.ids == thing["id"])]
        view = max(whole, key=lambda one, number=thing["id"]: (one.ids == number).sum())
        rows, columns = np.nonzero(view.ids == thing["id"])
        pixel = view.project(np.array([thing["centroid"]]))[0][0]
        assert (pixel >= (columns.min(), rows.min())).all(), thing["name"]
        assert (pixel <= (columns.max() + 1, rows.max() + 1)).all(), thing["name"]


def _is_whole(mask: np.ndarray) -> bool:
    """Seen, and not cut by the border of the picture."""
    return bool(mask.any()) and not (mask[[0, -1]].any() or mask[:, [0, -1]].any())


def test_cameras_stand_upright_around_the_table(scene: ShippedScene) -> None:
    poses = np.stack([view.camera_to_world for view in scene.views])
    np.testing.assert_allclose(
        poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1), np.eye(3)[None].repeat(48, 0), atol=1e-7
    )
    np.testing.assert_allclose(poses[:, 2, 0], 0, atol=1e-7, err_msg="the x axis of every camera is level")
    quadrants = 2 * (poses[:, 0, 3] > 0) + (poses[:, 1, 3] > 0)
    assert np.bincount(quadrants, minlength=4).min() >= 8


def test_phrases_are_bound_to_known_instances_and_said_once(scene: ShippedScene) -> None:
    listed = {thing["id"] for thing in scene.objects}
    phrases = Counter(query["phrase"] for query in scene.truth["queries"])
    assert [phrase for phrase, count in phrases.items() if count > 1] == []
    assert {query["kind"] for query in scene.truth["queries"]} == KINDS_OF_QUERY
    for query in scene.truth["queries"]:
        assert set(query["ids"]) <= listed
        assert (query["ids"] == []) == (query["kind"] == "absent"), query
    asked = {thing: 0 for thing in listed}
    for number in itertools.chain.from_iterable(query["ids"] for query in scene.truth["queries"]):
        asked[number] += 1
    assert min(asked.values()) >= 2
    assert any(len(query["ids"]) >= 3 for query in scene.truth["queries"])


def test_the_readme_counts_the_queries_right(scene: ShippedScene) -> None:
    readme = (Path(__file__).resolve().parents[2] / "data" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .* \| (\d+) \|$", readme, re.MULTILINE)
    assert {kind: int(count) for kind, count in rows} == Counter(query["kind"] for query in scene.truth["queries"])


def test_absent_phrases_share_no_word_with_present_ones(scene: ShippedScene) -> None:
    words = {kind: set() for kind in KINDS_OF_QUERY}
    for query in scene.truth["queries"]:
        words[query["kind"]] |= set(query["phrase"].split())
    present = set().union(*(words[kind] for kind in KINDS_OF_QUERY - {"absent"}))
    assert words["absent"] & present == set()


def test_telling_sides_are_seen_from_some_views_only(scene: ShippedScene) -> None:
    for thing in scene.told_by_a_side:
        seen = {name for name, count in thing["pixels"].items() if count >= 60}
        blind = seen - set(thing["telling_pixels"])
        assert len(thing["telling_views"]) >= 10, thing["name"]
        assert len(blind) >= 5, thing["name"]
        for name in thing["telling_views"]:
            assert thing["telling_pixels"][name] >= max(60, 0.25 * thing["pixels"][name])
        for name, count in thing["telling_pixels"].items():
            assert count <= thing["pixels"].get(name, 29)


def test_telling_sides_do_not_all_face_the_same_views(scene: ShippedScene) -> None:
    views = [set(thing["telling_views"]) for thing in scene.told_by_a_side]
    apart = [len(a & b) / len(a | b) for a, b in itertools.combinations(views, 2)]
    assert min(apart) == 0.0
    assert max(apart) < 0.9


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        # The red title band of the box and the orange fish: colours their other sides do not carry.
        ("cereal box", lambda r, g, b: (r > 110) & (g < 0.45 * r) & (b < 0.45 * r)),
        ("fish book", lambda r, g, b: (r > 140) & (g < 0.8 * r) & (b < 0.55 * r)),
    ],
)
def test_the_print_is_seen_where_the_truth_says_so(scene: ShippedScene, name: str, printed) -> None:
    thing = next(thing for thing in scene.objects if thing["name"] == name)
    shares = {}
    for view in scene.views:
        pixels = view.photo[view.ids == thing["id"]].astype(float)
        if len(pixels) >= 60:
            shares[view.name] = float(printed(*pixels.T).mean())
    telling = [share for view, share in shares.items() if view in thing["telling_views"]]
    blind = [share for view, share in shares.items() if view not in thing["telling_pixels"]]
    assert np.median(telling) > 0.06
    # what is left is the border pixels, where anything may stand behind the object
    assert np.median(blind) < 0.02
