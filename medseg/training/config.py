"""`MedSegTrainConfig`: how a MedSeg-R-style model is trained, in stages; `STAGE_PRESETS`: stages by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medseg.errors import InvalidInputError
from medseg.training.losses import LossWeights
from vlm_bridge.connector.freeze_policy import PRESETS
from vlm_bridge.finetune.config import Stage
from vlm_bridge.optim.catalogue import optimizer_name

Grounding = Literal["all", "frozen_encoder", "nothing"]
"""What learns of decoder, projection and heads: everything, everything but the picture encoder, nothing."""
FREE_TO_CHANGE = ("save_every", "keep", "log_every", "workers")
"""Fields that may differ when a run is resumed: they change no weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MedSegStage:
    """One stage: what learns of the grounding and of the backbone, for how long and how fast."""

    grounding: Grounding = "all"
    """Of decoder, projection and heads."""
    policy: str = "nothing"
    """Name of the freeze policy: which of vision, connector and language learn whole."""
    adapter_learns: bool = False
    """Whether the run's adapter of the language model learns."""
    new_rows: bool = False
    """Where the language model is frozen: learn the embeddings of [SEG], <p> and </p> all the same."""
    epochs: int = 1
    """Times each answer is seen."""
    steps: int | None = None
    """Optimiser steps instead of `epochs`."""
    learning_rate: float = 3e-4
    """Of the grounding, highest, after the warm-up."""
    backbone_rate: float = 1e-4
    """Of what learns in the backbone; without weight decay."""

    def __post_init__(self) -> None:
        self.backbone_stage()  # checks policy, epochs, steps and rate
        if self.grounding not in ("all", "frozen_encoder", "nothing") or not 0 < self.learning_rate < 1:
            raise InvalidInputError(
                f"Stage: expected grounding all, frozen_encoder or nothing and 0 < learning_rate < 1, found "
                f"{self.grounding!r} and {self.learning_rate}. Change them."
            )
        if self.grounding == "nothing" and not self.backbone_learns:
            raise InvalidInputError(
                "Stage: expected something to learn, found nothing of grounding or backbone. Choose grounding, policy, "
                "adapter_learns or new_rows."
            )

    @property
    def backbone_learns(self) -> bool:
        """Whether gradients must reach the backbone."""
        return self.adapter_learns or self.new_rows or PRESETS[self.policy] != PRESETS["nothing"]

    def backbone_stage(self) -> Stage:
        """What the machinery of fine-tuning is told of the backbone."""
        return Stage(
            policy=self.policy, adapter_learns=self.adapter_learns, new_rows=self.new_rows, epochs=self.epochs,
            steps=self.steps, learning_rate=self.backbone_rate,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MedSegTrainConfig:
    """Settings of a run; those of a stage are in `MedSegStage`."""

    stages: tuple[MedSegStage, ...] = (MedSegStage(),)
    """One after the other; each starts from the weights the one before ended with."""
    weights: LossWeights = LossWeights()
    """Of the losses."""
    batch_size: int = 8
    """Answers of one pass."""
    accumulation: int = 1
    """Passes of one optimiser step."""
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    """Learning rate after the warm-up; the first two end at 0."""
    warmup_ratio: float = 0.03
    """Share of a stage's steps in which the learning rate rises from 0."""
    average: float = 0.999
    """Decay of the running average of what learns of the grounding; it is what is validated and kept. 0: none."""
    optimizer: str = "adamw"
    """Name of `vlm-bridge list`."""
    weight_decay: float = 0.01
    """Decoupled, of matrices of the grounding only."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Of AdamW."""
    max_gradient_norm: float = 1.0
    """Longer gradients are shortened to this norm; 0 leaves them."""
    adapter: str | None = None
    """Method of `vlm-bridge list` that adapts the linear layers of the language model, as `lora`."""
    rank: int | None = None
    """Of the adapter; None: as the method has it."""
    adapter_layers: tuple[str, ...] = ()
    """Last parts of the names of the layers to adapt; none: all linear layers but the head."""
    adapter_settings: tuple[str, ...] = ()
    """Other settings of the adapter's method, as NAME=VALUE (lora_alpha=64 lora_dropout=0.05)."""
    gradient_checkpointing: bool = False
    """Compute activations of the backbone twice rather than keep them."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the passes; losses and what learns are float32 either way."""
    max_length: int | None = 16_384
    """Most tokens of a dialogue with its picture; None: no limit. Nothing is ever cut."""
    too_long: Literal["refuse", "drop"] = "refuse"
    """What becomes of a longer dialogue; those that are dropped are counted in log and result."""
    max_tiles: int | None = None
    """Most tiles of a picture; None: as the backbone has it."""
    absent_probes: bool = True
    """From answers that say something is not there: learn that a [SEG] about it has presence 0 and an empty mask. The
    words of such a [SEG] are not taught."""
    fine_share: float = 0.35
    """A target counts as thin or small if less than this share of its mask is left when one pixel of the decoder's
    grid is taken off all around. 0: none does."""
    fine_labels: tuple[str, ...] = ()
    """Labels of targets that count as thin or small whatever their masks are like."""
    evaluate_every: int = 200
    """Steps between validations, where there are validation records; a stage also ends with one."""
    validation_answers: int = 200
    """Most answers of a validation, drawn by the seed once."""
    patience: int | None = None
    """A stage stops after so many validations without a higher Dice; None: never."""
    keep_best: bool = True
    """A stage with validation records ends with the weights of its highest validation Dice."""
    save_every: int = 200
    """Steps between checkpoints; a stage also ends with one."""
    keep: int = 2
    """Newest checkpoints that stay."""
    log_every: int = 10
    """Steps between lines of metrics."""
    workers: int = 0
    """Processes that read pictures and masks."""
    seed: int = 0
    """Of the order of the answers, of windows, of dropout and of a new adapter."""

    def __post_init__(self) -> None:
        optimizer_name(self.optimizer)
        counts = (
            "batch_size", "accumulation", "evaluate_every", "validation_answers", "save_every", "keep", "log_every",
        )  # fmt: skip
        low = [f"{name}={getattr(self, name)}" for name in counts if getattr(self, name) < 1]
        low += [f"workers={self.workers}"] * (self.workers < 0)
        low += [f"patience={self.patience}"] * (self.patience is not None and self.patience < 1)
        if not self.stages or low:
            raise InvalidInputError(
                f"Training: expected at least one stage and counts of 1 and more, found {len(self.stages)} stages and "
                f"{', '.join(low) or 'such counts'}. Change them."
            )
        shares = ("warmup_ratio", "average", "fine_share")
        wrong = [f"{name}={getattr(self, name)}" for name in shares if not 0 <= getattr(self, name) < 1]
        wrong += [f"weight_decay={self.weight_decay}"] * (self.weight_decay < 0)
        wrong += [f"max_gradient_norm={self.max_gradient_norm}"] * (self.max_gradient_norm < 0)
        wrong += [f"seed={self.seed}"] * (not 0 <= self.seed < 2**32)
        if wrong:
            raise InvalidInputError(
                "Training: expected shares of 0 to below 1, weight_decay and max_gradient_norm of 0 and more and a "
                f"seed of 0 to 2^32, found {', '.join(wrong)}. Change them."
            )
        self._check_adapter()

    def _check_adapter(self) -> None:
        learns = any(stage.adapter_learns for stage in self.stages)
        settings = self.rank or self.adapter_layers or self.adapter_settings
        if self.adapter is None and (learns or settings):
            raise InvalidInputError(
                "Training: expected the name of an adapter where one learns or has settings, found none. Name one "
                "(adapter='lora')."
            )
        whole = [number for number, stage in enumerate(self.stages) if PRESETS[stage.policy].language]
        if self.adapter is not None and (whole or not learns):
            raise InvalidInputError(
                f"Training: expected an adapter that learns in some stage, and a language model that learns whole in "
                f"none, found adapter_learns in {sum(stage.adapter_learns for stage in self.stages)} stages and a "
                f"whole language model in {len(whole)}. Choose one of the two ways."
            )


STAGE_PRESETS: dict[str, tuple[MedSegStage, ...]] = {
    "grounding": (MedSegStage(new_rows=True),),
    "adapter": (MedSegStage(adapter_learns=True, policy="connector_only"),),
    "language": (MedSegStage(policy="sft_default", backbone_rate=2e-5),),
    "all": (MedSegStage(policy="sft_all", backbone_rate=2e-5),),
    "staged": (MedSegStage(new_rows=True), MedSegStage(adapter_learns=True, policy="connector_only", epochs=3)),
}
"""Stages by name: grounding and the rows of its tokens alone; with an adapter of the language model; with the language
model and connector whole; with everything; first grounding alone, then with an adapter."""
