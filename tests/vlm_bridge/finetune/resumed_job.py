"""A run of two stages that can be killed where a test says: `python -m ... FOLDER RESUME HOW STEP`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import vlm_bridge.runs.checkpoints as checkpoints
from tests.vlm_bridge.finetune.colours import COLOURS, QUESTION, answered, picture, quick, tiny_backbone
from vlm_bridge.finetune.config import FinetuneConfig, Stage
from vlm_bridge.finetune.finetune import FinetuneResult, finetune_backbone
from vlm_bridge.finetune.records import ConversationDataset
from vlm_bridge.finetune.stage_data import StageData

STEPS = (6, 5)
"""Optimiser steps of the two stages: two epochs of three (8 records by 3), and 5 that end within the second epoch."""


def settings() -> FinetuneConfig:
    return quick(
        Stage(policy="connector_only", epochs=2, learning_rate=1e-2),
        Stage(policy="sft_default", steps=STEPS[1], learning_rate=3e-3),
        batch_size=3,
        save_every=2,
        evaluate_every=2,
        log_every=3,  # not a divisor of save_every
        warmup_ratio=0.2,
        weight_decay=0.01,
    )


def run(folder: Path, *, resume: bool) -> tuple[FinetuneResult, dict[str, Tensor]]:
    """The result, and the weights the model has after."""
    backbone = tiny_backbone()
    for module in backbone.model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.2  # so that random numbers matter
    colours = [answered(QUESTION, colour * (1 + number % 3), picture(colour)) for number, colour in enumerate(COLOURS)]
    data = StageData(train=ConversationDataset(colours), validation=ConversationDataset(colours[:3]))
    result = finetune_backbone(backbone, data, settings(), folder, resume=resume, progress=False)
    return result, {name: value.detach().clone() for name, value in backbone.model.named_parameters()}


def stop_after_steps(count: int, stop: Callable[[], Any]) -> Callable[[], None]:
    """Call `stop` once so many optimiser steps were done from now on; gives back a function that ends this."""
    step, done = torch.optim.AdamW.step, []

    def counted(self: torch.optim.AdamW, *arguments: Any) -> Any:
        if len(done) == count:
            stop()
        done.append(1)
        return step(self, *arguments)

    torch.optim.AdamW.step = counted
    return lambda: setattr(torch.optim.AdamW, "step", step)


def stop_while_writing(step: int, stop: Callable[[], Any]) -> None:
    """Call `stop` when the checkpoint after `step` steps of the run is half written."""
    save = checkpoints.save_file

    def halfway(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
        save(tensors, path, metadata=metadata)
        if path.parent.name == "checkpoints" and f"step_{step:08d}" in path.name:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            stop()

    checkpoints.save_file = halfway


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    place, again, how, moment = sys.argv[1:]
    if how == "step":
        stop_after_steps(int(moment), _kill)
    else:
        stop_while_writing(int(moment), _kill)
    run(Path(place), resume=again == "resume")
