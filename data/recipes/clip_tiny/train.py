"""Training of the embedded language model: which phrase is true of which crop, as independent yes-or-no questions.

The loss is SigLIP's (Zhai et al. 2023) with two differences: the truth of every (crop, phrase) pair is known from the
scene, so a batch holds many positives; and the temperature is fixed at LERF's 10, with the canonical phrases (`object`,
`things`, `stuff`, `texture`) trained to be as true as not of every crop. The relevance of LERF, a softmax against a
canonical phrase at temperature 10, is then the probability that the phrase is true.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate, normalize

from data.recipes.clip_tiny.crop_set import CropSet, PhraseTable, truth
from data.recipes.clip_tiny.optimizer import optimizers
from vision3d.language.prompts import CANONICAL_NEGATIVES
from vision3d.language.word_tokenizer import WordTokenizer
from vlm_bridge.backbone.cpu_precision import cpu_has_bfloat16

TEMPERATURE = 10.0
"""LERF's; see the module's text."""
UNKNOWN_SHARE = 0.04
"""Share of a batch's phrases whose words are replaced by unknown ones: they are true of nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How long and how."""

    minutes: float = 40.0
    batch: int = 192
    phrases: int = 224
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    seed: int = 0
    log_every: int = 50


class Trained(nn.Module):
    """The model and the one number beside it: where a phrase becomes more true than not."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model: Any = model
        self.bias = nn.Parameter(torch.tensor(-3.0))


def train(
    trained: Trained,
    tokenize: WordTokenizer,
    crops: CropSet,
    table: PhraseTable,
    config: TrainConfig,
    checkpoint: Path,
    report: Callable[[str], None],
) -> None:
    """Train for `config.minutes` in all; goes on from `checkpoint` where there is one."""  # fmt: skip
    both = optimizers(trained, config.learning_rate, config.weight_decay)
    tokens = tokenize(table.texts)
    canonical = tokenize(CANONICAL_NEGATIVES)
    generator = torch.Generator().manual_seed(config.seed)
    spent, step = _resume(trained, checkpoint)
    started, losses = time.monotonic() - spent, []
    trained.train()
    while (now := time.monotonic() - started) < config.minutes * 60:
        progress = now / (config.minutes * 60)
        for group in (group for optimizer in both for group in optimizer.param_groups):
            group["lr"] = config.learning_rate * min(1.0, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * progress))
        rows = torch.randint(len(crops.pictures), (config.batch,), generator=generator)
        loss = _loss(trained, crops, table, rows, (tokens, canonical), config, generator)
        trained.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        for optimizer in both:
            optimizer.step()
        losses.append(float(loss.detach()))
        step += 1
        if step % config.log_every == 0:
            report(
                f"step {step} {now / 60:.1f} min loss {sum(losses[-config.log_every :]) / config.log_every:.4f} "
                f"bias {float(trained.bias):.2f}"
            )
        if step % 500 == 0:
            _save(trained, checkpoint, now, step)
    _save(trained, checkpoint, config.minutes * 60, step)
    trained.eval()


def _loss(
    trained: Trained, crops: CropSet, table: PhraseTable, rows: Tensor, tokens: tuple[Tensor, Tensor],
    config: TrainConfig, generator: torch.Generator,
) -> Tensor:  # fmt: skip
    phrases = _batch_phrases(crops, table, rows, config.phrases, generator)
    true, known = truth(crops, rows, table, phrases)
    words = tokens[0][phrases].clone()
    lost = torch.rand(len(words), generator=generator) < UNKNOWN_SHARE
    words[lost] = _with_unknown(words[lost], generator)
    true[:, lost], known[:, lost] = False, True
    pictures = augmented(crops.pictures[rows], crops.inside[rows], generator)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=cpu_has_bfloat16()):
        image = trained.model.encode_image(pictures.contiguous(memory_format=torch.channels_last))
        text = trained.model.encode_text(torch.cat([words, tokens[1]]))
    logits = TEMPERATURE * normalize(image.float(), dim=-1) @ normalize(text.float(), dim=-1).T + trained.bias
    count = len(words)
    weight = known.float() * torch.where(true, count / 24, 1.0)
    asked = (
        binary_cross_entropy_with_logits(logits[:, :count], true.float(), weight=weight, reduction="sum")
        / len(rows)
        / count
    )
    neutral = binary_cross_entropy_with_logits(logits[:, count:], torch.full_like(logits[:, count:], 0.5)) - math.log(2)
    return asked + 0.3 * neutral


def _batch_phrases(crops: CropSet, table: PhraseTable, rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Phrases for a batch: of each crop one that is true and one that all but is, the rest drawn from all."""
    everything = torch.arange(len(table.texts))
    true, known = truth(crops, rows, table, everything)
    near = near_misses(crops, rows, table) & ~true & known
    drawn = torch.cat([_one_each(true, generator), _one_each(near, generator)]).unique()
    rest = torch.randint(len(table.texts), (max(count - len(drawn), 0),), generator=generator)
    return torch.cat([drawn, rest]).unique()


