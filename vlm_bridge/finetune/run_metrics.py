"""`RunMetrics`: the trainer's numbers as lines of a run's metrics, and as a progress bar."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from vlm_bridge.optim.state_size import state_bytes
from vlm_bridge.runs.run_folder import RunFolder

_NAMES = {
    "loss": "loss",
    "grad_norm": "gradient_norm",
    "learning_rate": "learning_rate",
    "eval_loss": "validation_loss",
    "eval_token_accuracy": "validation_token_accuracy",
}
"""The trainer's name of a number -> ours."""


class RunMetrics(TrainerCallback):
    """Writes `metrics.jsonl`; steps count over all stages. Lines with a loss also say how many numbers learn, and what
    the optimiser remembers of them."""

    def __init__(self, run: RunFolder, *, stage: int, policy: str, first_step: int, progress: bool) -> None:
        """`first_step`: optimiser steps of the stages before."""
        self.learned = 0
        """Numbers that learn."""
        self.optimizer: torch.optim.Optimizer | None = None
        """Its state is counted."""
        self.run = run
        self.facts = {"stage": stage, "policy": policy}
        self.first_step = first_step
        self.progress = progress
        self._bar: tqdm | None = None
        self._tokens: Tensor | int = 0
        self._since = time.perf_counter()

    def count(self, attention: Tensor) -> None:
        """Add the tokens of a batch to those of the current interval; nothing is waited for on a GPU."""
        self._tokens = self._tokens + attention.sum()

    def optimizer_bytes(self) -> int:
        """What the optimiser remembers; 0 before its first step."""
        return 0 if self.optimizer is None else state_bytes(self.optimizer)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Open the bar."""
        self._tokens, self._since = 0, time.perf_counter()
        self._bar = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            desc=f"stage {self.facts['stage']} ({self.facts['policy']})",
            disable=not (self.progress and state.is_world_process_zero),
        )

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Move the bar; have the loss logged where a checkpoint is saved, so that a resumed run logs the same lines."""
        if self._bar is not None:
            self._bar.update(1)
        if control.should_save:
            control.should_log = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write one line of loss or of validation; the trainer's summaries are left out."""
        found = logs or {}
        values = {ours: found[name] for name, ours in _NAMES.items() if name in found}
        if not values or not state.is_world_process_zero:
            return
        if "loss" in values:
            now = time.perf_counter()
            values["tokens_per_second"] = float(self._tokens) / max(now - self._since, 1e-9)
            self._tokens, self._since = 0, now
            values["learned_numbers"] = self.learned
            values["optimizer_bytes"] = self.optimizer_bytes()
            if self._bar is not None:
                self._bar.set_postfix(loss=f"{values['loss']:.4f}", tokens_per_s=f"{values['tokens_per_second']:.0f}")
        self.run.log_metrics(self.first_step + state.global_step, **self.facts, epoch=float(state.epoch), **values)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
