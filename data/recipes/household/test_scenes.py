"""Test scenes of unseen seeds, in the layout of data/tabletop: photos, exact masks, points, phrases with their truth.

`python -m data.recipes.household.test_scenes FOLDER --seed 900001` (about three minutes on one core). No model of the
package was trained on a seed from 900,000 on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data.recipes.household.catalogue import KINDS
from data.recipes.household.random_scene import HouseholdScene, random_scene
from data.recipes.household.thing import Phrase, is_true
from data.recipes.tabletop.__main__ import take, write_scene
from data.recipes.tabletop.ground_truth import TakenView, describe_instance
from data.recipes.tabletop.render import light_scene
from data.recipes.tabletop.views import tabletop_views

_COUNT = 18
_ABSENT_KINDS = 14
_UNKNOWN = (
    "scissors", "bicycle", "guitar", "teddy bear", "pineapple", "microscope", "sunglasses", "headphones", "shoe", "sofa"
)  # fmt: skip
_UNKNOWN_COUNT = 6


def phrases_of(scene: HouseholdScene, seed: int) -> list[dict[str, Any]]:
    """Every phrase of every thing with all instances it is true of, and phrases of kinds that are not there."""
    queries: dict[str, dict[str, Any]] = {}
    everything: dict[str, Phrase] = {}
    for one in scene.placed:
        everything |= {phrase.text: phrase for phrase in one.thing.phrases}
    for text, phrase in everything.items():
        ids = [one.number for one in scene.placed if is_true(phrase, one.thing.all_facts)]
        queries[text] = {"phrase": text, "ids": ids, "kind": phrase.role}
    rng = np.random.default_rng([seed, 11])
    present = {one.thing.kind for one in scene.placed}
    missing = [kind for kind in KINDS if kind not in present]
    for kind in rng.permutation(missing)[:_ABSENT_KINDS]:
        thing = KINDS[str(kind)](rng)
        nouns = [phrase for phrase in thing.phrases if phrase.role == "category" and phrase.needs == {thing.kind}]
        absent = [
            phrase.text for phrase in nouns if not any(is_true(phrase, one.thing.all_facts) for one in scene.placed)
        ]
        if absent and absent[0] not in queries:
            queries[absent[0]] = {"phrase": absent[0], "ids": [], "kind": "absent"}
    for word in rng.permutation(_UNKNOWN)[:_UNKNOWN_COUNT]:
        queries[str(word)] = {"phrase": str(word), "ids": [], "kind": "absent"}
    return list(queries.values())


def describe(scene: HouseholdScene, taken: list[TakenView], seed: int) -> dict[str, Any]:
    """The content of objects.json."""
    objects = []
    for one in scene.placed:
        said = one.thing.phrases
        instance = describe_instance(
            number=one.number, name=one.thing.name, kind=one.thing.kind, parts=one.parts, taken=taken,
            phrases=[phrase.text for phrase in said if phrase.role != "side"],
            side_phrases=[phrase.text for phrase in said if phrase.role == "side"],
        )  # fmt: skip
        objects.append(instance)
    return {"mask_background": 0, "seed": seed, "objects": objects, "queries": phrases_of(scene, seed)}


def make_test_scene(seed: int, target: Path) -> None:
    """Render the scene of a seed into a folder."""
    scene = random_scene(seed, count=_COUNT)
    lit = light_scene(*scene.parts())
    taken = [take(lit, view) for view in tqdm(tabletop_views(), desc=f"scene {seed}")]
    write_scene(target, taken, describe(scene, taken, seed))


def main() -> None:
    """Render the scene asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    asked = parser.parse_args()
    make_test_scene(asked.seed, asked.folder)


if __name__ == "__main__":
    main()
