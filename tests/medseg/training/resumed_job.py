"""A run of two stages that can be killed where a test says: `python -m ... FOLDER RESUME STEP`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medseg.training.config import MedSegStage, MedSegTrainConfig
from medseg.training.train import MedSegTrainResult, train_medseg
from tests.medseg.training.shapes import quick, tiny_medseg, write_shapes

STEPS = (4, 3)
"""Optimiser steps of the two stages."""


def settings() -> MedSegTrainConfig:
    """Grounding and the rows of its tokens, then an adapter and the connector beside it."""
    return quick(
        MedSegStage(steps=STEPS[0], learning_rate=3e-3, new_rows=True),
        MedSegStage(steps=STEPS[1], learning_rate=3e-3, adapter_learns=True, policy="connector_only"),
        batch_size=5,
        adapter="lora",
        rank=2,
        adapter_settings=("lora_dropout=0.2",),  # so that random numbers matter
        save_every=2,
        evaluate_every=2,
        log_every=3,  # not a divisor of save_every
        warmup_ratio=0.2,
        fine_labels=("small",),  # windows are drawn by chance
    )


def run(folder: Path, *, resume: bool) -> tuple[MedSegTrainResult, dict[str, Tensor]]:
    """The result, and the weights the model has after."""
    model = tiny_medseg()
    records = write_shapes(folder.parent / "data", 4)
    result = train_medseg(model, records[:3], settings(), folder, validation=records[3:], resume=resume, progress=False)
    return result, {name: value.detach().clone() for name, value in model.state_dict().items()}


def stop_after_steps(count: int, stop: Callable[[], Any]) -> Callable[[], None]:
    """Call `stop` once so many optimiser steps were done from now on; gives back a function that ends this."""
    step, done = torch.optim.AdamW.step, []

    def counted(self: torch.optim.AdamW, *arguments: Any) -> Any:
        if len(done) == count:
            stop()
        done.append(1)
        return step(self, *arguments)

    torch.optim.AdamW.step = counted  # type: ignore[method-assign]
    return lambda: setattr(torch.optim.AdamW, "step", step)


if __name__ == "__main__":
    place, again, moment = sys.argv[1:]
    stop_after_steps(int(moment), lambda: os.kill(os.getpid(), signal.SIGKILL))
    run(Path(place), resume=again == "resume")
