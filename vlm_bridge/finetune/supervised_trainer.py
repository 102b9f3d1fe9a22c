"""`SupervisedTrainer`: transformers' Trainer with our checkpoints, order of records and validation.

The loop, the schedule, accumulation, precision and several GPUs are the Trainer's. What differs: frozen parts rest in
evaluation mode, a checkpoint is one file that is not pickled, a loss that is not finite ends the run, and a position in
an epoch is found again by the records' order alone.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME

from vlm_bridge.errors import BackboneError
from vlm_bridge.finetune.batches import IGNORED, ConversationCollator, LengthBuckets
from vlm_bridge.finetune.records import ConversationDataset
from vlm_bridge.finetune.run_metrics import RunMetrics
from vlm_bridge.finetune.stage_checkpoints import StageCheckpoints
from vlm_bridge.finetune.training_state import unpack_optimizer, unpack_random
from vlm_bridge.runs.checkpoints import Checkpoint


class SupervisedTrainer(Trainer):
    """One stage of fine-tuning."""

    model: Any
    optimizer: Any
    lr_scheduler: Any

    def __init__(
        self,
        model: nn.Module,
        arguments: TrainingArguments,
        collator: ConversationCollator,
        train: tuple[ConversationDataset, LengthBuckets],
        validation: tuple[ConversationDataset, LengthBuckets] | None,
        *,
        checkpoints: StageCheckpoints,
        metrics: RunMetrics,
    ) -> None:
        """Records come with the order in which they are learned from."""
        super().__init__(
            model,
            arguments,
            data_collator=collator,
            train_dataset=train[0],
            eval_dataset=None if validation is None else validation[0],
            callbacks=[metrics, _SetEpoch(train[1])],
        )
        # Both write to the standard output; the bar and the lines of a run are those of `RunMetrics`.
        self.remove_callback(ProgressCallback)
        self.remove_callback(PrinterCallback)
        self.collator = collator
        self.train_order = train[1]
        self.validation_order = None if validation is None else validation[1]
        self.checkpoints = checkpoints
        self.metrics = metrics
        self.resting: Sequence[nn.Module] = ()
        """Modules that stay in evaluation mode."""
        self.make_optimizer: Callable[[], torch.optim.Optimizer] | None = None
        """Makes the optimiser; None: the Trainer's own AdamW."""
        self.patience: int | None = None
        """Validations without a lower loss after which the stage stops."""
        self._resumed: Checkpoint | None = None

    def learn(self, resumed: Checkpoint | None = None) -> int:
        """Run the stage, from a checkpoint of it where one is given; returns the steps done in all."""
        self._resumed = resumed
        if resumed is None:
            self.train()
            return self.state.global_step
        every = {"save_steps": self.args.save_steps, "logging_steps": self.args.logging_steps}
        with tempfile.TemporaryDirectory() as folder:
            text = json.dumps(resumed.state["trainer"] | every)
            Path(folder, TRAINER_STATE_NAME).write_text(text, encoding="utf-8")
            self.train(resume_from_checkpoint=folder)
        return self.state.global_step

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """One pass forth and back; a loss that is not finite ends the run before it reaches the weights."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise BackboneError(
                f"Fine-tuning: expected a finite loss, found {float(loss)} after {self.state.global_step} steps of the "
                "stage. Lower the learning rate, or resume from the last checkpoint with precision='float32'."
            )
        return loss

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean cross-entropy of the answers' tokens, over all passes of an optimiser step."""
        for module in self.resting:
            module.eval()  # the Trainer has just put all of the model into training mode
        self.metrics.count(inputs["attention_mask"])
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Mean cross-entropy over all tokens of the validation's answers, and the share of them that is likeliest."""
        self.model.eval()
        sums = torch.zeros(3, dtype=torch.float64, device=self.args.device)
        with torch.no_grad(), self.compute_loss_context_manager():
            for batch in self.get_eval_dataloader(eval_dataset):
                inputs = self._prepare_inputs(batch)
                wanted = inputs["labels"][:, 1:]
                said = wanted != IGNORED
                output = self.model(**inputs)
                right = (output.logits[:, :-1].argmax(dim=-1) == wanted) & said
                sums += torch.stack([output.loss * said.sum(), right.sum(), said.sum()]).double()
        total: Any = self.accelerator.reduce(sums, "sum")
        loss, right, count = total.tolist()
        metrics = {
            f"{metric_key_prefix}_loss": loss / count,
            f"{metric_key_prefix}_token_accuracy": right / count,
        }
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The optimiser of the stage."""
        if self.optimizer is None and self.make_optimizer is not None:
            self.optimizer = self.make_optimizer()
            self.metrics.optimizer = self.optimizer
        return super().create_optimizer(model)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted: it walks through all parameters at every pass."""
        return 0

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return self.train_order

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        return self.validation_order

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        is_best = super()._determine_best_metric(metrics, trial)
        best_step = self.state.best_global_step or 0
        if is_best and self.args.should_save:
            self.checkpoints.save_best(self.model, self.state.global_step)
        elif self.patience is not None and not is_best:
            # From the steps alone, so that a resumed run stops where an unbroken one does.
            self.control.should_training_stop |= (
                self.state.global_step - best_step >= self.patience * self.state.eval_steps
            )
        return is_best

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        if self.args.should_save:
            self.checkpoints.save(self.model, self.optimizer, self.lr_scheduler, self.state)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """The weights are brought to the checkpoint before the stage begins."""

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if self._resumed is not None:
            unpack_optimizer(self.optimizer, self._resumed.tensors, self._resumed.state["optimizer"])
            self.lr_scheduler.load_state_dict(self._resumed.state["schedule"])

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if self._resumed is not None:
            unpack_random(self._resumed.tensors, self._resumed.state["random"])


class _SetEpoch(TrainerCallback):
    """Tells the order of the records which epoch begins; the Trainer's own way gets lost in nested samplers."""

    def __init__(self, order: LengthBuckets) -> None:
        self.order = order

    def on_epoch_begin(self, args: TrainingArguments, state: Any, control: Any, **kwargs: Any) -> None:
        steps = -(-len(kwargs["train_dataloader"]) // args.gradient_accumulation_steps)
        self.order.set_epoch(state.global_step // steps)
