"""Makes a model that looks values up: `python -m data.recipes.key_value FOLDER --seed 0`.

The folder gets the model as transformers saves it, in half precision (1.4 MB), and `training.json` with the
settings and the seconds it took.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from dataclasses import asdict
from pathlib import Path

import torch

from data.recipes.key_value.task import prompts
from data.recipes.key_value.train import TRAINING_PAIRS, TrainConfig, new_model, train

LOG = logging.getLogger("key_value")
_CHECKED = 500


def accuracy(model: torch.nn.Module, pairs: int) -> float:
    """Share of values that the model says, of lists it has not seen."""
    ids, gold = prompts(_CHECKED, pairs, seed=1_000_000 + pairs)
    with torch.inference_mode():
        said = torch.cat([model(part, logits_to_keep=1).logits[:, -1].argmax(-1) for part in ids.split(50)])
    return round(float((said == gold).float().mean()), 4)


def main() -> None:
    """Train, save and say how well it does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=TrainConfig().steps)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(asked.threads)
    config = TrainConfig(seed=asked.seed, steps=asked.steps)
    model = new_model(asked.seed)
    LOG.info("%.2f million weights", sum(value.numel() for value in model.parameters()) / 1e6)
    started = time.process_time()
    train(model, config, LOG.info)
    seconds = round(time.process_time() - started)
    found = {pairs: accuracy(model, pairs) for pairs in (TRAINING_PAIRS // 2, TRAINING_PAIRS)}
    LOG.info("right of %d: %s", _CHECKED, found)
    model.half().save_pretrained(asked.folder)
    record = {"training_pairs": TRAINING_PAIRS, "accuracy": found, "seconds": seconds, "settings": asdict(config)}
    (asked.folder / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
