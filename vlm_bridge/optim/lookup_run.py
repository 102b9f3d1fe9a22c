"""`probe_lookup_run`: a small language model learns to look values up while Muon's criterion is measured.

It needs no data and no network: the model is the embedded `key_value_tiny`, or one of its shape with random weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import Qwen2Config, Qwen2ForCausalLM

from vlm_bridge.assets import asset_path
from vlm_bridge.errors import InvalidInputError, RunFolderError
from vlm_bridge.optim.catalogue import make_optimizer, optimizer_name
from vlm_bridge.optim.config import OptimizerConfig
from vlm_bridge.optim.lookup_task import NOT_ASKED, questions
from vlm_bridge.optim.muon_probe import probe_muon
from vlm_bridge.optim.probe_log import PROBE_LOG_NAME, log_probes, matrices_to_probe
from vlm_bridge.runs.metrics_log import Metrics, read_metrics

_PAIRS, _ROWS = 8, 8
_WARM_UP = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupRunConfig:
    """Settings of the run."""

    optimizer: str = "muon"
    """Of the catalogue."""
    learning_rate: float = 3e-3
    """After the warm-up of ten steps."""
    steps: int = 40
    """Optimiser steps."""
    every: int = 20
    """Steps between measurements; start and end are measured too."""
    matrices: tuple[str, ...] = ()
    """Patterns of names; none: four of them, first to last."""
    trained: bool = False
    """Begin with the embedded weights rather than random ones; their loss is near 0, and so are their gradients."""
    iterations: int = 30
    """Most power iterations for L."""
    seed: int = 0
    """Of weights and lists."""

    def __post_init__(self) -> None:
        optimizer_name(self.optimizer)
        if min(self.steps, self.every, self.iterations) < 1 or not 0 < self.learning_rate < 1:
            raise InvalidInputError(
                "Muon probe: expected steps, every and iterations >= 1 and 0 < learning_rate < 1, found "
                f"{self.steps}, {self.every}, {self.iterations} and {self.learning_rate}. Change them."
            )


def probe_lookup_run(
    folder: Path, config: LookupRunConfig = LookupRunConfig(), *, progress: bool = True
) -> list[Metrics]:
    """Train on lists of eight pairs, and write J, L and K of some matrices to `folder`; gives the lines written.

    The loss that is measured is always that of the same batch.

    Raises:
        RunFolderError: the folder holds measurements already.
        InvalidInputError: a setting is out of range, or no matrix fits.
    """
    path = folder / PROBE_LOG_NAME
    if path.exists():
        raise RunFolderError(f"{path}: expected a folder without measurements, found some. Choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    model = _model(config)
    names = matrices_to_probe(model, config.matrices)
    optimizer = make_optimizer(model, config.optimizer, OptimizerConfig(learning_rate=config.learning_rate))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / _WARM_UP))

    def measure(step: int) -> None:
        model.eval()
        log_probes(
            path, step, probe_muon(model, lambda: _loss(model, config.seed), names=names, iterations=config.iterations)
        )
        model.train()

    for step in tqdm(range(config.steps), desc="muon-probe", disable=not progress):
        if step % config.every == 0:
            measure(step)
        loss = _loss(model, config.seed + 1 + step)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    measure(config.steps)
    return read_metrics(path)


def _model(config: LookupRunConfig) -> Any:
    folder = asset_path("key_value_tiny")
    if config.trained:
        return Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        settings = Qwen2Config.from_pretrained(folder)
        settings.dtype = torch.float32
        return Qwen2ForCausalLM(settings).float()


def _loss(model: Any, seed: int) -> Tensor:
    made = questions(_ROWS, _PAIRS, _PAIRS, torch.Generator().manual_seed(seed))
    logits, wanted = model(input_ids=made.ids).logits[:, :-1], made.labels[:, 1:]
    at = wanted != NOT_ASKED
    return nn.functional.cross_entropy(logits[at], wanted[at])
