"""Makes data/contours again: `python -m data.recipes.contours SCENES`, with scenes of the household's training views.

python -m data.recipes.household.training_views SCENES --first 0 --count 240
python -m data.recipes.contours SCENES --minutes 40
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    interpolate,
    max_pool2d,
    smooth_l1_loss,
)

from data.recipes.clip_tiny.crop_set import read_scene
from data.recipes.contours.pair_rule import fit_pair_rule
from data.recipes.household.catalogue import KINDS as KIND_TABLE
from data.recipes.household.random_scene import ROOM
from vision3d.masks.contour_network import OFFSET_UNIT, ContourNetwork

LOG = logging.getLogger("contours")
_TARGET = Path(__file__).resolve().parents[2] / "contours"
_CROP = 192
_BORDER_WEIGHT = 3.0
_KIND_NAMES = tuple(KIND_TABLE)
_ROOM_NUMBER = 256
"""Pieces of the room are instances of their own, from this number on."""


def read_views(paths: Sequence[Path]) -> tuple[Tensor, Tensor]:
    """Photos uint8 [view 3 h w], and label maps int16 [view 4 h w] of pieces, instances, groups and kinds."""
    photos, labels = [], []
    for path in paths:
        arrays, things = read_scene(path)
        ids, pieces = arrays["ids"].astype(np.int64), arrays["pieces"].astype(np.int64)
        group, kind = np.arange(_ROOM_NUMBER), np.zeros(_ROOM_NUMBER, np.int64)
        for thing in things:
            group[thing["number"]] = thing["group"]
            kind[thing["number"]] = len(ROOM) + _KIND_NAMES.index(thing["kind"])
        room = ids == 0
        levels = [
            pieces,
            np.where(room, _ROOM_NUMBER + pieces, ids),
            np.where(room, _ROOM_NUMBER + pieces, group[ids]),
            np.where(room, pieces, kind[ids]),
        ]
        photos.append(torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2))
        labels.append(torch.from_numpy(np.stack(levels, 1)).to(torch.int16))
    return torch.cat(photos), torch.cat(labels)


def middles(instances: Tensor) -> tuple[Tensor, Tensor]:
    """Offsets in pixels [image 2 h w] from each pixel to the middle of its instance's visible pixels, and things."""
    count, height, width = instances.shape
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    keys = (instances.long() + 1024 * torch.arange(count)[:, None, None]).flatten()
    sizes = torch.bincount(keys, minlength=1024 * count).clamp(min=1)
    found = []
    for grid in (x, y):
        values = grid.expand(count, -1, -1).flatten()
        mean = torch.bincount(keys, weights=values, minlength=1024 * count) / sizes
        found.append((mean[keys] - values).view(count, height, width))
    return torch.stack(found, 1).float(), (instances < _ROOM_NUMBER).float()


def borders(labels: Tensor) -> Tensor:
    """1 where a pixel's right, lower or diagonal neighbours on either side carry another label, else 0."""
    values = labels.float()
    high, low = max_pool2d(values, 3, stride=1, padding=1), -max_pool2d(-values, 3, stride=1, padding=1)
    # a cross would miss corners; a full 3 x 3 is two pixels wide on straight borders, which is what we want
    return ((high != values) | (low != values)).float()


