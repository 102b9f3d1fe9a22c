"""Saving and restoring a fit in progress, through the run folder's safetensors checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Parameter

from vision3d.reconstruction.densification.densifier import Densifier
from vision3d.reconstruction.splat_parameters import LearningRates, Optimisers, Parameters, make_optimisers
from vlm_bridge.runs.run_folder import RunFolder

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitProgress:
    """A fit after `step` steps. Parameters and optimisers are changed in place as it goes on."""

    step: int
    """Steps done."""
    parameters: Parameters
    """Trainable values."""
    optimisers: Optimisers
    """One Adam per parameter."""
    densifier: dict[str, Tensor]
    """Running tensors of the densifier."""


def save_progress(run: RunFolder, progress: FitProgress, densifier: Densifier, step: int) -> None:
    """Write parameters, Adam moments and densifier state as one checkpoint."""
    tensors = {f"parameter.{name}": value.detach() for name, value in progress.parameters.items()}
    for name, optimiser in progress.optimisers.items():
        for state in optimiser.state.values():
            tensors |= {f"adam.{name}.{key}": state[key] for key in _MOMENTS if key in state}
    tensors |= {f"densifier.{name}": value for name, value in densifier.state().items()}
    run.save_checkpoint(step, {name: value.cpu().contiguous() for name, value in tensors.items()}, {})


def load_progress(run: RunFolder, rates: LearningRates, extent: float, device: torch.device) -> FitProgress | None:
    """The newest checkpoint of the run, or None where there is none."""
    found = run.latest_checkpoint()
    if found is None:
        return None
    tensors = {name: value.to(device) for name, value in found.tensors.items()}
    parameters = {
        name.removeprefix("parameter."): Parameter(value)
        for name, value in tensors.items()
        if name.startswith("parameter.")
    }
    optimisers = make_optimisers(parameters, rates, extent)
    for name, optimiser in optimisers.items():
        moments = {key: tensors[f"adam.{name}.{key}"] for key in _MOMENTS if f"adam.{name}.{key}" in tensors}
        if moments:
            optimiser.state[parameters[name]] = moments
    kept = {name.removeprefix("densifier."): v for name, v in tensors.items() if name.startswith("densifier.")}
    return FitProgress(step=found.step, parameters=parameters, optimisers=optimisers, densifier=kept)
