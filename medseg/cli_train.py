"""`medseg train`: a MedSeg-R-style model learns from dialogues with masks. Research use only; not a medical device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

if TYPE_CHECKING:
    from medseg.training.config import MedSegTrainConfig

Output = Annotated[Path, tyro.conf.arg(aliases=["-o", "--out"], metavar="FOLDER")]
Stages = Literal["grounding", "adapter", "language", "all", "staged"]


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a model on MedSeg-QA records; the same command with --resume goes on where it was interrupted.

    The trained model is in FOLDER/model, for `medseg segment --segmenter medsegr`.
    """

    records: tyro.conf.Positional[tuple[Path, ...]]
    """Files of records (JSON Lines) to learn from; check them with `medseg validate`."""
    output: Output
    """Run folder."""
    model: Annotated[str, tyro.conf.arg(metavar="FOLDER")]
    """Folder of a trained model to go on from; or of a backbone (or its name in `vlm-bridge list`), which then gets a
    mask decoder: that of --decoder-weights, or a new one of the embedded shape."""
    decoder_weights: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Checkpoint of SAM or MedSAM (.pth or .safetensors) to be the mask decoder of a backbone."""
    preprocessing: Literal["sam", "medsam"] | None = None
    """How pictures are prepared for it; by default as its file name tells."""
    validation: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE ...")] = ()
    """Records of other patients to validate on; records of the split `validation` are, too."""
    stages: Stages = "grounding"
    """What learns: grounding alone; with an adapter of the language model; with language model and connector whole;
    everything; staged: first grounding, then with an adapter."""
    epochs: int | None = None
    """Times each answer is seen in a stage; by default as the stages have it."""
    steps: int | None = None
    """Optimiser steps of a stage, instead of --epochs."""
    learning_rate: float | None = None
    """Of the grounding; by default as the stages have it."""
    backbone_rate: float | None = None
    """Of what learns in the backbone; by default as the stages have it."""
    freeze_encoder: bool = False
    """Keep the picture encoder of the mask decoder as it is."""
    adapter: str = "lora"
    """Method of `vlm-bridge list`, for stages with an adapter."""
    rank: int | None = None
    """Of the adapter."""
    adapter_settings: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...")] = ()
    """Others of its settings, as lora_alpha=64."""
    batch_size: int = 8
    """Answers of one pass."""
    accumulation: int = 1
    """Passes of one optimiser step."""
    max_tiles: int | None = None
    """Most tiles of a picture for the language model."""
    gradient_checkpointing: bool = False
    """Less memory for the backbone, about a third more time."""
    fine_labels: Annotated[tuple[str, ...], tyro.conf.arg(metavar="LABEL ...")] = ()
    """Targets that are learned in windows at twice the resolution, beside those whose masks are thin or small."""
    evaluate_every: int = 200
    """Steps between validations."""
    save_every: int = 200
    """Steps between checkpoints."""
    workers: int = 0
    """Processes that read pictures and masks."""
    seed: int = 0
    """Of order, windows, dropout and a new adapter."""
    device: str = "auto"
    """cpu, cuda or cuda:N."""
    resume: bool = False
    """Go on with the run in the folder."""


def run_train(command: Train, *, progress: bool) -> str:
    """Train; gives back the lines to print."""
    from medseg.study.result import RESEARCH_USE
    from medseg.training.train import start_from, train_medseg_from_files

    started = start_from(
        command.model,
        device=command.device,
        decoder_weights=command.decoder_weights,
        preprocessing=command.preprocessing,
    )
    result = train_medseg_from_files(
        started,
        command.records,
        train_config(command),
        command.output,
        validation=command.validation,
        resume=command.resume,
        progress=progress,
    )
    lines = []
    for stage in result.stages:
        dice = "" if stage.validation_dice is None else f", validation Dice {stage.validation_dice:.3f}"
        lines.append(f"stage {stage.number}: {stage.steps} steps, loss {stage.loss:.4g}{dice}")
    if result.dropped:
        lines.append(f"{result.dropped} answers were left out: their dialogues are too long")
    lines.append(f"the model is in {result.model}. {RESEARCH_USE}")
    return "\n".join(lines)


def train_config(command: Train) -> MedSegTrainConfig:
    """The settings of a run that a command asks for."""
    from medseg.training.config import STAGE_PRESETS, MedSegTrainConfig

    changes: dict[str, Any] = {
        name: value
        for name in ("epochs", "steps", "learning_rate", "backbone_rate")
        if (value := getattr(command, name)) is not None
    }
    if command.freeze_encoder:
        changes["grounding"] = "frozen_encoder"
    stages = tuple(replace(stage, **changes) for stage in STAGE_PRESETS[command.stages])
    adapted = any(stage.adapter_learns for stage in stages)
    return MedSegTrainConfig(
        stages=stages,
        adapter=command.adapter if adapted else None,
        rank=command.rank if adapted else None,
        adapter_settings=command.adapter_settings if adapted else (),
        batch_size=command.batch_size,
        accumulation=command.accumulation,
        max_tiles=command.max_tiles,
        gradient_checkpointing=command.gradient_checkpointing,
        fine_labels=command.fine_labels,
        evaluate_every=command.evaluate_every,
        save_every=command.save_every,
        workers=command.workers,
        seed=command.seed,
    )
