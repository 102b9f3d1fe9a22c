"""The trainable form of a scene: a dict of parameters, one Adam optimiser each, re-indexed together.

Names and shapes follow gsplat's strategies: means, scales (log), quats, opacities (logit), sh0, shN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import Parameter

from vision3d.scene.gaussian_scene import GaussianScene

Parameters = dict[str, Parameter]
Optimisers = dict[str, torch.optim.Optimizer]


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningRates:
    """Adam learning rates per parameter (3DGS values; means in units of the scene scale)."""

    means: float = 1.6e-4
    """At the first step; decays exponentially to `means_final_factor` of it."""
    means_final_factor: float = 0.01
    """Last over first learning rate of the means."""
    scales: float = 5e-3
    """Log scales."""
    quats: float = 1e-3
    """Quaternions."""
    opacities: float = 5e-2
    """Opacity logits."""
    sh0: float = 2.5e-3
    """Constant colour."""
    shN: float = 1.25e-4
    """View-dependent colour."""


def parameters_of(scene: GaussianScene) -> Parameters:
    """Trainable copies of the scene's values."""
    return {
        "means": Parameter(scene.means.detach().clone()),
        "scales": Parameter(scene.log_scales.detach().clone()),
        "quats": Parameter(scene.quats.detach().clone()),
        "opacities": Parameter(scene.opacity_logits.detach().clone()),
        "sh0": Parameter(scene.sh[:, :1].detach().clone()),
        "shN": Parameter(scene.sh[:, 1:].detach().clone()),
    }


def scene_of(parameters: Parameters, *, sh_degree: int | None = None) -> GaussianScene:
    """The scene the parameters stand for, inside the autograd graph; bands above `sh_degree` are left out."""
    rest = parameters["shN"] if sh_degree is None else parameters["shN"][:, : (sh_degree + 1) ** 2 - 1]
    return GaussianScene(
        means=parameters["means"],
        quats=parameters["quats"],
        log_scales=parameters["scales"],
        opacity_logits=parameters["opacities"],
        sh=torch.cat([parameters["sh0"], rest], 1),
    )


def make_optimisers(parameters: Parameters, rates: LearningRates, scene_scale: float) -> Optimisers:
    """One Adam per parameter; `scene_scale` turns the means' rate into world units."""
    return {
        name: torch.optim.Adam(
            [parameter], lr=getattr(rates, name) * (scene_scale if name == "means" else 1.0), eps=1e-15, fused=True
        )
        for name, parameter in parameters.items()
    }


def reindex(
    parameters: Parameters,
    optimisers: Optimisers,
    *,
    values: Callable[[str, Tensor], Tensor],
    moments: Callable[[Tensor], Tensor],
) -> None:
    """Replace every parameter by `values(name, old)` and its Adam moments by `moments(old)`, in step."""
    for name in list(parameters):
        new = Parameter(values(name, parameters[name].detach()))
        old = parameters[name]
        parameters[name] = new
        if name not in optimisers:
            continue
        group = optimisers[name].param_groups[0]
        state = optimisers[name].state.pop(old, {})
        group["params"] = [new]
        for key, moment in state.items():
            state[key] = moments(moment) if key in ("exp_avg", "exp_avg_sq") else moment
        if state:
            optimisers[name].state[new] = state


def zero_moments(optimisers: Optimisers, rows: Int[Tensor, " row"]) -> None:
    """Forget the Adam moments of some Gaussians."""
    for optimiser in optimisers.values():
        for state in optimiser.state.values():
            for key in ("exp_avg", "exp_avg_sq"):
                if key in state:
                    state[key][rows] = 0.0
