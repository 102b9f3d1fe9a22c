"""Training of the small backbone: first the vision tower alone on windows, then all of it together on whole pictures.

The learning rate rises, stays, and falls in the last part, so that a run can be made longer from a checkpoint written
before the fall. Where bfloat16 is computed, matrices learn by Muon (Jordan et al. 2024, as torch has it), everything
else by AdamW; on other CPUs Muon's products would take most of the time, and AdamW does all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from data.recipes.vlm_tiny.batches import IGNORED, PackedBatch
from data.recipes.vlm_tiny.network import DenseHeads, coarse_labels, no_decay, patch_features, window_features
from data.recipes.vlm_tiny.windows import WindowBatch
from vlm_bridge.backbone.cpu_precision import cpu_has_bfloat16


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How long and how."""

    minutes: float = 90.0
    vision_minutes: float = 20.0
    """Of these the vision tower learns alone."""
    fall: float = 0.3
    """Share of the time at the end in which the learning rate falls to zero."""
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    dense_weight: float = 0.5
    """Of the dense labels' loss beside that of the words."""
    save_minutes: float = 5.0
    log_every: int = 50
    device: str = "cpu"


class Trained(nn.Module):
    """The backbone and the heads that help it learn to see."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model: Any = model
        self.heads = DenseHeads(model.config.vision_config.hidden_size)


def optimizers(trained: nn.Module, config: TrainConfig) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the matrices inside the layers where that is fast, AdamW for the rest."""
    inner, decayed, free = [], [], []
    for name, parameter in trained.named_parameters():
        if no_decay(name, parameter):
            free.append(parameter)
        elif parameter.ndim == 2 and not name.startswith("heads") and _computes_bfloat16(config.device):
            inner.append(parameter)
        else:
            decayed.append(parameter)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
    rest = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
    if not inner:
        return (rest,)
    return torch.optim.Muon(
        inner, lr=config.learning_rate, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
    ), rest


def train(
    trained: Trained,
    windows: Iterator[WindowBatch],
    batches: Iterator[PackedBatch],
    config: TrainConfig,
    checkpoint: Path,
    report: Callable[[str], None],
) -> None:
    """Train for `config.minutes` in all; goes on from `checkpoint` where there is one."""
    device = torch.device(config.device)
    trained.to(device)
    if device.type == "cpu":
        trained.model.set_attn_implementation("eager")  # at these lengths faster than the fused one
    both = optimizers(trained, config)
    spent, step = _resume(trained, both, checkpoint)
    first_step, started, saved = step, time.monotonic() - spent, spent
    sums: dict[str, float] = {}
    trained.train()
    while (now := time.monotonic() - started) < config.minutes * 60:
        rate = config.learning_rate * _rate(now / (config.minutes * 60), step - first_step, config.fall)
        for group in (group for optimizer in both for group in optimizer.param_groups):
            group["lr"] = rate
        if now <= config.vision_minutes * 60:
            losses = window_losses(trained, next(windows).to(device))
        else:
            losses = batch_losses(trained, next(batches).to(device))
        _update(trained, both, losses, config.dense_weight)
        step += 1
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        if step % config.log_every == 0:
            means = " ".join(f"{name} {value / config.log_every:.4f}" for name, value in sums.items())
            report(f"step {step} {now / 60:.1f} min rate {rate:.2e} {means}")
            sums = {}
        if now - saved > config.save_minutes * 60:
            saved = now
            _save(trained, both, checkpoint, now, step)
    _save(trained, both, checkpoint, config.minutes * 60, step)
    trained.eval().to("cpu")


def _update(
    trained: Trained, both: tuple[torch.optim.Optimizer, ...], losses: dict[str, Tensor], dense_weight: float
) -> None:
    total = dense_weight * (losses["what"] + 0.5 * losses["colour"]) + losses.get("words", 0.0)
    trained.zero_grad()
    total.backward()
    nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
    for optimizer in both:
        optimizer.step()


