"""`learn_stage`: one stage of fine-tuning, from what learns to the folder it is saved in."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from torch.optim import Optimizer
from transformers import TrainingArguments

from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.connector.freeze_policy import PRESETS, FreezePolicy, apply_policy, check_optimizer
from vlm_bridge.errors import BackboneError
from vlm_bridge.finetune.adaptation import adapter_hints, let_adapter_learn
from vlm_bridge.finetune.batches import ConversationCollator
from vlm_bridge.finetune.config import FinetuneConfig, Stage
from vlm_bridge.finetune.learning_model import compute_activations_twice, learning, runs_in_bfloat16, word_matrices
from vlm_bridge.finetune.probing import MuonProbing
from vlm_bridge.finetune.run_metrics import RunMetrics
from vlm_bridge.finetune.saved_stage import save_adapted_stage, save_stage
from vlm_bridge.finetune.stage_checkpoints import StageCheckpoints, load_parameters
from vlm_bridge.finetune.stage_data import PreparedStage
from vlm_bridge.finetune.supervised_trainer import SupervisedTrainer
from vlm_bridge.optim.catalogue import make_optimizer
from vlm_bridge.optim.config import OptimizerConfig
from vlm_bridge.optim.parameter_roles import ParameterHints
from vlm_bridge.optim.probe_log import matrices_to_probe
from vlm_bridge.prompts.new_rows import check_no_decay
from vlm_bridge.runs.checkpoints import Checkpoint
from vlm_bridge.runs.run_folder import RunFolder
from vlm_bridge.runs.run_record import to_json_value

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """What a stage came to."""

    number: int
    """From 0."""
    policy: str
    """What learned."""
    steps: int
    """Optimiser steps done."""
    loss: float
    """Mean over the last steps that were logged."""
    validation_loss: float | None
    """Lowest of the stage; None without validation records."""
    best_step: int | None
    """Step of the stage with the lowest validation loss."""
    learned_numbers: int
    """Numbers in parameters that learned."""
    frozen_numbers: int
    """Numbers in those that did not."""
    dropped: int
    """Conversations left out because they are too long."""
    optimizer_bytes: int
    """What the optimiser remembered at the end."""
    folder: Path
    """The model as the stage ended; of a run with an adapter, the adapter and what learned beside it."""


def learn_stage(
    backbone: InternVLBackbone,
    stage: PreparedStage,
    config: FinetuneConfig,
    run: RunFolder,
    earlier: Sequence[StageResult],
    checkpoint: Checkpoint | None,
    *,
    adapter: Sequence[str] = (),
    progress: bool,
) -> StageResult:
    """Run `stage`, from `checkpoint` where one is given, and save what it came to in the run's folder.

    `earlier` are the results of the stages before. A checkpoint is one of this stage, or that of the end of the one
    before. `adapter` are the names of the tensors of the run's adapter.
    """
    model = backbone.model
    policy = PRESETS[stage.settings.policy]
    count = apply_policy(backbone.parts(), policy)
    beside = let_adapter_learn(model, adapter, stage.settings)
    rows = len(backbone.tokens.grounding)
    with learning(backbone, grounding_rows=stage.settings.new_rows) as matrices:
        checkpoints = StageCheckpoints(
            run=run,
            number=stage.number,
            first_step=sum(result.steps for result in earlier),
            learned=names_learned(backbone, config.stages[: stage.number + 1], adapter),
            keep=config.keep,
            finished=[to_json_value(result) for result in earlier],
        )
        if checkpoint is not None:
            load_parameters(model, checkpoint.tensors)
            checkpoints.forget_later(checkpoint.step)
        if config.gradient_checkpointing:
            compute_activations_twice(model)
        trainer = _trainer(backbone, stage, config, checkpoints, progress)
        hints = adapter_hints(model, adapter)

        def build() -> Optimizer:
            settings = _optimizer_config(config, stage.settings)
            optimizer = make_optimizer(model, config.optimizer, settings, without_decay=matrices, hints=hints)
            check_optimizer(optimizer, backbone.parts(), policy, also=[*beside, *matrices.values()])
            for matrix in matrices.values():
                check_no_decay(optimizer, matrix)
            return optimizer

        trainer.make_optimizer = build
        trainer.resting = _resting(backbone, policy, config, adapted=bool(beside))
        if config.probe_every:
            _probe(trainer, stage, config, hints)
        learned = count.learning + sum(value.numel() for value in beside)
        learned += sum(rows * matrix.shape[1] for matrix in matrices.values())
        trainer.metrics.learned = learned
        _log.info("Stage %s: %d numbers learn, %d do not", stage.name, learned, count.total - learned)
        steps = trainer.learn(checkpoint if checkpoint is not None and "trainer" in checkpoint.state else None)
        best_step, best_loss = trainer.state.best_global_step, trainer.state.best_metric
        if config.keep_best and best_step is not None and best_step != steps:
            checkpoints.load_best(model, best_step)
    result = StageResult(
        number=stage.number,
        policy=stage.settings.policy,
        steps=steps,
        loss=_last_loss(run),
        validation_loss=None if best_loss is None else float(best_loss),
        best_step=best_step,
        learned_numbers=learned,
        frozen_numbers=count.total - learned,
        dropped=stage.train.dropped,
        optimizer_bytes=trainer.metrics.optimizer_bytes(),
        folder=run.path / "stages" / stage.name,
    )
    if trainer.is_world_process_zero():
        if adapter:
            save_adapted_stage(model, result.folder, whole=set(checkpoints.learned) - set(adapter))
        else:
            save_stage(backbone, result.folder, connector=policy == PRESETS["connector_only"] and not matrices)
        checkpoints.save_end(model, steps, to_json_value(result))
    trainer.accelerator.wait_for_everyone()
    return result


def names_learned(backbone: InternVLBackbone, stages: Sequence[Stage], adapter: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the parameters that learn in one of these stages, with those of the run's adapter."""
    parts = backbone.parts()
    chosen: set[int] = set()
    for stage in stages:
        policy = PRESETS[stage.policy]
        for part in ("vision", "connector", "language"):
            if getattr(policy, part):
                chosen |= {id(value) for value in getattr(parts, part).parameters()}
        if stage.new_rows:
            chosen |= {id(value) for value in word_matrices(backbone.model).values()}
    names = set(adapter)
    return tuple(name for name, value in backbone.model.named_parameters() if id(value) in chosen or name in names)


