"""How well the embedded backbone answers: `python -m benchmarks.backbone_answers [--shared FOLDER]`.

Pictures nobody learned from: shapes of a seed of their own, household photos of scenes rendered here, and medical
pictures of patients kept for tests. Answers are generated greedily and count where they are word for word as expected.
Then the seconds of a first answer and of later ones.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from data.recipes.household.training_views import make_scene
from data.recipes.vlm_tiny.__main__ import medical_items
from data.recipes.vlm_tiny.batches import draw_exchanges
from data.recipes.vlm_tiny.exchange import Exchange, Picture
from data.recipes.vlm_tiny.household_pictures import close_up, household_picture
from data.recipes.vlm_tiny.medical_questions import medical_picture
from data.recipes.vlm_tiny.shape_questions import shape_picture
from vlm_bridge.backbone.load import load_backbone
from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.decoding.config import DecodingConfig
from vlm_bridge.decoding.generate import generate
from vlm_bridge.prompts.conversation import ask

_SEED, _FIRST_SCENE = 930_001, 930_001
_AT_ONCE = 32
_FIRST_ANSWER = """
import time; started = time.perf_counter()
from PIL import Image
from vlm_bridge.backbone.load import load_backbone
from vlm_bridge.decoding.config import DecodingConfig
from vlm_bridge.decoding.generate import generate
from vlm_bridge.prompts.conversation import ask
imported = time.perf_counter()
backbone = load_backbone("embedded", device="cpu")
generate(backbone, [ask("What do you see?", Image.new("RGB", (256, 256)))], DecodingConfig(max_new_tokens=24))
print(imported - started, time.perf_counter() - imported)
"""


def scene_pictures(count: int, views: int, rng: np.random.Generator) -> list[Picture]:
    """Photos and close-ups of scenes rendered for this alone."""
    pictures: list[Picture] = []
    for seed in range(_FIRST_SCENE, _FIRST_SCENE + count):
        arrays = make_scene(seed, views)
        facts = json.loads(arrays["facts"].tobytes())
        for view in range(views):
            near = close_up(arrays, facts, view, rng)
            pictures += [household_picture(arrays, facts, view, rng), *([near] if near else [])]
    return pictures


def answers(
    backbone: VisionLanguageBackbone, pictures: Sequence[Picture], per_picture: int, seed: int
) -> dict[tuple[str, str], list[tuple[Exchange, str]]]:
    """Generated answers by source and kind."""
    rng = np.random.default_rng(seed)
    asked = [
        (picture, one) for picture in pictures for one in draw_exchanges(picture, per_picture, rng)
    ]  # fmt: skip
    found: dict[tuple[str, str], list[tuple[Exchange, str]]] = defaultdict(list)
    for first in range(0, len(asked), _AT_ONCE):
        some = asked[first : first + _AT_ONCE]
        conversations = [ask(one.question, Image.fromarray(picture.image)) for picture, one in some]
        given = generate(backbone, conversations, DecodingConfig(max_new_tokens=72))
        for (picture, one), answer in zip(some, given, strict=True):
            found[picture.source, one.kind].append((one, answer.text))
    return found


def print_table(found: dict[tuple[str, str], list[tuple[Exchange, str]]], *, examples: int) -> None:
    """Share of exact answers by source and kind."""
    print("| pictures | kind | asked | exact |\n|---|---|---|---|")
    for (source, kind), rows in sorted(found.items()):
        right = sum(one.answer == said for one, said in rows)
        print(f"| {source} | {kind} | {len(rows)} | {right / len(rows):.3f} |", flush=True)
    for (source, kind), rows in sorted(found.items()):
        for one, said in [row for row in rows if row[0].answer != row[1]][:examples]:
            print(f"{source}, {kind}: {one.question!r} expected {one.answer!r}, said {said!r}")


def print_seconds(backbone: VisionLanguageBackbone) -> None:
    """A first answer in a new process, and later ones here."""
    parts = [
        tuple(map(float, subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _FIRST_ANSWER], check=True, capture_output=True, text=True
        ).stdout.split()))
        for _ in range(3)
    ]  # fmt: skip
    imports, rest = np.median(parts, axis=0)
    picture = Image.new("RGB", (256, 256), (200, 30, 30))
    spent = []
    for _ in range(9):
        started = time.perf_counter()
        generate(backbone, [ask("What do you see?", picture)], DecodingConfig(max_new_tokens=24))
        spent.append(time.perf_counter() - started)
    print(
        f"\nfirst answer of a process: {imports:.1f} s to import, {rest:.1f} s to load and answer; later answers "
        f"{np.median(spent):.2f} s ({torch.get_num_threads()} threads)"
    )


def main() -> None:
    """Print the table and the seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="name or folder of a backbone")
    parser.add_argument("--shared", type=Path, default=None, help="folder of the medical sets")
    parser.add_argument("--shapes", type=int, default=150, help="pictures of shapes")
    parser.add_argument("--rendered", type=int, default=4, help="household scenes, rendered here, 4 views each")
    parser.add_argument("--per-picture", type=int, default=8, help="questions of a picture")
    parser.add_argument("--examples", type=int, default=0, help="wrong answers shown of each kind")
    asked = parser.parse_args()
    backbone = load_backbone(asked.model, device="cpu")
    rng = np.random.default_rng(_SEED)
    pictures = [shape_picture(rng) for _ in range(asked.shapes)]
    pictures += scene_pictures(asked.rendered, 4, rng)
    pictures += [medical_picture(item, rng, vary=False) for item in medical_items(asked.shared, held_out=True)]
    usable = [picture for picture in pictures if picture.exchanges]
    print_table(answers(backbone, usable, asked.per_picture, _SEED), examples=asked.examples)
    print_seconds(backbone)


if __name__ == "__main__":
    main()
