"""What is known about the tabletop: objects, phrases, boxes, which view shows what, and a cloud as SfM would give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy import ndarray

from data.recipes.tabletop.scene import SceneObject
from data.recipes.tabletop.surfaces import Parts
from data.recipes.tabletop.views import View, intrinsics
from vision3d.scene.bounds import oriented_box

ABSENT = (
    "scissors", "laptop", "cat", "pineapple", "microscope", "fork", "keyboard", "sunglasses", "pizza", "headphones",
    "toothbrush", "shoe", "umbrella", "guitar", "toaster", "hammer", "camera", "hat", "teddy bear", "bicycle",
)  # fmt: skip
CATEGORY_PHRASES = {
    "apple": ("red apple", "green apple", "yellow apple"),
    "fruit": ("red apple", "green apple", "yellow apple", "banana"),
    "mug": ("red mug", "blue mug"),
    "cup": ("red mug", "blue mug"),
    "something to drink from": ("red mug", "blue mug"),
    "book": ("fish book", "star book"),
    "something to read": ("fish book", "star book"),
    "die": ("red die", "blue die"),
    "dice": ("red die", "blue die"),
    "cube with dots": ("red die", "blue die"),
    "something with a printed picture": (
        "cereal box", "milk carton", "fish book", "star book", "framed photo", "tea tin",
    ),
    "bowl": ("fruit bowl",),
    "bottle": ("green bottle",),
    "lamp": ("table lamp",),
    "clock": ("alarm clock",),
    "vase": ("vase of tulips",),
    "tulips": ("vase of tulips",),
    "duck": ("rubber duck",),
    "ball": ("beach ball",),
    "donut": ("doughnut",),
}  # fmt: skip
"""Category words and the instances they mean."""
_TELLING_PIXELS = 60
_TELLING_SHARE = 0.25
_SHOWN_PIXELS = 30
_CLOUD_POINTS = 9000
_CLOUD_NOISE_PIXELS = 0.4
_DEPTH_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenView:
    """A camera with what it saw."""

    view: View
    photo: ndarray
    """Display values 0-1 [h w 3]."""
    ids: ndarray
    """Instance ids [h w]."""
    telling: ndarray
    """True where a telling side is seen [h w]."""
    distance: ndarray
    """Along the ray, metres [h w]."""


def describe_objects(objects: Sequence[SceneObject], taken: Sequence[TakenView]) -> dict[str, Any]:
    """The content of objects.json."""
    numbers = {thing.name: thing.number for thing in objects}
    queries: list[dict[str, Any]] = []
    for thing in objects:
        queries.append({"phrase": thing.name, "ids": [thing.number], "kind": "name"})
        queries += [{"phrase": phrase, "ids": [thing.number], "kind": "attribute"} for phrase in thing.phrases]
        queries += [{"phrase": phrase, "ids": [thing.number], "kind": "side"} for phrase in thing.side_phrases]
    for phrase, names in CATEGORY_PHRASES.items():
        queries.append({"phrase": phrase, "ids": [numbers[name] for name in names], "kind": "category"})
    queries += [{"phrase": phrase, "ids": [], "kind": "absent"} for phrase in ABSENT]
    return {
        "frame": "world of transforms.json: metres, z up",
        "mask_background": 0,
        "telling_rule": f"at least {_TELLING_PIXELS} pixels and {_TELLING_SHARE:.0%} of what is seen of the object",
        "objects": [
            describe_instance(
                number=thing.number,
                name=thing.name,
                kind=thing.kind,
                parts=thing.parts,
                taken=taken,
                phrases=thing.phrases,
                side_phrases=thing.side_phrases,
            )
            for thing in objects
        ],
        "queries": queries,
    }


def describe_instance(
    *,
    number: int,
    name: str,
    kind: str,
    parts: Parts,
    taken: Sequence[TakenView],
    phrases: Sequence[str],
    side_phrases: Sequence[str],
) -> dict[str, Any]:
    """The entry of one instance: what it is called, where it is, and which views show it."""
    vertices = np.concatenate([part.mesh.vertices for part in parts])
    box = oriented_box(torch.from_numpy(vertices))
    shown = {one.view.name: int((one.ids == number).sum()) for one in taken}
    told = {one.view.name: int(((one.ids == number) & one.telling).sum()) for one in taken}
    return {
        "id": number,
        "name": name,
        "kind": kind,
        "phrases": list(phrases),
        "side_phrases": list(side_phrases),
        "box": {"minimum": _rounded(vertices.min(0)), "maximum": _rounded(vertices.max(0))},
        "oriented_box": {
            "centre": _rounded(box.centre.numpy()),
            "axes": [_rounded(axis) for axis in box.axes.numpy()],
            "half_extents": _rounded(box.half_extents.numpy()),
        },
        "centroid": _rounded(_area_centroid(parts)),
        "pixels": {name: count for name, count in shown.items() if count >= _SHOWN_PIXELS},
        "telling_pixels": {name: count for name, count in told.items() if side_phrases and count},
        "telling_views": [
            name
            for name, count in told.items()
            if side_phrases and count >= max(_TELLING_PIXELS, _TELLING_SHARE * shown[name])
        ],
    }


def sparse_points(taken: Sequence[TakenView], seed: int = 0) -> tuple[ndarray, ndarray]:
    """Noisy surface points that two views or more see, and their mean colours in 0-1, as an SfM cloud.

    The noise is the error of a match of `_CLOUD_NOISE_PIXELS` in the nearest view, so far points are less exact.
    """
    rng = np.random.default_rng(seed)
    per_view = 3 * _CLOUD_POINTS // len(taken)
    points = []
    for one in taken:
        side = one.ids.shape[0]
        # corners and edges are what SfM finds: prefer pixels with contrast
        contrast = np.abs(np.gradient(one.photo.mean(-1), axis=0)) + np.abs(np.gradient(one.photo.mean(-1), axis=1))
        share = (contrast + 0.02).ravel() * np.isfinite(one.distance).ravel()
        chosen = rng.choice(side * side, per_view, replace=False, p=share / share.sum())
        points.append(_world_points(one, chosen % side, chosen // side))
    cloud = np.concatenate(points)
    seen, nearest, colour = np.zeros(len(cloud)), np.full(len(cloud), np.inf), np.zeros((len(cloud), 3))
    for one in taken:
        rows, x, y = _seen_pixels(one, cloud)
        seen[rows] += 1
        colour[rows] += one.photo[y, x]
        nearest[rows] = np.minimum(nearest[rows], one.distance[y, x])
    kept = np.flatnonzero(seen >= 2)
    kept = np.sort(rng.choice(kept, min(_CLOUD_POINTS, len(kept)), replace=False))
    deviation = _CLOUD_NOISE_PIXELS * nearest[kept, None] / intrinsics(taken[0].ids.shape[0])[0, 0]
    return cloud[kept] + deviation * rng.standard_normal((len(kept), 3)), colour[kept] / seen[kept, None]


def _world_points(one: TakenView, x: ndarray, y: ndarray) -> ndarray:
    matrix = intrinsics(one.ids.shape[0])
    rays = np.stack(
        [(x + 0.5 - matrix[0, 2]) / matrix[0, 0], (y + 0.5 - matrix[1, 2]) / matrix[1, 1], np.ones(len(x))], 1
    )
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    pose = one.view.camera_to_world
    return pose[:3, 3] + (rays * one.distance[y, x][:, None]) @ pose[:3, :3].T


def _seen_pixels(one: TakenView, points: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """Rows of the points that nothing hides in this view, and the pixels they fall on."""
    matrix, side = intrinsics(one.ids.shape[0]), one.ids.shape[0]
    local = (points - one.view.camera_to_world[:3, 3]) @ one.view.camera_to_world[:3, :3]
    depth = np.maximum(local[:, 2], 1e-6)
    x = np.floor(local[:, 0] / depth * matrix[0, 0] + matrix[0, 2]).astype(int)
    y = np.floor(local[:, 1] / depth * matrix[1, 1] + matrix[1, 2]).astype(int)
    inside = (local[:, 2] > 0) & (x >= 0) & (x < side) & (y >= 0) & (y < side)
    measured = one.distance[np.where(inside, y, 0), np.where(inside, x, 0)]
    rows = np.flatnonzero(inside & (np.abs(measured - np.linalg.norm(local, axis=1)) < _DEPTH_TOLERANCE))
    return rows, x[rows], y[rows]


def _area_centroid(parts: Parts) -> ndarray:
    centres = np.concatenate([part.mesh.triangles_center for part in parts])
    areas = np.concatenate([part.mesh.area_faces for part in parts])
    return (centres * areas[:, None]).sum(0) / areas.sum()


def _rounded(values: ndarray) -> list[float]:
    return [round(float(value), 6) for value in values]