def _trainer(
    backbone: InternVLBackbone,
    stage: PreparedStage,
    config: FinetuneConfig,
    checkpoints: StageCheckpoints,
    progress: bool,
) -> SupervisedTrainer:
    seed = (config.seed + stage.number) % 2**32
    metrics = RunMetrics(
        checkpoints.run,
        stage=stage.number,
        policy=stage.settings.policy,
        first_step=checkpoints.first_step,
        progress=progress,
    )
    validation = stage.validation
    trainer = SupervisedTrainer(
        backbone.model,
        _arguments(backbone, stage, config, checkpoints.run.path, seed),
        ConversationCollator(backbone, max_length=config.max_length, max_tiles=config.max_tiles),
        (stage.train.dataset, stage.train.order(config, seed)),
        None if validation is None else (validation.dataset, validation.order(config, seed)),
        checkpoints=checkpoints,
        metrics=metrics,
    )
    trainer.patience = config.patience
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        raise BackboneError(
            "Fine-tuning: expected one process, or several with whole copies of the model (DDP), found a sharded "
            "model (FSDP or DeepSpeed), whose checkpoints are not supported. Launch it with --multi_gpu."
        )
    return trainer


def _arguments(
    backbone: InternVLBackbone, stage: PreparedStage, config: FinetuneConfig, folder: Path, seed: int
) -> TrainingArguments:
    on_cpu = backbone.device.type == "cpu"
    validated = stage.validation is not None
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        num_train_epochs=stage.settings.epochs,
        max_steps=stage.settings.steps or -1,
        learning_rate=stage.settings.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=config.warmup_ratio,  # below 1 it is a share of all steps
        max_grad_norm=config.max_gradient_norm,
        bf16=runs_in_bfloat16(backbone.model, config.precision),
        use_cpu=on_cpu,
        logging_steps=config.log_every,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=config.save_every,
        eval_strategy="steps" if validated else "no",
        eval_steps=config.evaluate_every if validated else None,
        metric_for_best_model="eval_loss" if validated else None,
        greater_is_better=False if validated else None,
        dataloader_num_workers=config.workers,
        dataloader_pin_memory=False,  # batches are made on the device
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,
        seed=seed,
    )
    # Several visible GPUs without a launcher would split batches by rows, and tiles are no rows.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _optimizer_config(config: FinetuneConfig, stage: Stage) -> OptimizerConfig:
    return OptimizerConfig(
        learning_rate=stage.learning_rate,
        weight_decay=config.weight_decay,
        betas=config.betas,
        lion_betas=config.lion_betas,
        muon=config.muon,
        mlorc=config.mlorc,
    )


def _probe(trainer: SupervisedTrainer, stage: PreparedStage, config: FinetuneConfig, hints: ParameterHints) -> None:
    """Have curvature measured along the stage, of the batch that its order begins with."""
    numbers = list(stage.train.order(config, config.seed))[: config.batch_size]
    batch = [stage.train.dataset[number] for number in numbers]
    callback = MuonProbing(
        trainer.checkpoints.run.path,
        lambda: trainer.collator(batch),
        matrices_to_probe(trainer.model, config.probe_matrices, hints),
        every=config.probe_every,
        first_step=trainer.checkpoints.first_step,
    )
    trainer.add_callback(callback)


def _resting(
    backbone: InternVLBackbone, policy: FreezePolicy, config: FinetuneConfig, *, adapted: bool
) -> list[nn.Module]:
    """Frozen parts. A language model that gradients pass through keeps fewer activations in training mode only, and one
    whose adapter learns is in training mode as with PEFT."""
    parts = backbone.parts()
    resting = [] if policy.vision else [parts.vision]
    resting += [] if policy.connector else [parts.connector]
    resting += [] if policy.language or adapted or config.gradient_checkpointing else [parts.language]
    return resting


def _last_loss(run: RunFolder) -> float:
    return next(float(line["loss"]) for line in reversed(run.metrics()) if "loss" in line)
