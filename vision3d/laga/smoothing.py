"""Smoothing of values on Gaussians by their nearest neighbours, the same at every scale and turn of the scene.

Source: LaGa's bilateral filter over 16 neighbours. It measures distances in scene units, so its result depends on the
arbitrary scale of a reconstruction; here they are measured in units of the scene's own neighbour distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vision3d.scene.gaussian_scene import SH_C0, GaussianScene
from vision3d.scene.neighbours import k_nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourWeights:
    """What does not depend on the values: who is near, and how near in space and colour."""

    rows: Int[Tensor, "gaussian neighbour"]
    """Nearest Gaussians, the Gaussian itself first."""
    weights: Float[Tensor, "gaussian neighbour"]
    """exp(-distance^2 / 2) in sigmas of space and colour, 1 for the Gaussian itself."""


def neighbour_weights(
    scene: GaussianScene, *, neighbours: int, sigma_space: float, sigma_colour: float
) -> NeighbourWeights:
    """Weights of each Gaussian's neighbours; `neighbours` counts the Gaussian itself."""
    count = len(scene)
    own = torch.arange(count)[:, None]
    distances, rows = torch.zeros(count, 0), torch.zeros(count, 0, dtype=torch.long)
    if neighbours > 1:
        distances, rows = k_nearest(scene.means.detach().cpu(), neighbours - 1)
    # the median makes one unit of what the scene's typical neighbourhood measures
    unit = float(distances[:, -1].median()) if distances.numel() else 1.0
    rows = torch.cat([own, rows], 1)
    distances = torch.cat([torch.zeros(count, 1), distances / max(unit, 1e-30)], 1)
    colour = (0.5 + SH_C0 * scene.sh[:, 0].detach().cpu()).clamp(0, 1)
    apart = (colour[rows] - colour[:, None]).square().sum(-1)
    weights = torch.exp(-distances.square() / (2 * sigma_space**2) - apart / (2 * sigma_colour**2))
    return NeighbourWeights(rows=rows, weights=weights)


def smooth(
    values: Float[Tensor, " gaussian"], near: NeighbourWeights, *, sigma_score: float
) -> Float[Tensor, " gaussian"]:
    """Mean of each Gaussian's and its neighbours' values, near ones of like value counting most."""
    around = values[near.rows]
    weights = near.weights * torch.exp(-(around - values[:, None]).square() / (2 * sigma_score**2))
    return (weights * around).sum(1) / weights.sum(1)