def _computes_bfloat16(device: str) -> bool:
    return torch.device(device).type != "cpu" or cpu_has_bfloat16()


def _autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=_computes_bfloat16(device.type))


def _rate(progress: float, steps_done: int, fall: float) -> float:
    return min(1.0, (steps_done + 1) / 150) * min(1.0, max(0.0, (1 - progress) / fall))


def window_losses(trained: Trained, batch: WindowBatch) -> dict[str, Tensor]:
    """Cross-entropies of what each place of the windows shows and of its colour."""
    with _autocast(batch.pixels.device):
        what, colour = trained.heads(window_features(trained.model, batch.pixels, batch.place))
    return {"what": _dense_loss(what.float(), batch.what), "colour": _dense_loss(colour.float(), batch.colour)}


def batch_losses(trained: Trained, batch: PackedBatch) -> dict[str, Tensor]:
    """Cross-entropies: what each place shows, its colour, and the words of the answers."""
    with _autocast(batch.pixels.device):
        patches = patch_features(trained.model, batch.pixels)
        what, colour = trained.heads(patches)
        logits = answer_logits(trained.model, patches, batch)
    return {
        "what": _dense_loss(what.float(), coarse_labels(batch.what)),
        "colour": _dense_loss(colour.float(), coarse_labels(batch.colour)),
        "words": cross_entropy(logits.float(), batch.labels[batch.labels != IGNORED]),
    }


def _dense_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy over the places that are known; nothing named, most of each picture, counts a quarter."""
    each = cross_entropy(logits, labels, ignore_index=-1, reduction="none")
    weight = torch.where(labels == 0, 0.25, 1.0) * (labels >= 0)
    return (each * weight).sum() / weight.sum().clamp(min=1)


def answer_logits(model: Any, patches: Tensor, batch: PackedBatch) -> Tensor:
    """Logits [place word] at the places of the batch where a token of an answer is due."""
    inner = model.model
    side = round(patches.shape[1] ** 0.5)
    grid = patches.view(len(patches), side, side, -1)
    visual = inner.multi_modal_projector(inner.pixel_shuffle(grid, scale_factor=0.5).flatten(1, 2))
    embedded = inner.get_input_embeddings()(batch.ids)
    context = batch.ids == model.config.image_token_id
    embedded = embedded.masked_scatter(context[..., None], visual.to(embedded.dtype))
    # added to the scores, since that is what every attention of transformers takes
    hidden_from = torch.zeros(batch.sees.shape, device=batch.sees.device).masked_fill_(
        ~batch.sees, torch.finfo(torch.float32).min
    )
    states = inner.language_model(
        inputs_embeds=embedded, attention_mask=hidden_from, position_ids=batch.places, use_cache=False
    ).last_hidden_state
    return model.lm_head(states[batch.labels != IGNORED])


def _save(trained: Trained, both: tuple[torch.optim.Optimizer, ...], checkpoint: Path, spent: float, step: int) -> None:
    partial = checkpoint.with_suffix(".partial")
    tensors = {name: value.detach().cpu().clone() for name, value in trained.state_dict().items()}
    save_file(tensors, partial, metadata={"spent": str(spent), "step": str(step)})
    torch.save([optimizer.state_dict() for optimizer in both], checkpoint.with_suffix(".optimizers"))
    partial.rename(checkpoint)


def _resume(trained: Trained, both: tuple[torch.optim.Optimizer, ...], checkpoint: Path) -> tuple[float, int]:
    if not checkpoint.exists():
        return 0.0, 0
    trained.load_state_dict(load_file(checkpoint))
    states = torch.load(checkpoint.with_suffix(".optimizers"), weights_only=True, map_location="cpu")
    for optimizer, state in zip(both, states, strict=True):
        optimizer.load_state_dict(state)
    with safe_open(checkpoint, "pt") as opened:
        header = opened.metadata()
    return float(header["spent"]), int(header["step"])
