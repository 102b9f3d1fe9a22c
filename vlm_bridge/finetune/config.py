"""`FinetuneConfig`: how a backbone is fine-tuned, in stages; `FINETUNE_PRESETS`: settings that were published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vlm_bridge.connector.freeze_policy import PRESETS
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim.catalogue import optimizer_name
from vlm_bridge.optim.config import MuonConfig
from vlm_bridge.optim.mlorc import ADAMW_BETAS, LION_BETAS, MLorcConfig

FREE_TO_CHANGE = ("save_every", "keep", "log_every", "workers")
"""Fields that may differ when a run is resumed: they change no weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage: what learns, from what, for how long and how fast."""

    policy: str = "connector_only"
    """Name of the freeze policy: which of vision, connector and language learn."""
    records: tuple[Path, ...] = ()
    """Files of records of this stage alone; empty: those the run was given."""
    validation: tuple[Path, ...] = ()
    """Files of validation records of this stage alone; empty: those the run was given."""
    epochs: int = 1
    """Times each record is seen."""
    steps: int | None = None
    """Optimiser steps instead of `epochs`."""
    learning_rate: float = 1e-5
    """Highest learning rate, after the warm-up."""
    new_rows: bool = False
    """Where the language model is frozen: learn the embeddings of the tokens of grounded answers all the same, and of
    no other token."""
    adapter_learns: bool = True
    """Whether the run's adapter, where it has one, learns in this stage."""

    def __post_init__(self) -> None:
        if self.policy not in PRESETS:
            raise InvalidInputError(
                f"Stage: expected a policy among {', '.join(sorted(PRESETS))}, found {self.policy!r}. Choose one."
            )
        if self.epochs < 1 or (self.steps is not None and self.steps < 1) or not 0 < self.learning_rate < 1:
            raise InvalidInputError(
                f"Stage: expected epochs >= 1, steps >= 1 and 0 < learning_rate < 1, found {self.epochs}, "
                f"{self.steps} and {self.learning_rate}. Change them."
            )
        if self.new_rows and PRESETS[self.policy].language:
            raise InvalidInputError(
                f"Stage: expected new_rows with a policy that freezes the language model, found {self.policy!r}, under "
                "which every row learns. Leave new_rows out."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneConfig:
    """Settings of a fine-tuning run; those of a stage are in `Stage`."""

    stages: tuple[Stage, ...] = (Stage(),)
    """One after the other; each starts from the weights the one before ended with."""
    batch_size: int = 4
    """Conversations of one pass, on each GPU."""
    accumulation: int = 16
    """Passes of one optimiser step. The published batch of 64 is 4 x 16 on one GPU."""
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    """Learning rate after the warm-up; the first two end at 0."""
    warmup_ratio: float = 0.03
    """Share of a stage's steps in which the learning rate rises from 0."""
    adapter: str | None = None
    """Method of `vlm-bridge list` that adapts the linear layers of the language model, whose own weights stay as they
    are. It learns in all stages, beside what their policies name; no policy may let the language model itself learn."""
    rank: int | None = None
    """Of the adapter; None: as the method has it."""
    adapter_layers: tuple[str, ...] = ()
    """Last parts of the names of the layers to adapt (q_proj v_proj ...); none: all linear layers but the head."""
    adapt_connector: bool = False
    """Adapt the connector's linear layers too, under policies that freeze it."""
    adapter_settings: tuple[str, ...] = ()
    """Other settings of the adapter's method, as NAME=VALUE (lora_dropout=0.1 directions=8)."""
    optimizer: str = "adamw"
    """Name of `vlm-bridge list`."""
    weight_decay: float = 0.0
    """Decoupled, of matrices only."""
    betas: tuple[float, float] = ADAMW_BETAS
    """Of AdamW, and of its moments in MLorc."""
    lion_betas: tuple[float, float] = LION_BETAS
    """Of Lion: of the direction, and of the momentum."""
    muon: MuonConfig = MuonConfig()
    """Of Muon."""
    mlorc: MLorcConfig = MLorcConfig()
    """Of MLorc; its variant is that of the optimiser's name."""
    max_gradient_norm: float = 1.0
    """Longer gradients are shortened to this norm; 0 leaves them."""
    gradient_checkpointing: bool = False
    """Compute activations twice rather than keep them: less memory, about a third more time."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the passes: bfloat16 on a GPU that has it and for models stored so, else float32. What learns is kept in
    float32 either way."""
    max_length: int | None = 16_384
    """Most tokens of a conversation, its pictures included; None: no limit. Nothing is ever cut."""
    too_long: Literal["refuse", "drop"] = "refuse"
    """What becomes of a longer conversation; those that are dropped are counted in log and result."""
    max_tiles: int | None = None
    """Most tiles of a picture; None: as the backbone has it."""
    bucketing: bool = True
    """Batches of about equal length, for less padding; else plainly shuffled."""
    evaluate_every: int = 50
    """Steps between validations, where there are validation records; a stage also ends with one."""
    patience: int | None = None
    """A stage stops after so many validations without a lower loss; None: never."""
    keep_best: bool = True
    """A stage with validation records ends with the weights of its lowest validation loss."""
    save_every: int = 100
    """Steps between checkpoints; a stage also ends with one."""
    keep: int = 2
    """Newest checkpoints that stay."""
    log_every: int = 10
    """Steps between lines of metrics."""
    workers: int = 0
    """Processes that prepare batches; 0 or 1, and 0 on a GPU."""
    seed: int = 0
    """Of the order of the records, of dropout and of a new adapter."""
    probe_every: int = 0
    """Steps between measurements of curvature, see `vlm-bridge muon-probe`; 0: none. The model is loaded in float32
    for them."""
    probe_matrices: tuple[str, ...] = ()
    """Patterns of the names of the matrices to measure (*layers.0*q_proj*); none: four of them, first to last."""

    def __post_init__(self) -> None:
        self._check_numbers()
        optimizer_name(self.optimizer)
        if self.adapter is None and (self.rank or self.adapter_layers or self.adapt_connector or self.adapter_settings):
            raise InvalidInputError(
                "Fine-tuning: expected the name of an adapter with its settings, found settings alone. Name one, or "
                "leave them out."
            )
        for number, stage in enumerate(self.stages):
            self._check_learning(number, stage)

    def _check_learning(self, number: int, stage: Stage) -> None:
        policy, adapted = PRESETS[stage.policy], self.adapter is not None and stage.adapter_learns
        if policy == PRESETS["nothing"] and not stage.new_rows and not adapted:
            raise InvalidInputError(
                f"Stage {number}: expected something to learn, found {stage.policy!r}. Choose another policy, an "
                "adapter, or new_rows."
            )
        if self.adapter is not None and (policy.language or (policy.connector and self.adapt_connector)):
            part = "language model" if policy.language else "connector"
            raise InvalidInputError(
                f"Stage {number}: expected a {part} that learns either whole or by its adapter, found {stage.policy!r} "
                f"with the adapter {self.adapter!r}. Use a policy that freezes it (connector_only, nothing), or leave "
                "the adapter out."
            )

    def _check_numbers(self) -> None:
        counts = ("batch_size", "accumulation", "evaluate_every", "save_every", "keep", "log_every")
        found = {name: getattr(self, name) for name in counts}
        if not self.stages or min(found.values()) < 1:
            raise InvalidInputError(
                f"Fine-tuning: expected at least one stage and counts of 1 and more, found {len(self.stages)} stages "
                f"and {', '.join(f'{name}={value}' for name, value in found.items() if value < 1) or 'such counts'}. "
                "Change them."
            )
        if not 0 <= self.warmup_ratio < 1 or self.weight_decay < 0 or self.max_gradient_norm < 0:
            raise InvalidInputError(
                "Fine-tuning: expected 0 <= warmup_ratio < 1, weight_decay >= 0 and max_gradient_norm >= 0, found "
                f"{self.warmup_ratio}, {self.weight_decay} and {self.max_gradient_norm}. Change them."
            )
        if self.workers not in (0, 1) or not 0 <= self.seed < 2**32:
            raise InvalidInputError(
                f"Fine-tuning: expected workers 0 or 1 and 0 <= seed < 2^32, found {self.workers} and {self.seed}."
            )
        if self.probe_every < 0:
            raise InvalidInputError(f"Fine-tuning: expected probe_every >= 0, found {self.probe_every}. Change it.")
        if (self.patience is not None and self.patience < 1) or (self.max_length is not None and self.max_length < 2):
            raise InvalidInputError(
                f"Fine-tuning: expected patience >= 1 and max_length >= 2 or None, found {self.patience} and "
                f"{self.max_length}. Change them."
            )


FINETUNE_PRESETS = {
    "connector_only": FinetuneConfig(stages=(Stage(policy="connector_only", epochs=2, learning_rate=1e-5),)),
}
"""Settings by name. `connector_only` is the tuning after reinforcement learning of Skywork-R1V3 (arXiv:2507.06167,
section 5.2): 2 epochs, batch 64, 1e-5, cosine, warm-up 0.03, at most 16,384 tokens; it also stops early on validation
loss, for which no patience is given there, so `patience` is left to you."""
