"""Photos of random scenes with every pixel's instance, piece and telling flag, as the recipes of the models need them.

`python -m data.recipes.household.training_views FOLDER --first 0 --count 150` writes one .npz file per scene; scenes
that are there already are kept, so an interrupted run goes on. Few views of many scenes teach more than many of few.
`--kinds book box carton frame` fills scenes with these alone: printed figures are rare among all other things.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data.recipes.household.catalogue import KINDS
from data.recipes.household.random_scene import HouseholdScene, piece_of_parts, random_scene
from data.recipes.tabletop.render import LitScene, cast, light_scene
from data.recipes.tabletop.scene import TABLE_HEIGHT_M
from data.recipes.tabletop.views import SIDE_PIXELS, View, camera_rays, look_at, photograph

TEST_SEEDS = (900_001, 900_002, 900_003)
"""Scenes of the benchmark; training never uses a seed from 900,000 on."""
_VIEWS = 14
_LIGHT_SAMPLES, _SKY_SAMPLES, _PHOTO_SAMPLES = 6, 12, 2


def training_cameras(rng: np.random.Generator, count: int = _VIEWS) -> list[View]:
    """Cameras around the table at many distances and heights, aimed anywhere on it."""
    views = []
    for place in range(count):
        target = np.array(
            [rng.uniform(-0.35, 0.35), rng.uniform(-0.28, 0.28), TABLE_HEIGHT_M + rng.uniform(0.02, 0.12)]
        )
        angle, elevation = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(8, 58))
        reach = rng.uniform(0.5, 1.35)
        level = reach * np.cos(elevation)
        eye = target + np.array([level * np.sin(angle), -level * np.cos(angle), reach * np.sin(elevation)])
        views.append(View(name=f"view_{place:03d}", camera_to_world=look_at(np.clip(eye, -2.0, 2.4), target)))
    return views


def photograph_scene(scene: HouseholdScene, lit: LitScene, views: list[View]) -> dict[str, np.ndarray]:
    """Photos [view h w 3] with instance ids, piece numbers and telling flags [view h w]."""
    pieces = piece_of_parts(scene)
    told = np.array([part.telling for part in lit.parts])
    taken: dict[str, list[np.ndarray]] = {"images": [], "ids": [], "pieces": [], "telling": []}
    for view in views:
        taken["images"].append(np.round(photograph(lit, view, samples=_PHOTO_SAMPLES) * 255).astype(np.uint8))
        rays = camera_rays(view, SIDE_PIXELS)
        hits = cast(lit, np.broadcast_to(view.camera_to_world[:3, 3], rays.shape), rays)
        part = lit.face_part[np.maximum(hits.face, 0)].reshape(SIDE_PIXELS, SIDE_PIXELS)
        taken["ids"].append(lit.part_object[part].astype(np.uint8))
        taken["pieces"].append(pieces[part].astype(np.uint16))
        taken["telling"].append(told[part])
    return {name: np.stack(arrays) for name, arrays in taken.items()}


def scene_facts(scene: HouseholdScene) -> list[dict[str, Any]]:
    """What is true of each instance and said of it, by instance number from 1."""
    return [
        {
            "number": one.number, "group": one.group, "kind": one.thing.kind, "name": one.thing.name,
            "facts": sorted(one.thing.facts), "telling": sorted(one.thing.telling_facts),
            "phrases": [[phrase.text, sorted(phrase.needs), phrase.role] for phrase in one.thing.phrases],
        }
        for one in scene.placed
    ]  # fmt: skip


def make_scene(seed: int, views: int = _VIEWS, kinds: Sequence[str] = tuple(KINDS)) -> dict[str, np.ndarray]:
    """One training scene, rendered, with things of these kinds."""
    rng = np.random.default_rng([seed, 7])
    scene = random_scene(seed, count=int(rng.integers(12, 20)), kinds=kinds)
    lit = light_scene(*scene.parts(), light_samples=_LIGHT_SAMPLES, sky_samples=_SKY_SAMPLES)
    arrays = photograph_scene(scene, lit, training_cameras(rng, views))
    return {**arrays, "facts": np.frombuffer(json.dumps(scene_facts(scene)).encode(), np.uint8)}


def main() -> None:
    """Render the scenes asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--views", type=int, default=_VIEWS)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    for seed in tqdm(range(asked.first, asked.first + asked.count), mininterval=30):
        path = asked.folder / f"scene_{seed:06d}.npz"
        if not path.exists():
            partial = path.with_suffix(".part.npz")
            np.savez(partial, **make_scene(seed, asked.views, asked.kinds))
            partial.rename(path)


if __name__ == "__main__":
    main()
