"""`LagaTrainer`: nerfstudio's trainer with vision3d's optimisers, and with steps counted over all runs.

nerfstudio trains a resumed run for as many steps again; here --max-num-iterations is the length of the whole fit, so a
run that was cut off ends where it would have ended. Splats that were given are not trained at all.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Literal

from nerfstudio.engine.optimizers import AdamOptimizerConfig, Optimizers
from nerfstudio.engine.trainer import Trainer, TrainerConfig
from nerfstudio.utils import writer

from vision3d.reconstruction.splat_parameters import make_optimisers

_EPSILON = 1e-15


class LagaTrainer(Trainer):
    """Trains, takes apart and shows one scene."""

    def __init__(self, config: TrainerConfig, *arguments: Any, **named: Any) -> None:
        """Let vision3d's messages reach the terminal, then start as nerfstudio does."""
        show_messages()
        super().__init__(config, *arguments, **named)
        self.total_steps = 0 if config.pipeline.model.start is not None else config.max_num_iterations

    def setup(self, test_mode: Literal["test", "val", "inference"] = "val") -> None:
        """Set up, then leave only the steps that are missing."""
        super().setup(test_mode)
        self.step = max(self._start_step - 1, 0)
        writer.GLOBAL_BUFFER["step"] = self.step  # read at the end even where no step was made
        self.config = replace(self.config, max_num_iterations=max(self.total_steps - self._start_step, 0))

    def setup_optimizers(self) -> Optimizers:
        """One Adam per parameter with the rates of the fit's configuration."""
        groups = self.pipeline.get_param_groups()
        model = self.pipeline.model
        optimisers = make_optimisers(model.parameters_of_splats, model.config.fit.rates, model.extent)
        known = {
            name: {"optimizer": AdamOptimizerConfig(lr=one.param_groups[0]["lr"], eps=_EPSILON), "scheduler": None}
            for name, one in optimisers.items()
        }
        wrapped = Optimizers(known, groups)
        wrapped.optimizers = dict(optimisers)
        return wrapped


def show_messages() -> None:
    """Print what vision3d logs, once."""
    logger = logging.getLogger("vision3d")
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler())
        logger.setLevel(logging.INFO)
        logger.propagate = False
