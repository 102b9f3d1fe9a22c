"""The 3D decoder learns the hippocampus of real MR volumes, from a table of prompts, on one CPU core.

`python -m data.recipes.medseg_tiny.volumes WORK --shared FOLDER [--minutes N]`. Patients kept for tests are those of
`held_out_patients`.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import affine_grid, binary_cross_entropy_with_logits, grid_sample, mse_loss

from data.recipes.vlm_tiny.medical_sets import held_out_patients
from medseg.grounding.volume_decoder import VolumeDecoderConfig, VolumeMaskDecoder
from medseg.io.read_study import read_study

FOLDER = "vol_mr_hippocampus"
STRUCTURES: dict[str, tuple[int, ...]] = {
    "hippocampus": (1, 2), "anterior hippocampus": (1,), "posterior hippocampus": (2,),
}  # fmt: skip
"""Structure -> values of the label volume."""
ABSENT = ("spinal cord", "liver", "kidney")
"""Structures that are not in these volumes; rows of the table behind `STRUCTURES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledVolume:
    """A fitted volume and its labels on the same grid."""

    values: Tensor
    """float [1 i j k]."""
    labels: Tensor
    """uint8 [i j k]."""
    path: Path
    label_path: Path


class VolumeGrounding(nn.Module):
    """The 3D decoder and its table of prompts."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = VolumeMaskDecoder(VolumeDecoderConfig())
        self.prompts = nn.Embedding(len(STRUCTURES) + len(ABSENT), self.decoder.prompt_width)


def read_labelled(shared: Path, *, held_out: bool) -> list[LabelledVolume]:
    """Volumes to learn from, or those kept for tests, as the decoder reads them."""
    folder = shared / FOLDER
    entries = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["items"]
    kept = held_out_patients(FOLDER, {entry["patient"] for entry in entries})
    fit = VolumeDecoderConfig().fit
    found = []
    for entry in entries:
        if (entry["patient"] in kept) != held_out:
            continue
        fitted = fit.fit(read_study(folder / entry["image"]).volume)
        labels = np.asarray(nibabel.load(folder / entry["label"]).dataobj)  # type: ignore[attr-defined]
        parts = [fit.fit_mask(labels == value, fitted) > 0.5 for value in (1, 2)]
        found.append(
            LabelledVolume(
                values=fitted.values,
                labels=(parts[0] + 2 * parts[1].int()).to(torch.uint8),
                path=folder / entry["image"],
                label_path=folder / entry["label"],
            )
        )
    return found


def varied(volumes: list[LabelledVolume], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A batch [volume 1 i j k] and its labels, turned, scaled, shifted and relit."""
    values = torch.stack([one.values for one in volumes])
    labels = torch.stack([one.labels for one in volumes])[:, None].float()
    turns = torch.from_numpy(np.stack([_turn(values.shape[2:], rng) for _ in volumes])).float()
    grid = affine_grid(turns, list(values.shape), align_corners=False)
    values = grid_sample(values, grid, mode="bilinear", align_corners=False)
    labels = grid_sample(labels, grid, mode="nearest", align_corners=False)[:, 0].to(torch.uint8)
    shape = (len(volumes), 1, 1, 1, 1)
    power = torch.from_numpy(np.exp(rng.normal(0, 0.25, shape))).float()
    gain = torch.from_numpy(np.exp(rng.normal(0, 0.15, shape))).float()
    shift = torch.from_numpy(rng.normal(0, 0.05, shape)).float()
    inside = (values > 0).float()
    values = (values.clamp(min=1e-4) ** power * gain + shift) * inside
    noise = torch.from_numpy(rng.standard_normal(values.shape, np.float32)) * float(rng.uniform(0, 0.05))
    return (values + noise * inside).clamp(0, 1.5), labels


def _turn(sizes: torch.Size, rng: np.random.Generator) -> np.ndarray:
    angles = np.deg2rad(rng.normal(0, 7, 3))
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        cosine, sine = np.cos(angle), np.sin(angle)
        one, other = [place for place in range(3) if place != axis]
        turn = np.eye(3)
        turn[one, one] = turn[other, other] = cosine
        turn[one, other], turn[other, one] = -sine, sine
        matrix = matrix @ turn
    matrix = matrix * np.exp(rng.normal(0, 0.08, 3))
    extent = np.array(sizes[::-1], float)  # grid_sample counts x (k) first
    matrix = matrix * extent[None] / extent[:, None]
    return np.concatenate([matrix, rng.normal(0, 0.06, (3, 1))], 1)


def volume_losses(grounding: VolumeGrounding, values: Tensor, labels: Tensor, absent: int) -> dict[str, Tensor]:
    """Each volume is asked for all structures and one that is not there."""
    count = len(STRUCTURES)
    encoded = grounding.decoder.encode(values)
    volume = torch.arange(len(values)).repeat_interleave(count + 1)
    asked = torch.tensor([*range(count), count + absent]).repeat(len(values))
    found = grounding.decoder.decode(encoded, volume, grounding.prompts(asked))
    truth = torch.stack(
        [torch.isin(labels, torch.tensor(wanted, dtype=labels.dtype)) for wanted in STRUCTURES.values()]
        + [torch.zeros_like(labels, dtype=torch.bool)],
        dim=1,
    ).flatten(0, 1)
    there = asked < count
    chance, target = found.logits.sigmoid(), truth.float()
    dice = 1 - (2 * (chance * target).flatten(1).sum(1) + 1) / (chance.flatten(1).sum(1) + target.flatten(1).sum(1) + 1)
    with torch.no_grad():
        marked = found.logits > 0
        overlap = (marked & truth).flatten(1).sum(1) / (marked | truth).flatten(1).sum(1).clamp(min=1)
    if found.object_logits is None:
        raise TypeError("Decoder: expected a head that says whether the target is there, found none.")
    return {
        "bce": binary_cross_entropy_with_logits(found.logits, target),
        "dice": dice[there].mean(),
        "present": binary_cross_entropy_with_logits(found.object_logits, there.float()),
        "overlap": mse_loss(found.overlap[there], overlap[there]),
    }


@torch.no_grad()
def dice_scores(grounding: VolumeGrounding, volumes: list[LabelledVolume]) -> dict[str, list[float]]:
    """Dice of each structure in each volume, on the fitted grid (1 mm, only axes turned)."""
    scores: dict[str, list[float]] = {name: [] for name in STRUCTURES}
    grounding.eval()
    for one in volumes:
        encoded = grounding.decoder.encode(one.values[None])
        logits = grounding.decoder.decode(
            encoded, torch.zeros(len(STRUCTURES), dtype=torch.long), grounding.prompts.weight[: len(STRUCTURES)]
        ).logits
        for number, (name, wanted) in enumerate(STRUCTURES.items()):
            truth = torch.isin(one.labels, torch.tensor(wanted, dtype=one.labels.dtype))
            marked = logits[number] > 0
            scores[name].append(float(2 * (marked & truth).sum() / (marked.sum() + truth.sum()).clamp(min=1)))
    grounding.train()
    return scores


def _save(grounding: VolumeGrounding, kept: Path) -> None:
    save_file({name: value.contiguous() for name, value in grounding.state_dict().items()}, kept)


def main() -> None:
    """Train, test, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--volumes", type=int, default=2, help="volumes of a batch")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(asked.seed)
    torch.set_num_threads(asked.threads)
    rng = np.random.default_rng([asked.seed, int(time.time())])
    volumes, tests = read_labelled(asked.shared, held_out=False), read_labelled(asked.shared, held_out=True)
    grounding = VolumeGrounding()
    kept = asked.work / "volumes.safetensors"
    if kept.exists():
        grounding.load_state_dict(load_file(kept))
    optimizer = torch.optim.AdamW(grounding.parameters(), lr=asked.learning_rate, weight_decay=0.01)
    print(
        f"{len(volumes)} volumes, {sum(p.numel() for p in grounding.parameters()) / 1e6:.2f} M parameters", flush=True
    )
    started, step, sums = time.monotonic(), 0, dict.fromkeys(("bce", "dice", "present", "overlap"), 0.0)
    while (progress := (time.monotonic() - started) / 60 / asked.minutes) < 1:
        for group in optimizer.param_groups:
            group["lr"] = asked.learning_rate * min(1.0, (step + 1) / 50) * min(1.0, (1 - progress) / 0.5)
        values, labels = varied([volumes[int(rng.integers(len(volumes)))] for _ in range(asked.volumes)], rng)
        losses = volume_losses(grounding, values, labels, int(rng.integers(len(ABSENT))))
        total = 2 * losses["bce"] + losses["dice"] + 0.2 * losses["present"] + 0.2 * losses["overlap"]
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(grounding.parameters(), 2.0)
        optimizer.step()
        step += 1
        sums = {name: sums[name] + float(losses[name].detach()) for name in sums}
        if step % 50 == 0:
            means = " ".join(f"{name} {value / 50:.4f}" for name, value in sums.items())
            print(f"step {step} {progress * asked.minutes:.1f} min {means}", flush=True)
            sums = dict.fromkeys(sums, 0.0)
            _save(grounding, kept)
    _save(grounding, kept)
    for name, scores in dice_scores(grounding, tests).items():
        print(f"{name}: Dice {np.mean(scores):.4f}, smallest {min(scores):.4f}, {len(scores)} held-out patients")


if __name__ == "__main__":
    main()
