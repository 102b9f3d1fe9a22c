"""The method `laga`: what the entry point `nerfstudio.method_configs` names.

Without a CUDA device the defaults are those of `vision3d fit`, minutes on a laptop; with one they are larger.
"""

from __future__ import annotations

import torch
from nerfstudio.configs.base_config import MachineConfig, ViewerConfig
from nerfstudio.engine.trainer import TrainerConfig
from nerfstudio.pipelines.base_pipeline import VanillaPipelineConfig
from nerfstudio.plugins.types import MethodSpecification

from vision3d.nerfstudio_plugin.laga_model import LagaModelConfig
from vision3d.nerfstudio_plugin.laga_trainer import LagaTrainer
from vision3d.nerfstudio_plugin.photo_datamanager import PhotoDatamanagerConfig
from vision3d.reconstruction.densification.mcmc import McmcConfig
from vision3d.reconstruction.fit_config import FitConfig


def method_config(*, cuda: bool) -> TrainerConfig:
    """The settings `ns-train laga` starts from."""
    steps, side, cap = (7_000, 800, 300_000) if cuda else (3_000, 240, 25_000)
    fit = FitConfig(steps=steps, initial_count=20_000, mcmc=McmcConfig(gaussian_cap=cap), random_background=0.5)
    return TrainerConfig(
        _target=LagaTrainer,
        method_name="laga",
        max_num_iterations=steps,
        steps_per_save=500,
        steps_per_eval_batch=0,
        steps_per_eval_image=500,
        steps_per_eval_all_images=steps,
        mixed_precision=False,
        machine=MachineConfig(device_type="cuda" if cuda else "cpu"),
        pipeline=VanillaPipelineConfig(
            datamanager=PhotoDatamanagerConfig(max_side=side, cache_images_type="uint8"),
            model=LagaModelConfig(fit=fit),
        ),
        optimizers={},
        viewer=ViewerConfig(max_num_display_images=64),
        vis="viewer",
    )


laga = MethodSpecification(
    config=method_config(cuda=torch.cuda.is_available()),
    description="Splats, objects and language: ask the scene in words, on CPU or CUDA (vision3d).",
)
"""The method, as `ns-train` finds it."""
