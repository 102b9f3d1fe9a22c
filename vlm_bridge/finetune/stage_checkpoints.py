"""`StageCheckpoints`: where a stage saves itself, and the weights of its best validation.

A checkpoint holds the parameters learned in this stage and those before, the optimiser, the schedule, the random
generators and the position of the trainer; what never learned is not stored.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerState

from vlm_bridge.errors import RunFolderError
from vlm_bridge.finetune.training_state import pack_optimizer, pack_random
from vlm_bridge.runs.checkpoints import checkpoint_paths, checkpoint_step, read_checkpoint, write_checkpoint
from vlm_bridge.runs.run_folder import RunFolder

_MODEL = "model/"
_ALL = 2**31


@dataclass(slots=True, kw_only=True)
class StageCheckpoints:
    """The checkpoints of one stage of a run."""

    run: RunFolder
    number: int
    """Of the stage, from 0."""
    first_step: int
    """Optimiser steps of the stages before."""
    learned: tuple[str, ...]
    """Names of the parameters (and of buffers, where layers keep running means) that learned so far."""
    keep: int
    """Newest checkpoints that stay."""
    finished: list[dict[str, Any]] = field(default_factory=list)
    """Results of the stages before."""

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, schedule: Any, position: TrainerState) -> None:
        """Save the stage as it is now; metrics and weights of other steps are not touched."""
        optimizer_tensors, optimizer_values = pack_optimizer(optimizer)
        random_tensors, random_values = pack_random()
        state = {
            "stage": self.number,
            "first_step": self.first_step,
            "finished": self.finished,
            "trainer": _plain(position),
            "optimizer": optimizer_values,
            "schedule": json.loads(json.dumps(schedule.state_dict())),
            "random": random_values,
        }
        tensors = {**parameters_named(model, self.learned), **optimizer_tensors, **random_tensors}
        self.run.save_checkpoint(self.first_step + position.global_step, tensors, state, keep=self.keep)
        self.forget_best(keep_step=position.best_global_step)

    def save_end(self, model: nn.Module, steps: int, result: dict[str, Any]) -> None:
        """Save that the stage is done; the next one starts from here."""
        state = {"stage": self.number + 1, "first_step": self.first_step + steps, "finished": [*self.finished, result]}
        self.run.save_checkpoint(self.first_step + steps, parameters_named(model, self.learned), state, keep=self.keep)
        self.forget_best(keep_step=None)

    def save_best(self, model: nn.Module, step: int) -> None:
        """Keep the weights of the best validation so far, after `step` steps of this stage."""
        # Older ones stay until the next checkpoint: a run resumed from the last one may need them.
        write_checkpoint(self._best, self.first_step + step, parameters_named(model, self.learned), {}, _ALL)

    def load_best(self, model: nn.Module, step: int) -> None:
        """Bring the model to the weights kept by `save_best`."""
        for path in checkpoint_paths(self._best):
            if checkpoint_step(path) == self.first_step + step:
                load_parameters(model, read_checkpoint(path).tensors)
                return
        raise RunFolderError(
            f"{self._best}: expected the weights of the best validation (step {self.first_step + step}), found none. "
            "Start a new run in another folder."
        )

    def forget_best(self, *, keep_step: int | None) -> None:
        """Remove kept weights other than those of `keep_step` of this stage."""
        kept = None if keep_step is None else self.first_step + keep_step
        for path in checkpoint_paths(self._best):
            if checkpoint_step(path) != kept:
                path.unlink()

    def forget_later(self, step: int) -> None:
        """Remove kept weights of steps of the run after `step`, which come again."""
        for path in checkpoint_paths(self._best):
            if checkpoint_step(path) > step:
                path.unlink()

    @property
    def _best(self) -> Path:
        return self.run.path / "best"


def parameters_named(model: nn.Module, names: Iterable[str]) -> dict[str, Tensor]:
    """Some parameters and buffers, under the names they have in a checkpoint."""
    wanted = set(names)
    return {f"{_MODEL}{name}": value for name, value in _named_tensors(model).items() if name in wanted}


def load_parameters(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Bring the parameters and buffers that a checkpoint holds to the values they have there.

    Raises:
        RunFolderError: the model has no such tensor, or one of another shape.
    """
    parameters = _named_tensors(model)
    with torch.no_grad():
        for full_name, value in tensors.items():
            if full_name.startswith(_MODEL):
                name = full_name.removeprefix(_MODEL)
                if name not in parameters or parameters[name].shape != value.shape:
                    found = tuple(parameters[name].shape) if name in parameters else "none"
                    raise RunFolderError(
                        f"Checkpoint: expected a model with {name} of shape {tuple(value.shape)}, found {found}. "
                        "Resume with the model the run was started with."
                    )
                parameters[name].copy_(value)


def _named_tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _plain(position: TrainerState) -> dict[str, Any]:
    # The history is in the metrics already, and would make each checkpoint longer than the last.
    return json.loads(json.dumps(dataclasses.asdict(position) | {"log_history": []}))
