"""A run of `ns-train laga` on the ball scene, in this process, small enough to take seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.vision3d.laga.ball_files import BallFiles, ColourProposer
from tests.vision3d.laga.colour_words import ColourWords
from vision3d.laga.lift_objects import LiftConfig
from vision3d.laga.train_config import TrainLagaConfig
from vision3d.language.crops import CropSettings
from vision3d.masks.catalogue import PROPOSERS
from vision3d.reconstruction.densification.mcmc import McmcConfig
from vision3d.reconstruction.fit_config import FitConfig

STEPS = 24
OBJECTS = TrainLagaConfig(
    lift=LiftConfig(grouping="mask_graph"), crops=CropSettings(background="black", minimum_pixels=10)
)
FIT = FitConfig(
    initial_count=300, sh_degree=1, sh_every=8, mcmc=McmcConfig(gaussian_cap=330, every=5), random_background=0.5
)


def know_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the proposer be found as `colours`, and every name of an encoder mean colour words."""
    monkeypatch.setitem(PROPOSERS, "colours", ("plain colours", lambda weights: ColourProposer()))
    for module in ("decomposition", "ask_panel"):
        monkeypatch.setattr(
            f"vision3d.nerfstudio_plugin.{module}.load_encoder", lambda name, device="cpu": ColourWords()
        )


def small_config(files: BallFiles, out: Path, *, steps: int = STEPS, **model: Any) -> Any:
    """The method's configuration for the ball scene, written to its run folder as `ns-train` does."""
    from vision3d.nerfstudio_plugin.decomposition import DecompositionConfig
    from vision3d.nerfstudio_plugin.method import method_config

    config = method_config(cuda=False)
    config.pipeline.datamanager.data = files.data
    config.pipeline.model.fit = FIT
    config.pipeline.model.objects = DecompositionConfig(masks="colours", encoder="colour words", laga=OBJECTS)
    for name, value in model.items():
        setattr(config.pipeline.model, name, value)
    config.output_dir, config.max_num_iterations, config.vis = out, steps, "tensorboard"
    config.set_timestamp()
    config.save_config()
    return config


def train(config: Any) -> Any:
    """A trainer after its last step."""
    from nerfstudio.utils import writer

    writer.GLOBAL_BUFFER.pop("step", None)  # as in a new process
    trainer = config.setup()
    trainer.setup()
    trainer.config.viewer.quit_on_train_completion = True
    trainer.train()
    return trainer
