"""`learn_stage`: one stage of training, from what learns to the weights it ends with."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers import TrainerState, get_scheduler

from medseg.model import MedSegModel
from medseg.training.answer_batch import make_batch
from medseg.training.answer_items import AnswerItem, AnswerItems, ItemSettings, RunOrder
from medseg.training.answer_pass import answer_pass
from medseg.training.average import RunningAverage
from medseg.training.config import MedSegStage, MedSegTrainConfig
from medseg.training.decoder_views import decoder_grid
from medseg.training.held_out import HeldOutScores, score_held_out
from medseg.training.prepared_data import PreparedData
from medseg.training.stage_parts import (
    grounding_tensors,
    learned_names,
    let_grounding_learn,
    set_modes,
    stage_optimizer,
)
from vlm_bridge.connector.freeze_policy import PRESETS, apply_policy
from vlm_bridge.errors import BackboneError
from vlm_bridge.finetune.adaptation import let_adapter_learn
from vlm_bridge.finetune.batches import LengthBuckets
from vlm_bridge.finetune.learning_model import compute_activations_twice, learning, runs_in_bfloat16
from vlm_bridge.finetune.stage_checkpoints import StageCheckpoints, load_parameters
from vlm_bridge.finetune.training_state import unpack_optimizer, unpack_random
from vlm_bridge.runs.checkpoints import Checkpoint
from vlm_bridge.runs.run_folder import RunFolder
from vlm_bridge.runs.run_record import to_json_value
from vlm_bridge.runs.seeding import seed_everything

_log = logging.getLogger(__name__)
_AVERAGE = "average."


@dataclass(frozen=True, slots=True, kw_only=True)
class MedSegStageResult:
    """What a stage came to."""

    number: int
    """From 0."""
    steps: int
    """Optimiser steps done."""
    loss: float
    """Mean over the last steps that were logged."""
    validation_dice: float | None
    """Highest of the stage; None without validation records."""
    best_step: int | None
    """Step of the stage with the highest validation Dice."""
    learned_numbers: int
    """Numbers that learned."""


@dataclass(slots=True, kw_only=True)
class _Learning:
    """A stage while it runs."""

    model: MedSegModel
    stage: MedSegStage
    config: MedSegTrainConfig
    data: PreparedData
    run: RunFolder
    average: RunningAverage
    holder: nn.Module
    """Model and average, as checkpoints name their tensors."""
    checkpoints: StageCheckpoints
    optimizer: torch.optim.Optimizer
    schedule: Any
    position: TrainerState
    total: int
    """Steps of the stage."""
    sums: dict[str, Tensor] = field(default_factory=dict)
    answers: int = 0
    """Answers read since the last line of metrics."""
    logged: int = 0
    """Step of that line."""
    since: float = field(default_factory=time.perf_counter)

    def take_step(self, items: Iterator[list[AnswerItem]]) -> None:
        """One optimiser step over some passes."""
        for _ in range(self.config.accumulation):
            self._one_pass(next(items))
        norm = self.config.max_gradient_norm or math.inf
        values = [value for group in self.optimizer.param_groups for value in group["params"]]
        self._add("gradient_norm", torch.nn.utils.clip_grad_norm_(values, norm) * self.config.accumulation)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.position.global_step += 1
        self.average.take_in(self.position.global_step)

    def _one_pass(self, items: list[AnswerItem]) -> None:
        config, model = self.config, self.model
        batch = make_batch(
            model.backbone, items, seg_state=model.config.seg_state, max_length=config.max_length,
            max_tiles=config.max_tiles,
        )  # fmt: skip
        with _precision(model, config):
            loss, parts = answer_pass(
                model, batch, config.weights, backbone_learns=self.stage.backbone_learns,
                encoder_learns=self.stage.grounding == "all",
            )  # fmt: skip
        if not torch.isfinite(loss):
            raise BackboneError(
                f"Training: expected a finite loss, found {float(loss)} after {self.position.global_step} steps of the "
                "stage. Lower the learning rates, or resume from the last checkpoint with precision='float32'."
            )
        (loss / config.accumulation).backward()
        for name, value in {"loss": loss.detach(), **{f"{name}_loss": value for name, value in parts.items()}}.items():
            self._add(name, value)
        self.answers += len(items)

    def _add(self, name: str, value: Tensor) -> None:
        self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value

    def log(self) -> None:
        """Write what was summed since the last line."""
        if not self.answers:
            return
        steps = self.position.global_step - self.logged
        values = {name: float(value) / (steps * self.config.accumulation) for name, value in self.sums.items()}
        now = time.perf_counter()
        self.log_line(
            **values,
            learning_rate=float(self.schedule.get_last_lr()[0]),
            answers_per_second=self.answers / max(now - self.since, 1e-9),
        )
        self.sums, self.answers, self.since, self.logged = {}, 0, now, self.position.global_step

    def log_line(self, **values: float) -> None:
        """Write a line of metrics of this step."""
        step = self.checkpoints.first_step + self.position.global_step
        self.run.log_metrics(step, stage=self.checkpoints.number, **values)

    def validate(self) -> bool:
        """Score held-out answers with the average; whether the stage should stop."""
        answers = self.data.validation
        if not answers:
            return False
        set_modes_for_answers(self.model)
        with self.average.in_place(), _precision(self.model, self.config):
            scores = score_held_out(
                self.model, answers, batch_size=self.config.batch_size, max_tiles=self.config.max_tiles
            )
        set_modes(self.model, self.stage, checkpointed=self.config.gradient_checkpointing)
        self.log_line(**_named(scores))
        found, best = _comparable(scores), self.position.best_metric
        if best is None or found > best:
            self.position.best_metric, self.position.best_global_step = found, self.position.global_step
            self.checkpoints.save_best(self.holder, self.position.global_step)
        waited = self.position.global_step - (self.position.best_global_step or 0)
        return self.config.patience is not None and waited >= self.config.patience * self.config.evaluate_every

    def save(self) -> None:
        """Write a checkpoint."""
        self.checkpoints.save(self.holder, self.optimizer, self.schedule, self.position)


def learn_stage(
    model: MedSegModel,
    data: PreparedData,
    config: MedSegTrainConfig,
    run: RunFolder,
    earlier: Sequence[MedSegStageResult],
    checkpoint: Checkpoint | None,
    *,
    adapter: Sequence[str] = (),
    progress: bool,
) -> MedSegStageResult:
    """Run the stage after `earlier`, from `checkpoint` where one is given; the model ends with its average.

    A checkpoint is one of this stage, or that of the end of the one before.
    """
    stage = config.stages[len(earlier)]
    apply_policy(model.backbone.parts(), PRESETS[stage.policy])
    beside = let_adapter_learn(model.language, adapter, stage.backbone_stage())
    beside += let_grounding_learn(model, stage.grounding)
    seed_everything((config.seed + len(earlier)) % 2**32)
    with learning(model.backbone, grounding_rows=stage.new_rows) as matrices:
        if config.gradient_checkpointing:
            compute_activations_twice(model.language)
        optimizer = stage_optimizer(model, stage, config, adapter=adapter, beside=beside, matrices=matrices)
        job = _begin(model, data, config, run, earlier, optimizer, adapter)
        _resume(job, checkpoint)
        set_modes(model, stage, checkpointed=config.gradient_checkpointing)
        _run(job, progress)
        best = job.position.best_global_step
        if config.keep_best and best is not None and best != job.position.global_step:
            job.checkpoints.load_best(job.holder, best)
        job.average.put()
    held = sum(value.numel() for group in optimizer.param_groups for value in group["params"])
    result = MedSegStageResult(
        number=len(earlier),
        steps=job.position.global_step,
        loss=next(float(line["loss"]) for line in reversed(run.metrics()) if "loss" in line),
        validation_dice=job.position.best_metric,
        best_step=best,
        learned_numbers=held,
    )
    job.checkpoints.save_end(job.holder, job.position.global_step, to_json_value(result))
    return result


def load_learned(model: MedSegModel, tensors: dict[str, Tensor]) -> None:
    """Bring a model to what a checkpoint holds of it, without averages."""
    holder = nn.ModuleDict({"model": model})
    load_parameters(holder, {name: value for name, value in tensors.items() if f"/{_AVERAGE}" not in name})


def set_modes_for_answers(model: MedSegModel) -> None:
    """Everything in evaluation mode."""
    model.eval()
    model.language.eval()


def _begin(
    model: MedSegModel,
    data: PreparedData,
    config: MedSegTrainConfig,
    run: RunFolder,
    earlier: Sequence[MedSegStageResult],
    optimizer: torch.optim.Optimizer,
    adapter: Sequence[str],
) -> _Learning:
    stage = config.stages[len(earlier)]
    average = RunningAverage(grounding_tensors(model, stage.grounding), config.average)
    holder = nn.ModuleDict({"model": model, "average": average})
    names = learned_names(model, config.stages[: len(earlier) + 1], adapter)
    learned = [f"model.{name}" for name in sorted(names)]
    learned += [f"{_AVERAGE}{name}" for name, _ in average.named_buffers()]
    per_epoch = -(-len(data.train) // (config.batch_size * config.accumulation))
    total = stage.steps or stage.epochs * per_epoch
    schedule: Any = get_scheduler(
        config.schedule, optimizer, num_warmup_steps=math.ceil(config.warmup_ratio * total), num_training_steps=total
    )
    return _Learning(
        model=model, stage=stage, config=config, data=data, run=run, average=average, holder=holder,
        checkpoints=StageCheckpoints(
            run=run, number=len(earlier), first_step=sum(one.steps for one in earlier), learned=tuple(learned),
            keep=config.keep, finished=[to_json_value(one) for one in earlier],
        ),
        optimizer=optimizer, schedule=schedule, position=TrainerState(), total=total,
    )  # fmt: skip


def _resume(job: _Learning, checkpoint: Checkpoint | None) -> None:
    if checkpoint is None:
        return
    job.checkpoints.forget_later(checkpoint.step)
    if "trainer" not in checkpoint.state:  # the end of the stage before
        load_learned(job.model, checkpoint.tensors)
        job.average.restart()
        return
    load_parameters(job.holder, checkpoint.tensors)
    unpack_optimizer(job.optimizer, checkpoint.tensors, checkpoint.state["optimizer"])
    job.schedule.load_state_dict(checkpoint.state["schedule"])
    job.position = TrainerState(**checkpoint.state["trainer"])
    job.logged = job.position.global_step  # a line is written before each checkpoint
    unpack_random(checkpoint.tensors, checkpoint.state["random"])


def _run(job: _Learning, progress: bool) -> None:
    config, position = job.config, job.position
    items = _items(job)
    bar = tqdm(
        total=job.total, initial=position.global_step, desc=f"stage {job.checkpoints.number}", disable=not progress
    )
    stopped = _waited_enough(job)
    while position.global_step < job.total and not stopped:
        job.take_step(items)
        step = position.global_step
        saves, ends = step % config.save_every == 0, step == job.total
        if step % config.log_every == 0 or saves or ends:
            job.log()  # also where a checkpoint is saved, so that a resumed run logs the same lines
        if step % config.evaluate_every == 0 or ends:
            stopped = job.validate()
        if saves:
            job.save()
        bar.update(1)
    bar.close()


def _waited_enough(job: _Learning) -> bool:
    """Whether the checkpoint was saved when the stage was about to stop."""
    if job.config.patience is None or job.position.best_global_step is None:
        return False
    last = job.position.global_step // job.config.evaluate_every * job.config.evaluate_every
    return last - job.position.best_global_step >= job.config.patience * job.config.evaluate_every


def _items(job: _Learning) -> Iterator[list[AnswerItem]]:
    config, fit = job.config, job.model.decoder.fit
    seed = (config.seed + job.checkpoints.number) % 2**32
    settings = ItemSettings(
        fit=fit, grid=decoder_grid(job.model.decoder), seed=seed, fine_share=config.fine_share,
        fine_labels=config.fine_labels,
        earlier=job.model.config.earlier,
    )  # fmt: skip
    order = LengthBuckets(job.data.lengths, batch_size=config.batch_size, seed=seed)
    loader: DataLoader[Any] = DataLoader(
        AnswerItems(job.data.train, settings, job.data.vary),
        batch_sampler=RunOrder(order, first_pass=job.position.global_step * config.accumulation),
        collate_fn=list,
        num_workers=config.workers,
        generator=torch.Generator(),  # its own, so that the run's random state is left alone
    )
    return iter(loader)


def _precision(model: MedSegModel, config: MedSegTrainConfig) -> AbstractContextManager[Any]:
    device = model.backbone.device.type
    return torch.autocast(device, torch.bfloat16, enabled=runs_in_bfloat16(model.language, config.precision))


def _named(scores: HeldOutScores) -> dict[str, float]:
    return {f"validation_{name}": getattr(scores, name) for name in scores.__dataclass_fields__}


def _comparable(scores: HeldOutScores) -> float:
    """Dice, or, where the held-out answers mark nothing, minus the loss of their words."""
    return scores.dice if math.isfinite(scores.dice) else -scores.words_loss
