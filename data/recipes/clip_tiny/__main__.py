"""Makes data/clip_tiny again: `python -m data.recipes.clip_tiny SCENES`, with scenes of the household's training views.

python -m data.recipes.household.training_views SCENES --first 0 --count 196 --views 5
python -m data.recipes.household.training_views SCENES --first 2000 --count 195 --views 5
python -m data.recipes.household.training_views MORE --first 4000 --count 212 --views 6 --kinds book box carton frame
python -m data.recipes.household.training_views MORE --first 5000 --count 79 --views 6 \
    --kinds book box carton frame mug plate jar spoon
python -m data.recipes.clip_tiny SCENES --also MORE --held-out 16 --minutes 85 --learning-rate 1e-3 \
    --start-from data/clip_tiny/open_clip_model.safetensors
python -m benchmarks.calibrate_encoder --write

`--start-from data/clip_tiny/open_clip_model.safetensors` goes on from the weights of an earlier run, such as those that
are shipped; a checkpoint beside the scenes lets an interrupted run go on.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from data.recipes.clip_tiny.crop_set import CropSet, PhraseTable, cut_crops, kept_crops, phrase_table, truth
from data.recipes.clip_tiny.train import TEMPERATURE, TrainConfig, Trained, normalised, train
from data.recipes.household.catalogue import KINDS
from data.recipes.household.thing import CATEGORIES
from vision3d.language.open_clip_encoder import build_model
from vision3d.language.prompts import CANONICAL_NEGATIVES, PROMPT_TEMPLATES
from vision3d.language.word_tokenizer import WordTokenizer, split_words
from vision3d.masks.contours import ContourProposer

LOG = logging.getLogger("clip_tiny")
_TARGET = Path(__file__).resolve().parents[2] / "clip_tiny"
IMAGE_SIZE, CONTEXT = 64, 16
_GATE_BELOW = 0.14
_START_BIAS = -3.4
"""Where the bias of an earlier asset ended."""
_THINGS_A_KIND = 60
"""So many of each kind are made to hear all that is said of them."""


def model_config(vocabulary_size: int) -> dict:
    """The architecture, as open_clip reads it."""
    return {
        "embed_dim": 192,
        "vision_cfg": {"image_size": IMAGE_SIZE, "layers": [1, 2, 2, 1], "width": 30, "patch_size": None},
        "text_cfg": {"context_length": CONTEXT, "vocab_size": vocabulary_size, "width": 128, "heads": 4, "layers": 3},
    }


def vocabulary(table: PhraseTable) -> tuple[str, ...]:
    """Every word of every phrase, of the templates and of the canonical phrases, in order."""
    rng = np.random.default_rng(0)
    texts = [*table.texts, *CANONICAL_NEGATIVES, *KINDS]
    texts += [phrase.text for build in KINDS.values() for _ in range(_THINGS_A_KIND) for phrase in build(rng).phrases]
    texts += [text for _, phrases in CATEGORIES.values() for text in phrases]
    texts += [re.sub(r"\{\}", "", template) for name in PROMPT_TEMPLATES.values() for template in name]
    return tuple(sorted({word for text in texts for word in split_words(text)}))


def accuracy(trained: Trained, tokenize: WordTokenizer, crops: CropSet, table: PhraseTable) -> dict[str, float]:
    """On crops of scenes that were held out: how often yes and no are right, and how well phrases rank crops."""
    phrases = torch.arange(len(table.texts))
    with torch.inference_mode():
        text = torch.nn.functional.normalize(trained.model.encode_text(tokenize(table.texts)).float(), dim=-1)
        batches = crops.pictures.split(512)
        images = torch.cat([trained.model.encode_image(normalised(batch.float() / 255)).float() for batch in batches])
        logits = TEMPERATURE * torch.nn.functional.normalize(images, dim=-1) @ text.T + trained.bias
    true, known = truth(crops, torch.arange(len(crops.pictures)), table, phrases)
    yes, no = true & known, ~true & known
    used = yes.sum(0) >= 3
    precision = []
    for column in used.nonzero().flatten().tolist():
        rows = known[:, column]
        order = logits[rows, column].argsort(descending=True)
        hits = true[rows, column][order].float()
        precision.append(float((hits.cumsum(0) / torch.arange(1, len(hits) + 1) * hits).sum() / hits.sum()))
    return {
        "yes_right": float((logits[yes] > 0).float().mean()),
        "no_right": float((logits[no] < 0).float().mean()),
        "mean_average_precision": sum(precision) / len(precision),
    }


def scene_files(folder: Path) -> list[Path]:
    """The rendered scenes in a folder, by seed."""
    return sorted(folder.glob("scene_*[0-9].npz"))


def main() -> None:
    """Train and write the asset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="folders of scenes to train on, none held out")
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--checkpoint", type=Path, default=None)
    parser.add_argument("--held-out", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--start-from", type=Path, default=None, help="weights of an earlier asset")
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--target", type=Path, default=_TARGET, help="folder to write the asset to")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    paths = scene_files(asked.scenes)
    training = [*paths[: -asked.held_out], *(path for folder in asked.also for path in scene_files(folder))]
    table, facts = phrase_table([*training, *paths[-asked.held_out :]])
    LOG.info("%d scenes, %d phrases, %d facts", len(training), len(table.texts), len(facts))
    crops = kept_crops(
        asked.scenes / "crops.safetensors", training, facts, size=IMAGE_SIZE,
        proposer=ContourProposer(), processes=asked.threads,
    )  # fmt: skip
    held_out = cut_crops(paths[-asked.held_out :], facts, size=IMAGE_SIZE, every_view=2)
    words = vocabulary(table)
    tokenize = WordTokenizer(words, context_length=CONTEXT)
    config = model_config(tokenize.vocabulary_size)
    trained = Trained(build_model(config)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    LOG.info(
        "%d crops, %d words, %.2f M parameters",
        len(crops.pictures),
        len(words),
        sum(p.numel() for p in trained.parameters()) / 1e6,
    )
    checkpoint = asked.checkpoint or asked.scenes / "clip_tiny.safetensors"
    if asked.start_from:
        trained.model.load_state_dict(load_file(asked.start_from))
        trained.bias.data.fill_(_START_BIAS)
    plan = TrainConfig(minutes=asked.minutes, learning_rate=asked.learning_rate)
    train(trained, tokenize, crops, table, plan, checkpoint, LOG.info)
    scores = accuracy(trained, tokenize, held_out, table)
    LOG.info("held out: %s", scores)
    write_asset(trained, config, words, scores, asked.target)


def write_asset(trained: Trained, config: dict, words: tuple[str, ...], scores: dict[str, float], target: Path) -> None:
    """Configuration, vocabulary and weights in half precision."""
    target.mkdir(exist_ok=True)
    # what is less likely than about one in five has nothing to do with the phrase
    gate = float(-trained.bias / TEMPERATURE) - _GATE_BELOW
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "cosine_gate": round(gate, 4), "mirrored": True}
    content = {"model_cfg": config, "preprocess_cfg": preprocess, "held_out": scores}
    (target / "open_clip_config.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (target / "vocabulary.json").write_text(json.dumps(list(words), indent=0) + "\n", encoding="utf-8")
    state = {
        name: value.half() if value.is_floating_point() else value for name, value in trained.model.state_dict().items()
    }
    save_file({name: value.contiguous() for name, value in state.items()}, target / "open_clip_model.safetensors")


if __name__ == "__main__":
    main()