def near_misses(crops: CropSet, rows: Tensor, table: PhraseTable) -> Tensor:
    """Phrases [crop phrase] that lack one fact of several, or whose only fact has another value: `colour:red` for
    `colour:blue`. Those that are true as well, or cannot be judged, are for the caller to leave out."""
    needs, shown = table.needs.float(), crops.true[rows] | crops.hidden[rows]
    lacking = (~crops.true[rows]).float() @ needs.T
    names = [fact.partition(":")[0] for fact in crops.facts if ":" in fact]
    family = torch.tensor(
        [[fact.startswith(f"{name}:") for name in sorted(set(names))] for fact in crops.facts]
    ).float()
    alike = (shown.float() @ family).clamp(max=1) @ (needs @ family).clamp(max=1).T > 0
    single = needs.sum(1) == 1
    return torch.where(single, alike, lacking == 1)


def _one_each(fits: Tensor, generator: torch.Generator) -> Tensor:
    """One phrase for each crop that has any; rare phrases are as likely as frequent ones."""
    weights = fits.float() / fits.float().sum(0).clamp(min=1)
    weights = weights[weights.sum(1) > 0]
    return torch.multinomial(weights, 1, generator=generator).flatten() if len(weights) else torch.zeros(0).long()


def _with_unknown(words: Tensor, generator: torch.Generator) -> Tensor:
    """Phrases whose words after the first are all unknown (or whose only word is): head nouns nobody knows."""
    end = words.argmax(1, keepdim=True)
    place = torch.arange(words.shape[1])[None]
    first = torch.where(end > 2, torch.randint(1, 3, end.shape, generator=generator), 1)
    return torch.where((place >= first) & (place < end), 2, words)


def augmented(pictures: Tensor, inside: Tensor, generator: torch.Generator) -> Tensor:
    """Crops 0-1, normalised, mirrored, relit, recoloured a little and made coarser; what lies around the mask stays."""
    count = len(pictures)

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    values = pictures.float() / 255
    relit = (values * draw(0.72, 1.25, 1, 1, 1) * draw(0.94, 1.06, 3, 1, 1)).clamp(1e-4, 1) ** draw(0.8, 1.25, 1, 1, 1)
    grey = relit.mean(1, keepdim=True)
    relit = grey + (relit - grey) * draw(0.8, 1.15, 1, 1, 1)
    relit = (relit + 0.03 * draw(0, 1, 1, 1, 1) * torch.randn(relit.shape, generator=generator)).clamp(0, 1)
    values = torch.where(inside[:, None], relit, values)
    coarse = torch.rand(count, generator=generator) < 0.3
    if coarse.any():
        side = int(torch.randint(20, 48, (1,), generator=generator))
        small = interpolate(values[coarse], size=(side, side), mode="area")
        values[coarse] = interpolate(small, size=values.shape[-2:], mode="bilinear", align_corners=False)
    mirrored = torch.rand(count, generator=generator) < 0.5
    values[mirrored] = values[mirrored].flip(-1)
    return normalised(values)


def normalised(values: Tensor) -> Tensor:
    """Pixels with the statistics the shipped configuration states: mean and deviation 0.5."""
    return (values - 0.5) / 0.5


def _save(trained: Trained, checkpoint: Path, seconds: float, step: int) -> None:
    state = {name: value.contiguous() for name, value in trained.state_dict().items()}
    save_file(state | {"recipe.progress": torch.tensor([seconds, float(step)])}, checkpoint)


def _resume(trained: Trained, checkpoint: Path) -> tuple[float, int]:
    if not checkpoint.is_file():
        return 0.0, 0
    state = load_file(checkpoint)
    seconds, step = state.pop("recipe.progress").tolist()
    trained.load_state_dict(state)
    return seconds, int(step)
