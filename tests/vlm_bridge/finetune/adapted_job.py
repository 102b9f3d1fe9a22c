"""A short run of any adapter with any optimiser, which can be stopped or killed: `python -m ... FOLDER STEP ADAPTER
OPTIMIZER`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.vlm_bridge.finetune.colours import COLOURS, QUESTION, answered, picture, quick, tiny_backbone
from vlm_bridge.finetune.config import FinetuneConfig, Stage
from vlm_bridge.finetune.finetune import FinetuneResult, finetune_backbone
from vlm_bridge.finetune.records import ConversationDataset
from vlm_bridge.finetune.stage_data import StageData
from vlm_bridge.finetune.supervised_trainer import SupervisedTrainer
from vlm_bridge.optim.mlorc import MLorcConfig

STEPS = 4


def settings(adapter: str | None, optimizer: str) -> FinetuneConfig:
    """Checkpoints after two and four steps; without an adapter the language model learns whole."""
    policy = "connector_only" if adapter else "sft_default"
    return quick(
        Stage(policy=policy, steps=STEPS, learning_rate=3e-3),
        batch_size=3,
        save_every=2,
        adapter=adapter,
        optimizer=optimizer,
        mlorc=MLorcConfig(rank=2),
        weight_decay=0.01,
    )


def data() -> StageData:
    """Two batches and a bit."""
    colours = [answered(QUESTION, colour, picture(colour)) for colour in COLOURS]
    return StageData(train=ConversationDataset(colours))


def run(folder: Path, adapter: str | None, optimizer: str, *, resume: bool) -> tuple[FinetuneResult, dict[str, Tensor]]:
    """The result, and everything the model holds after: adapters, buffers and weights."""
    backbone = tiny_backbone()
    for module in backbone.model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.2  # so that random numbers matter
    result = finetune_backbone(backbone, data(), settings(adapter, optimizer), folder, resume=resume, progress=False)
    return result, {name: value.detach().clone() for name, value in backbone.model.state_dict().items()}


def stop_at(step: int, stop: Callable[[], Any], patched: pytest.MonkeyPatch) -> None:
    """Call `stop` when so many optimiser steps of the run are done."""
    learn = SupervisedTrainer.training_step

    def stopping(self: SupervisedTrainer, *arguments: Any, **words: Any) -> Tensor:
        if self.state.global_step == step:
            stop()
        return learn(self, *arguments, **words)

    patched.setattr(SupervisedTrainer, "training_step", stopping)


def unbroken_and_resumed(folder: Path, adapter: str | None, optimizer: str) -> tuple[dict[str, Tensor], ...]:
    """What a run came to, and what it comes to again from its checkpoint after two steps; what it wrote later is
    there, as after a kill at its very end."""
    unbroken = run(folder, adapter, optimizer, resume=False)[1]
    (last,) = (path for path in (folder / "checkpoints").iterdir() if path.name == f"step_{STEPS:08d}.safetensors")
    last.unlink()
    torch.rand(7)  # a new process has another random state
    return unbroken, run(folder, adapter, optimizer, resume=True)[1]


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Bit for bit."""
    assert found.keys() == expected.keys()
    apart = {
        name: float((found[name] - value).abs().max())
        for name, value in expected.items()
        if not torch.equal(found[name], value)
    }
    assert not apart, f"{len(apart)} tensors differ, most by {max(apart.items(), key=lambda item: item[1])}"


if __name__ == "__main__":
    place, moment, asked, by = sys.argv[1:]
    stop_at(int(moment), lambda: os.kill(os.getpid(), signal.SIGKILL), pytest.MonkeyPatch())
    run(Path(place), asked, by, resume=False)