def batch_of(photos: Tensor, labels: Tensor, generator: torch.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Random windows, turned, mirrored, scaled and recoloured."""
    images, targets = [], []

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)

    for _ in range(count):
        row = int(torch.randint(len(photos), (1,), generator=generator))
        side = int(torch.randint(120, photos.shape[-1] + 1, (1,), generator=generator))
        top, left = (int(torch.randint(photos.shape[-1] - side + 1, (1,), generator=generator)) for _ in range(2))
        image = photos[row, :, top : top + side, left : left + side][None].float() / 255
        label = labels[row, :, top : top + side, left : left + side][None].float()
        image = interpolate(image, size=(_CROP, _CROP), mode="bilinear", antialias=True, align_corners=False)
        label = interpolate(label, size=(_CROP, _CROP), mode="nearest")
        turns = int(torch.randint(4, (1,), generator=generator)) if float(draw(0, 1, 1)) < 0.3 else 0
        image, label = (torch.rot90(value, turns, (2, 3)) for value in (image, label))
        if float(draw(0, 1, 1)) < 0.5:
            image, label = image.flip(-1), label.flip(-1)
        if float(draw(0, 1, 1)) < 0.3:
            image = image[:, torch.randperm(3, generator=generator)]
        image = (image * draw(0.6, 1.3, 1, 3, 1, 1).lerp(draw(0.6, 1.3, 1, 1, 1, 1), 0.7)).clamp(1e-4, 1) ** float(
            draw(0.7, 1.4, 1)
        )
        if float(draw(0, 1, 1)) < 0.25:
            small = int(torch.randint(_CROP // 2, _CROP, (1,), generator=generator))
            image = interpolate(image, size=(small, small), mode="area")
            image = interpolate(image, size=(_CROP, _CROP), mode="bilinear", align_corners=False)
        image = image + float(draw(0, 0.03, 1)) * torch.randn(image.shape, generator=generator)
        images.append(image.clamp(0, 1))
        targets.append(label)
    return torch.cat(images), torch.cat(targets)


def train(
    network: ContourNetwork, data: tuple[Tensor, Tensor], minutes: float, checkpoint: Path, batch: int = 8
) -> None:
    """Train for `minutes` in all; goes on from the checkpoint where there is one."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02)
    generator = torch.Generator().manual_seed(0)
    spent, step, losses = 0.0, 0, []
    if checkpoint.is_file():
        state = load_file(checkpoint)
        spent, step = float(state["recipe.progress"][0]), int(state["recipe.progress"][1])
        network.load_state_dict({name: value for name, value in state.items() if not name.startswith("recipe.")})
    started = time.monotonic() - spent
    network.train()
    while (now := time.monotonic() - started) < minutes * 60:
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * now / (minutes * 60)))
        loss = _loss(network, *batch_of(*data, generator, batch))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        step += 1
        if step % 50 == 0:
            LOG.info("step %d %.1f min loss %.4f", step, now / 60, sum(losses[-50:]) / 50)
        if step % 250 == 0:
            _save(network, checkpoint, now, step)
    _save(network, checkpoint, minutes * 60, step)
    network.eval()


def _loss(network: ContourNetwork, images: Tensor, labels: Tensor) -> Tensor:
    found = network(images.contiguous(memory_format=torch.channels_last))
    weight = torch.tensor(_BORDER_WEIGHT)
    loss = binary_cross_entropy_with_logits(found.borders, borders(labels[:, :3]), pos_weight=weight)
    offsets, thing = middles(labels[:, 1])
    loss = loss + 0.5 * binary_cross_entropy_with_logits(found.thing, thing)
    apart = smooth_l1_loss(found.offsets, offsets / OFFSET_UNIT, reduction="none", beta=0.1).sum(1)
    loss = loss + 0.5 * (apart * thing).sum() / thing.sum().clamp(min=1)
    return loss + 0.4 * cross_entropy(found.kinds, labels[:, 3, ::2, ::2].long())


def _save(network: ContourNetwork, checkpoint: Path, seconds: float, step: int) -> None:
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(state | {"recipe.progress": torch.tensor([seconds, float(step)])}, checkpoint)


def border_scores(network: ContourNetwork, data: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Share of border pixels found and of found pixels that are borders, at probability 0.5, instance level."""
    found = right = there = 0
    with torch.inference_mode():
        for image, label in zip(data[0].split(8), data[1].split(8), strict=True):
            guess = network(image.float() / 255).borders[:, 1] > 0
            truth = borders(label[:, :3].float())[:, 1] > 0
            found, right, there = found + int(guess.sum()), right + int((guess & truth).sum()), there + int(truth.sum())
    return {"recall": right / max(there, 1), "precision": right / max(found, 1)}


def main() -> None:
    """Train and write the asset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--held-out", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    paths = sorted(asked.scenes.glob("scene_*[0-9].npz"))
    data, held_out = read_views(paths[: -asked.held_out]), read_views(paths[-asked.held_out :])
    network = ContourNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    LOG.info("%d views, %.2f M parameters", len(data[0]), sum(p.numel() for p in network.parameters()) / 1e6)
    train(network, data, asked.minutes, asked.scenes / "contours.safetensors")
    fit_pair_rule(network, data[0], data[1][:, 1])
    scores = border_scores(network, held_out)
    LOG.info("held out: %s", scores)
    _TARGET.mkdir(exist_ok=True)
    save_file(
        {
            name: (value.half() if value.is_floating_point() else value).contiguous()
            for name, value in network.state_dict().items()
        },
        _TARGET / "contours.safetensors",
    )
    (_TARGET / "contours.json").write_text(json.dumps({"held_out": scores}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
