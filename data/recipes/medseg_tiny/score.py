"""Dice of the grounding alone on patients nobody learned from, by set, with the prompts of its table.

`python -m data.recipes.medseg_tiny.score WORK --shared FOLDER` reads a checkpoint while it is still being trained.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from data.recipes.medseg_tiny.batches import number_of
from data.recipes.medseg_tiny.grounding import Grounding
from data.recipes.medseg_tiny.pictures import ETIS, MIRRORED, SETS, LabelledPicture, read_pictures
from medseg.grounding.decode_picture import PictureDecoder

Predict = Callable[[LabelledPicture, list[str]], tuple[np.ndarray, np.ndarray]]
"""Picture and structures -> bool [structure height width], and the chance 0-1 that each is there."""


def read_grounding(work: Path) -> Grounding:
    """What a finished training kept, or the running average of one that goes on."""
    grounding = Grounding().eval()
    settled = work / "settled.safetensors"
    tensors = load_file(settled if settled.exists() else work / "grounding.safetensors")
    start = "mean.grounding."
    means = {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
    grounding.load_state_dict(means or tensors)
    return grounding


def table_prediction(grounding: Grounding) -> Predict:
    """Masks by the table's prompts."""

    @torch.no_grad()
    def predict(picture: LabelledPicture, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
        prompts = grounding.prompts.weight[[number_of(name) for name in names]]
        fine, mirrored = np.full(len(names), picture.of.fine), np.array([name in MIRRORED for name in names])
        found = PictureDecoder(grounding.decoder, picture.image).decode(prompts, fine, mirrored=mirrored)
        return (found.logits > 0).numpy(), found.object_logits.sigmoid().numpy()

    return predict


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice of two masks, of which the second is not empty."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def score(predict: Predict, pictures: list[LabelledPicture]) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Set -> structure -> patient -> Dice where it is present; beside it the chance that it is there."""
    scores: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for picture in pictures:
        names = list(picture.masks)
        masks, chances = predict(picture, names)
        for name, mask, chance in zip(names, masks, chances, strict=True):
            truth = picture.masks[name]
            if truth.any():
                scores[picture.of.folder][name][picture.patient].append(dice(mask, truth))
                scores[picture.of.folder][f"{name}: chance"][picture.patient].append(float(chance))
            else:
                scores[picture.of.folder][f"{name}: chance where absent"][picture.patient].append(float(chance))
    return scores


def main() -> None:
    """Read, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="score each Nth picture of a set")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    predict = table_prediction(read_grounding(asked.work))
    means = []
    for one in (*SETS, ETIS):
        pictures = list(read_pictures(asked.shared, held_out=True, native=True, sets=(one,)))[:: asked.every]
        found = score(predict, pictures)[one.folder]
        own = {name: [np.mean(values) for values in found[name].values()] for name in found}
        dices = [np.mean(values) for name, values in own.items() if ":" not in name]
        if one is not ETIS:
            means.append(np.mean(dices))
        parts = ", ".join(f"{name} {np.mean(values):.3f}" for name, values in own.items())
        print(f"{one.folder}: {np.mean(dices):.3f} of {len(pictures)} pictures ({parts})", flush=True)
    print(f"mean over {len(means)} sets: {np.mean(means):.4f}")


if __name__ == "__main__":
    main()
