"""`MuonProbing`: measures of curvature along a stage, of one fixed batch, in the run's `muon_probe.jsonl`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim.muon_probe import probe_muon
from vlm_bridge.optim.probe_log import PROBE_LOG_NAME, log_probes
from vlm_bridge.runs.metrics_log import drop_metrics_after


class MuonProbing(TrainerCallback):
    """Measures before the first step, every so many steps, and after the last; it changes nothing of the training."""

    def __init__(
        self,
        folder: Path,
        make_batch: Callable[[], dict[str, Tensor]],
        names: Sequence[str],
        *,
        every: int,
        first_step: int,
    ) -> None:
        """`first_step`: optimiser steps of the stages before."""
        self.path = folder / PROBE_LOG_NAME
        self.make_batch = make_batch
        self.names = tuple(names)
        self.every = every
        self.first_step = first_step
        self._measured = -1

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Forget what comes again after a resume, and measure the start."""
        step = self.first_step + state.global_step
        drop_metrics_after(self.path, step - (state.global_step == 0))
        if state.global_step == 0 and state.is_world_process_zero:
            self._measure(kwargs["model"], step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Measure where it is due."""
        if state.global_step % self.every == 0 and state.is_world_process_zero:
            self._measure(kwargs["model"], self.first_step + state.global_step)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Measure the end."""
        if state.is_world_process_zero:
            self._measure(kwargs["model"], self.first_step + state.global_step)

    def _measure(self, model: nn.Module, step: int) -> None:
        if step == self._measured:
            return
        self._measured = step
        _check_float32(model)
        batch = self.make_batch()
        modes = {module: module.training for module in model.modules()}
        model.eval()
        log_probes(self.path, step, probe_muon(model, lambda: model(**batch).loss, names=self.names))
        for module, training in modes.items():
            module.training = training


def _check_float32(model: nn.Module) -> None:
    half = next(
        (name for name, value in model.named_parameters() if value.dtype in (torch.float16, torch.bfloat16)), ""
    )
    if half:
        raise InvalidInputError(
            f"Muon probe: expected weights in float32, found {model.get_parameter(half).dtype} in {half}: half "
            "precision blurs curvature. Load the model with dtype float32."
        )
