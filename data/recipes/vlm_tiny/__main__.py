"""`python -m data.recipes.vlm_tiny WORK --scenes FOLDER... --shared FOLDER [--minutes N] [--write]`.

Trains the small backbone from its tokenizer on, or goes on from WORK's checkpoint, prints exact answers per kind on
held-out pictures and with --write puts the model into data/vlm_tiny.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset
from transformers import PreTrainedTokenizerFast

from data.recipes.vlm_tiny.asset import write_asset
from data.recipes.vlm_tiny.batches import Writer
from data.recipes.vlm_tiny.evaluate import exact_answers
from data.recipes.vlm_tiny.exchange import Picture
from data.recipes.vlm_tiny.household_pictures import close_up, household_picture, read_scene
from data.recipes.vlm_tiny.medical_questions import medical_picture
from data.recipes.vlm_tiny.medical_sets import MedicalItem, read_items
from data.recipes.vlm_tiny.medical_volumes import read_volume_items
from data.recipes.vlm_tiny.network import build, parameter_count
from data.recipes.vlm_tiny.shape_questions import shape_picture
from data.recipes.vlm_tiny.stream import SHARES, Batches, Sources, scene_files
from data.recipes.vlm_tiny.tokenizer import train_tokenizer
from data.recipes.vlm_tiny.train import TrainConfig, Trained, train
from data.recipes.vlm_tiny.windows import Windows
from vlm_bridge.prompts.special_tokens import SpecialTokens

_TEXT_PICTURES = 6000
_TEST_SEED = 900_001
_TEST_SHAPES = 400


def medical_items(shared: Path | None, *, held_out: bool) -> tuple[MedicalItem, ...]:
    """Flat pictures and slices of volumes; none without the shared data."""
    if shared is None:
        return ()
    return (*read_items(shared, held_out=held_out), *read_volume_items(shared, held_out=held_out))


def held_out_pictures(shared: Path | None, scenes: list[Path]) -> list[Picture]:
    """Held-out pictures: shapes of a seed of their own, scenes and patients nobody learned from."""
    rng = np.random.default_rng(_TEST_SEED)
    pictures = [shape_picture(rng) for _ in range(_TEST_SHAPES)]
    for path in scene_files(scenes, test=True):
        arrays, facts = read_scene(path)
        for view in range(min(4, len(arrays["images"]))):
            near = close_up(arrays, facts, view, rng)
            pictures += [household_picture(arrays, facts, view, rng), *([near] if near else [])]
    pictures += [medical_picture(item, rng, vary=False) for item in medical_items(shared, held_out=True)]
    return [picture for picture in pictures if picture.exchanges]


def tokenizer_of(work: Path, sources: Sources) -> Any:
    """The tokenizer in the working folder, trained first where there is none."""
    folder = work / "tokenizer"
    if not folder.exists():
        rng = np.random.default_rng(3)
        texts = (f"{one.question}\n{one.answer}" for _ in range(_TEXT_PICTURES) for one in sources.draw(rng).exchanges)
        train_tokenizer(texts, SpecialTokens()).save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def _endless(dataset: IterableDataset[Any], workers: int) -> Iterator[Any]:
    """Batches of a dataset that never ends; its processes start with the first that is asked for."""
    yield from DataLoader(dataset, batch_size=None, num_workers=workers, prefetch_factor=4)


def main() -> None:
    """Train, test, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder of the tokenizer and the checkpoint")
    parser.add_argument("--scenes", type=Path, nargs="*", default=[], help="folders of household scenes")
    parser.add_argument("--shared", type=Path, default=None, help="folder of the medical sets")
    parser.add_argument("--minutes", type=float, default=TrainConfig().minutes)
    parser.add_argument("--vision-minutes", type=float, default=TrainConfig().vision_minutes)
    parser.add_argument("--fall", type=float, default=TrainConfig().fall)
    parser.add_argument("--learning-rate", type=float, default=TrainConfig().learning_rate)
    parser.add_argument("--windows", type=int, default=48, help="windows of a batch")
    parser.add_argument("--pictures", type=int, default=16, help="pictures of a batch")
    parser.add_argument("--exchanges", type=int, default=8, help="exchanges of a picture in a batch")
    parser.add_argument(
        "--shares", type=float, nargs=3, default=SHARES, metavar=("SHAPES", "HOUSEHOLD", "MEDICAL"),
        help="of the pictures; grounding is learned fastest from shapes",
    )  # fmt: skip
    parser.add_argument("--easy", type=float, default=0.0, help="share of the pictures of shapes with one or two")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pictures; some ten for a GPU")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="put the result into data/vlm_tiny")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(asked.seed)
    sources = Sources(
        scenes=scene_files(asked.scenes, test=False), medical=medical_items(asked.shared, held_out=False),
        shares=tuple(asked.shares), easy=asked.easy,
    )  # fmt: skip
    tokenizer = tokenizer_of(asked.work, sources)
    writer = Writer(tokenizer)
    image, end, pad = tokenizer.convert_tokens_to_ids(["<IMG_CONTEXT>", "<|im_end|>", "<|endoftext|>"])
    trained = Trained(build(len(tokenizer), image, end, pad))
    print(
        f"{parameter_count(trained.model) / 1e6:.2f} M parameters, {len(tokenizer)} words, {len(sources.scenes)} "
        f"scenes, {len(sources.medical)} medical pictures",
        flush=True,
    )
    config = TrainConfig(
        minutes=asked.minutes, vision_minutes=asked.vision_minutes, learning_rate=asked.learning_rate, fall=asked.fall,
        device=asked.device,
    )  # fmt: skip
    seed = asked.seed + int(time.time()) % 100_000  # a run that goes on draws other pictures
    windows = _endless(Windows(sources, asked.windows, seed), asked.workers)
    batches = _endless(Batches(sources, writer, asked.pictures, asked.exchanges, seed), asked.workers)
    checkpoint = asked.work / "checkpoint.safetensors"
    train(trained, windows, batches, config, checkpoint, lambda line: print(line, flush=True))
    rng = np.random.default_rng(_TEST_SEED + 1)
    scores = exact_answers(trained, held_out_pictures(asked.shared, asked.scenes), writer, rng)
    print("\n".join(f"{name}: {right}/{count} = {right / count:.3f}" for name, (right, count) in scores.items()))
    if asked.write:
        write_asset(trained.model, tokenizer)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
