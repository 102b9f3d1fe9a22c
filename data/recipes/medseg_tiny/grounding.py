"""The warm-up of grounding: encoder and mask decoder learn from a table of prompts, one row per structure.

The language model comes in later: its [SEG] states are then projected onto the rows of this table. Losses: binary
cross-entropy and Dice of the masks, presence, and the overlap the decoder expects; and the same of plain maps, one per
structure, straight from the encoder, which teach it faster than what comes through the decoder and are dropped after.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate, mse_loss

from data.recipes.medseg_tiny.batches import NAMES, PARTS, GroundingBatch
from medseg.grounding.embedded_decoder import EmbeddedDecoderConfig, EmbeddedMaskDecoder
from medseg.grounding.mask_decoder import DecodedMasks, EncodedPictures
from medseg.grounding.picture_fit import SAM_MEAN, SAM_STD

DECODER = EmbeddedDecoderConfig(sharp=8)
"""Shape of the decoder that is trained here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingConfig:
    """How long and how."""

    minutes: float = 90.0
    fall: float = 0.35
    """Share of the time at the end in which the learning rate falls to zero."""
    learning_rate: float = 8e-4
    sides_from: float = 0.0
    """0-1: how far on the way from small squares to large ones it begins."""
    weight_decay: float = 0.04
    average: float = 0.998
    """Decay of the running average of the weights, which is what is kept."""
    save_minutes: float = 5.0
    log_every: int = 50


class Grounding(nn.Module):
    """The decoder and the table of prompts."""

    def __init__(self, config: EmbeddedDecoderConfig = DECODER) -> None:
        super().__init__()
        self.decoder = EmbeddedMaskDecoder(config)
        self.prompts = nn.Embedding(len(NAMES) + len(PARTS), config.width)

    def forward(self, batch: GroundingBatch) -> DecodedMasks:
        """Masks of the tokens of a batch."""
        encoded = self.decoder.encode(as_input(batch.pictures))
        return self.decoder.decode(encoded, batch.picture, self.prompts(batch.name), batch.previous)


