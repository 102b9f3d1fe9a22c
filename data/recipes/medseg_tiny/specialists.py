"""The specialists that the one model is held against: a MONAI U-Net of its own for every set of pictures.

`python -m data.recipes.medseg_tiny.specialists WORK --shared FOLDER [--sets NAME ...]`. Same pictures, same variation,
same split and same windows as the one model. Each learns until its Dice on a fifth of its own training patients has not
risen for a while, and its best weights are kept; held-out patients are looked at once, at the end. A run that was
interrupted goes on with the next set; results are in WORK/specialists.json.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.inferers.utils import sliding_window_inference
from monai.networks.nets import UNet
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

from data.recipes.medseg_tiny.grounding import as_input
from data.recipes.medseg_tiny.pictures import MIRRORED, SETS, LabelledPicture, PictureSet, read_pictures
from data.recipes.medseg_tiny.score import Predict, score
from data.recipes.medseg_tiny.variation import varied
from data.recipes.vlm_tiny.medical_sets import held_out_patients
from medseg.grounding.picture_fit import PictureFit

SIDE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialistConfig:
    """How each specialist learns."""

    steps_max: int = 850
    """A cap on the steps of one set, about 20 minutes of one core; where it was reached, the table says so."""
    patience: int = 6
    """Checks without a rise before it stops."""
    check_every: int = 50
    """Steps between two checks."""
    batch: int = 8
    learning_rate: float = 1e-3
    average: float = 0.99
    """Decay of the running average of the weights, which is checked and kept."""


def network(structures: int) -> nn.Module:
    """MONAI's residual U-Net of 2.6 million parameters."""
    return UNet(
        spatial_dims=2, in_channels=3, out_channels=structures, channels=(16, 32, 64, 128, 256),
        strides=(2, 2, 2, 2), num_res_units=2, norm="batch",
    )  # fmt: skip