class PlainMaps(nn.Module):
    """Logits of every structure from the encoder's maps alone."""

    def __init__(self, config: EmbeddedDecoderConfig) -> None:
        super().__init__()
        channels = [config.width, config.width // 4, config.width // 8, *([config.sharp] if config.sharp else [])]
        self.maps = nn.ModuleList(nn.Conv2d(count, len(NAMES), 1) for count in channels)

    def forward(self, encoded: EncodedPictures, picture: Tensor, name: Tensor) -> Tensor:
        """float [token h w] at the finest stride, of structures by number and the picture each is looked for in."""
        side = encoded.fine[-1].shape[-2:]
        total: Tensor | float = 0.0
        for layer, features in zip(self.maps, (encoded.embedding, *encoded.fine), strict=True):
            each = layer(features)[picture, name]
            total = total + interpolate(each[:, None], side, mode="bilinear", align_corners=False)[:, 0]
        return total  # type: ignore[return-value]


def as_input(pictures: Tensor) -> Tensor:
    """uint8 [picture side side 3] as the encoder reads it."""
    mean, std = torch.tensor(SAM_MEAN, device=pictures.device), torch.tensor(SAM_STD, device=pictures.device)
    return ((pictures.float() - mean) / std).permute(0, 3, 1, 2)  # channels come last in memory


def grounding_losses(decoded: DecodedMasks, batch: GroundingBatch) -> dict[str, Tensor]:
    """Means over the tokens; an absent structure has no Dice."""
    there = batch.present
    bce, dice, logits = mask_losses(decoded.logits, batch.masks, there)
    with torch.no_grad():
        marked = logits > 0
        union = (marked | batch.masks).flatten(1).sum(1)
        overlap = (marked & batch.masks).flatten(1).sum(1) / union.clamp(min=1)
    if decoded.object_logits is None:
        raise TypeError("Decoder: expected a head that says whether the target is there, found none.")
    return {
        "bce": bce,
        "dice": dice,
        "present": binary_cross_entropy_with_logits(decoded.object_logits, there.float()),
        "overlap": mse_loss(decoded.overlap[there], overlap[there]) if there.any() else dice * 0,
    }


def mask_losses(coarse: Tensor, masks: Tensor, there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy, Dice of those that are there, and the logits at the masks' size."""
    logits = interpolate(coarse[:, None], masks.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    truth = masks.float()
    chance = logits.sigmoid()
    both = 2 * (chance * truth).flatten(1).sum(1)
    dice = 1 - (both + 1) / (chance.flatten(1).sum(1) + truth.flatten(1).sum(1) + 1)
    mean = dice[there].mean() if there.any() else dice.sum() * 0
    return binary_cross_entropy_with_logits(logits, truth), mean, logits


def plain_losses(maps: PlainMaps, encoded: EncodedPictures, batch: GroundingBatch) -> dict[str, Tensor]:
    """Losses of the plain maps; parts of earlier masks have none."""
    named = batch.name < len(NAMES)
    logits = maps(encoded, batch.picture[named], batch.name[named])
    bce, dice, _ = mask_losses(logits, batch.masks[named], batch.present[named])
    return {"plain bce": bce, "plain dice": dice}


def side_shares(progress: float) -> tuple[float, ...]:
    """Shares of SIDES at a moment of the training: from small squares to large ones."""
    if progress < 0.45:
        return (0.85, 0.15, 0.0)
    if progress < 0.7:
        return (0.3, 0.5, 0.2)
    return (0.1, 0.3, 0.6) if progress < 0.85 else (0.0, 0.1, 0.9)


WEIGHTS = {"bce": 2.0, "dice": 1.0, "present": 0.3, "overlap": 0.3, "plain bce": 1.0, "plain dice": 0.5}


def train_grounding(
    grounding: Grounding,
    batches: Iterator[GroundingBatch],
    config: GroundingConfig,
    checkpoint: Path,
    sides: Tensor,
    report: Callable[[str], None],
) -> None:
    """Train for `config.minutes`; goes on from `checkpoint` where there is one. The average ends in `grounding`."""
    device = next(grounding.parameters()).device
    whole = nn.ModuleDict({"grounding": grounding, "maps": PlainMaps(grounding.decoder.config).to(device)})
    whole.to(memory_format=torch.channels_last)  # a sixteenth faster
    optimizer = torch.optim.AdamW(_groups(whole, config), lr=config.learning_rate, betas=(0.9, 0.98))
    averaged = copy.deepcopy(whole).eval().requires_grad_(False)
    spent, step = _resume(whole, averaged, optimizer, checkpoint)
    started, saved = time.monotonic() - spent, spent
    sums: dict[str, float] = {}
    whole.train()
    first = step
    while (now := time.monotonic() - started) < config.minutes * 60:
        progress = now / (config.minutes * 60)
        far = config.sides_from + (1 - config.sides_from) * progress
        sides.copy_(torch.tensor(side_shares(far), dtype=torch.float64))
        rate = config.learning_rate * min(1.0, (step - first + 1) / 200) * min(1.0, (1 - progress) / config.fall)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = next(batches).to(device)
        losses = all_losses(grounding, whole["maps"], batch)
        optimizer.zero_grad()
        torch.stack([WEIGHTS[name] * value for name, value in losses.items()]).sum().backward()
        nn.utils.clip_grad_norm_(whole.parameters(), 2.0)
        optimizer.step()
        step += 1
        _average(averaged, whole, min(config.average, step / (step + 20)))
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        if step % config.log_every == 0:
            means = " ".join(f"{name} {value / config.log_every:.4f}" for name, value in sums.items())
            report(f"step {step} {now / 60:.1f} min rate {rate:.2e} {means}")
            sums = {}
        if now - saved > config.save_minutes * 60:
            saved = now
            _save(whole, averaged, optimizer, checkpoint, now, step)
    _save(whole, averaged, optimizer, checkpoint, config.minutes * 60, step)
    grounding.load_state_dict(averaged["grounding"].state_dict())
    grounding.eval()


@torch.no_grad()
def settle_norms(grounding: Grounding, batches: Iterator[GroundingBatch], count: int = 60) -> None:
    """Statistics of batch normalisation measured anew: those of training belong to the weights before averaging."""
    norms = [module for module in grounding.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    grounding.train()
    device = next(grounding.parameters()).device
    for _ in range(count):
        grounding.decoder.encode(as_input(next(batches).to(device).pictures))
    for norm in norms:
        norm.momentum = 0.1
    grounding.eval()


def all_losses(grounding: Grounding, maps: nn.Module, batch: GroundingBatch) -> dict[str, Tensor]:
    """Losses of the decoder and of the plain maps, of one look at the pictures."""
    encoded = grounding.decoder.encode(as_input(batch.pictures))
    decoded = grounding.decoder.decode(encoded, batch.picture, grounding.prompts(batch.name), batch.previous)
    return grounding_losses(decoded, batch) | plain_losses(maps, encoded, batch)  # type: ignore[arg-type]


def _groups(grounding: nn.Module, config: GroundingConfig) -> list[dict[str, object]]:
    decayed = [parameter for parameter in grounding.parameters() if parameter.ndim > 1]
    free = [parameter for parameter in grounding.parameters() if parameter.ndim <= 1]
    return [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]


@torch.no_grad()
def _average(averaged: nn.Module, live: nn.Module, decay: float) -> None:
    for mean, value in zip(averaged.parameters(), live.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
    for mean, value in zip(averaged.buffers(), live.buffers(), strict=True):
        mean.copy_(value)


def _save(
    grounding: nn.Module, averaged: nn.Module, optimizer: torch.optim.Optimizer, path: Path, spent: float, step: int
) -> None:
    tensors = {f"live.{name}": value for name, value in grounding.state_dict().items()}
    tensors |= {f"mean.{name}": value for name, value in averaged.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in state.items()}
    tensors["spent"], tensors["step"] = torch.tensor(spent), torch.tensor(step)
    partial = path.with_suffix(".partial")
    save_file({name: value.contiguous() for name, value in tensors.items()}, partial)
    partial.replace(path)


def _resume(
    grounding: nn.Module, averaged: nn.Module, optimizer: torch.optim.Optimizer, path: Path
) -> tuple[float, int]:
    if not path.exists():
        return 0.0, 0
    tensors = load_file(path)
    grounding.load_state_dict(_under(tensors, "live."))
    averaged.load_state_dict(_under(tensors, "mean."))
    kept = optimizer.state_dict()
    for name, value in _under(tensors, "optimizer.").items():
        number, entry = name.split(".")
        kept["state"].setdefault(int(number), {})[entry] = value
    optimizer.load_state_dict(kept)
    return float(tensors["spent"]), int(tensors["step"])


def _under(tensors: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