def draw(
    pictures: Sequence[LabelledPicture], names: list[str], count: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """A batch of squares and their masks."""
    squares, masks = [], []
    for _ in range(count):
        picture = pictures[int(rng.integers(len(pictures)))]
        square, moved = varied(picture, SIDE, rng, picture.masks)
        squares.append(square)
        masks.append(np.stack([moved.get(name, np.zeros((SIDE, SIDE), bool)) for name in names]))
    return as_input(torch.from_numpy(np.stack(squares))), torch.from_numpy(np.stack(masks))


def loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy and Dice, as the one model has them; empty masks have no Dice."""
    truth = masks.float()
    chance = logits.sigmoid()
    both = 2 * (chance * truth).flatten(2).sum(2)
    dice = 1 - (both + 1) / (chance.flatten(2).sum(2) + truth.flatten(2).sum(2) + 1)
    there = masks.flatten(2).any(2)
    return 2 * binary_cross_entropy_with_logits(logits, truth) + (dice[there].mean() if there.any() else 0.0)


def prediction(model: nn.Module, names: list[str]) -> Predict:
    """Masks on the picture's own pixels: whole, or in windows where structures are thin."""

    @torch.no_grad()
    def predict(picture: LabelledPicture, asked: list[str]) -> tuple[np.ndarray, np.ndarray]:
        fit = PictureFit(side=2 * SIDE if picture.of.fine else SIDE)
        fitted = fit.fit(picture.image)[None]
        found = _logits(model.eval(), fitted, fine=picture.of.fine)
        if all(name in MIRRORED for name in names):  # as the one model does
            width = fit.fitted_size(*picture.image.shape[:2])[1]
            turned = torch.cat([fitted[..., :width].flip(-1), fitted[..., width:]], dim=-1)
            other = _logits(model, turned, fine=picture.of.fine)
            found[..., :width] = (found[..., :width] + other[..., :width].flip(-1)) / 2
        inside = fit.fitted_size(*picture.image.shape[:2])
        logits = interpolate(found[..., : inside[0], : inside[1]], picture.image.shape[:2], mode="bilinear")[0]
        rows = [names.index(name) for name in asked]
        return (logits[rows] > 0).numpy(), logits[rows].sigmoid().flatten(1).amax(1).numpy()

    return predict


def _logits(model: nn.Module, fitted: Tensor, *, fine: bool) -> Tensor:
    """Of the whole square, or in windows."""
    if not fine:
        return model(fitted)
    found = sliding_window_inference(fitted, (SIDE, SIDE), 4, model, overlap=0.25, mode="gaussian")
    return found  # type: ignore[return-value]


def mean_dice(predict: Predict, pictures: list[LabelledPicture], names: list[str]) -> float:
    """Mean over structures of the mean over patients."""
    found = score(predict, pictures)[pictures[0].of.folder]
    means = [np.mean([np.mean(one) for one in found[name].values()]) for name in names if name in found]
    return float(np.mean(means))


def train_specialist(
    one: PictureSet, shared: Path, work: Path, config: SpecialistConfig, seed: int
) -> dict[str, object]:
    """The scores of one set's specialist, and how it learned."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    everything = list(read_pictures(shared, held_out=False, sets=(one,)))
    names = list(everything[0].masks)
    checked = held_out_patients(f"{one.folder}/check", {picture.patient for picture in everything})
    learned = [picture for picture in everything if picture.patient not in checked]
    checks = [picture for picture in everything if picture.patient in checked]
    model = network(len(names))
    averaged = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=0.02)
    best, best_step, kept, started, step = -1.0, 0, copy.deepcopy(averaged.state_dict()), time.monotonic(), 0
    patience = config.patience * config.check_every
    while step < config.steps_max and step - best_step < patience:
        squares, masks = draw(learned, names, config.batch, rng)
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * min(1.0, (step + 1) / 50)
        optimizer.zero_grad()
        loss(model.train()(squares), masks).backward()
        optimizer.step()
        step += 1
        _average(averaged, model, min(config.average, step / (step + 10)))
        if step % config.check_every == 0:
            now = mean_dice(prediction(averaged, names), checks, names)
            if now > best:
                best, best_step, kept = now, step, copy.deepcopy(averaged.state_dict())
    averaged.load_state_dict(kept)
    save_file({name: value.contiguous() for name, value in kept.items()}, work / f"{one.folder}.safetensors")
    tests = list(read_pictures(shared, held_out=True, native=True, sets=(one,)))
    found = score(prediction(averaged, names), tests)[one.folder]
    by_patient = {
        name: {patient: float(np.mean(values)) for patient, values in found[name].items()}
        for name in names if name in found
    }  # fmt: skip
    return {
        "dice": by_patient, "checked": best, "best_step": best_step, "steps": step,
        "minutes": (time.monotonic() - started) / 60, "capped": step - best_step < patience,
    }  # fmt: skip


@torch.no_grad()
def _average(averaged: nn.Module, live: nn.Module, decay: float) -> None:
    for mean, value in zip(averaged.parameters(), live.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
    for mean, value in zip(averaged.buffers(), live.buffers(), strict=True):
        mean.copy_(value)


def main() -> None:
    """Train those that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--sets", nargs="*", default=[one.folder for one in SETS])
    parser.add_argument("--steps", type=int, default=SpecialistConfig().steps_max, help="most for one set")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    asked.work.mkdir(parents=True, exist_ok=True)
    results = asked.work / "specialists.json"
    done = json.loads(results.read_text()) if results.exists() else {}
    for one in SETS:
        if one.folder in done or one.folder not in asked.sets:
            continue
        config = SpecialistConfig(steps_max=asked.steps)
        done[one.folder] = train_specialist(one, asked.shared, asked.work, config, asked.seed)
        results.write_text(json.dumps(done, indent=1))
        means = {name: float(np.mean(list(values.values()))) for name, values in done[one.folder]["dice"].items()}
        said = ", ".join(f"{name} {value:.4f}" for name, value in means.items())
        facts = {key: done[one.folder][key] for key in ("best_step", "steps", "minutes", "capped")}
        print(one.folder, said, facts, flush=True)


if __name__ == "__main__":
    main()
