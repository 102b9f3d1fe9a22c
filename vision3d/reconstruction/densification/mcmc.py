"""MCMC densification: dead Gaussians move onto live ones, and noise explores where opacity is low. Runs anywhere.

Source: Kheradmand et al., "3D Gaussian Splatting as Markov Chain Monte Carlo" (2024), equations 8 and 9. Pure torch, so
that it needs no CUDA; the number of Gaussians grows by a fixed factor up to a cap.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.reconstruction.densification.densifier import DensifyStep
from vision3d.reconstruction.splat_parameters import Optimisers, Parameters, reindex, zero_moments
from vision3d.scene.rotations import quats_to_matrices

_COPIES_MAX = 51
_GATE_MIN = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class McmcConfig:
    """Settings of MCMC densification; steps are fractions of the whole fit."""

    gaussian_cap: int = 25_000
    """Most Gaussians the scene may have."""
    start: float = 0.05
    """Share of the steps before the first change."""
    stop: float = 0.85
    """Share of the steps after which nothing moves any more."""
    every: int = 100
    """Steps between changes."""
    growth: float = 1.05
    """Factor on the number of Gaussians at each change, until the cap."""
    opacity_min: float = 0.005
    """Gaussians below this opacity are dead."""
    noise_rate: float = 5e5
    """Size of the exploration noise, in units of the means' learning rate."""

    def __post_init__(self) -> None:
        if self.gaussian_cap < 1 or self.growth < 1 or self.every < 1:
            raise InvalidInputError(
                f"McmcConfig: expected gaussian_cap, growth and every of at least 1, found {self.gaussian_cap}, "
                f"{self.growth} and {self.every}. Raise them."
            )
        if not 0 <= self.start <= self.stop <= 1 or not 0 < self.opacity_min < 1:
            raise InvalidInputError(
                f"McmcConfig: expected 0 <= start <= stop <= 1 and 0 < opacity_min < 1, found {self.start}, "
                f"{self.stop} and {self.opacity_min}. Change them."
            )


class McmcDensifier:
    """Relocates dead Gaussians, grows the set, and adds exploration noise."""

    needs_means2d_gradient = False

    def __init__(self, config: McmcConfig, *, steps: int, seed: int) -> None:
        self._config = config
        self._first = int(config.start * steps)
        self._last = int(config.stop * steps)
        self._seed = seed

    def after_backward(self, parameters: Parameters, optimisers: Optimisers, at: DensifyStep) -> None:
        """Nothing to do before the optimisers step."""

    @torch.no_grad()
    def after_step(self, parameters: Parameters, optimisers: Optimisers, at: DensifyStep) -> None:
        """Relocate, grow and add noise; random numbers depend on seed and step alone, so a resumed fit repeats them."""
        if at.step >= self._last:
            return
        generator = torch.Generator(parameters["means"].device).manual_seed(self._seed * 1_000_003 + at.step)
        if at.step >= self._first and at.step % self._config.every == 0:
            self._relocate(parameters, optimisers, generator)
            self._grow(parameters, optimisers, generator)
        if self._config.noise_rate > 0:
            add_position_noise(parameters, at.means_rate * self._config.noise_rate, generator)

    def state(self) -> dict[str, Tensor]:
        """No running tensors."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Nothing to take back."""

    def _relocate(self, parameters: Parameters, optimisers: Optimisers, generator: torch.Generator) -> None:
        opacities = torch.sigmoid(parameters["opacities"])
        dead = torch.nonzero(opacities <= self._config.opacity_min)[:, 0]
        alive = torch.nonzero(opacities > self._config.opacity_min)[:, 0]
        if len(dead) == 0 or len(alive) == 0:
            return
        drawn = torch.multinomial(opacities[alive], len(dead), replacement=True, generator=generator)
        sources = alive[drawn]
        self._share_out(parameters, sources)
        for parameter in parameters.values():
            parameter.data[dead] = parameter.data[sources]
        zero_moments(optimisers, torch.cat([sources, dead]))

    def _grow(self, parameters: Parameters, optimisers: Optimisers, generator: torch.Generator) -> None:
        count = len(parameters["means"])
        extra = min(self._config.gaussian_cap, int(self._config.growth * count)) - count
        if extra <= 0:
            return
        opacities = torch.sigmoid(parameters["opacities"])
        sources = torch.multinomial(opacities, extra, replacement=True, generator=generator)
        self._share_out(parameters, sources)
        reindex(
            parameters,
            optimisers,
            values=lambda _, old: torch.cat([old, old[sources]]),
            moments=lambda old: torch.cat([old, old.new_zeros(extra, *old.shape[1:])]),
        )

    def _share_out(self, parameters: Parameters, sources: Int[Tensor, " copy"]) -> None:
        """Lower opacity and scale of the sources, so that source and copies together look as the source did."""
        unique, copies = torch.unique(sources, return_counts=True)
        opacities, scales = relocation(
            torch.sigmoid(parameters["opacities"].data[unique]),
            torch.exp(parameters["scales"].data[unique]),
            copies + 1,
        )
        floor, ceiling = self._config.opacity_min, 1.0 - torch.finfo(torch.float32).eps
        parameters["opacities"].data[unique] = torch.logit(opacities.clamp(floor, ceiling))
        parameters["scales"].data[unique] = torch.log(scales)


def relocation(
    opacities: Float[Tensor, " gaussian"], scales: Float[Tensor, "gaussian 3"], counts: Int[Tensor, " gaussian"]
) -> tuple[Float[Tensor, " gaussian"], Float[Tensor, "gaussian 3"]]:
    """Opacity and scale that each of `counts` Gaussians needs to replace one of the given opacity and scale.

    Opacity: 1 - (1 - o)^(1/n). Scale: o / sum_{i=1..n} sum_{k<i} C(i-1, k) (-1)^k o'^(k+1) / sqrt(k+1) times the old
    one, which keeps the integral along a ray through the centre.

    Example:
        >>> new, scale = relocation(torch.tensor([0.75]), torch.ones(1, 3), torch.tensor([2]))
        >>> round(float(new), 6)
        0.5

    Source: Kheradmand et al. (2024), equation 9.
    """
    # all in float64: the terms of the series grow to 1e5 and cancel
    counts = counts.clamp(1, _COPIES_MAX).double()
    shared = 1.0 - (1.0 - opacities.double()) ** (1.0 / counts)
    terms = torch.arange(_COPIES_MAX, dtype=torch.float64, device=opacities.device)
    # sum over i of C(i-1, k) up to n is C(n, k+1)
    log_binomials = (
        torch.lgamma(counts[:, None] + 1.0)
        - torch.lgamma(terms + 2.0)
        - torch.lgamma((counts[:, None] - terms).clamp_min(1.0))
    )
    signs = 1.0 - 2.0 * (terms % 2)
    powers = torch.exp(log_binomials + torch.log(shared.clamp_min(1e-300))[:, None] * (terms + 1.0))
    series = (torch.where(terms < counts[:, None], powers, 0.0) * signs / torch.sqrt(terms + 1.0)).sum(1)
    factor = (opacities.double() / series.clamp_min(1e-12)).to(scales.dtype)
    return shared.to(opacities.dtype), scales * factor[:, None]


def add_position_noise(parameters: Parameters, size: float, generator: torch.Generator) -> None:
    """Move each centre by Gaussian noise shaped by its covariance, fading out as opacity rises above 0.005.

    Gaussians whose gate is below 1e-5 (opacity above 0.12) stay where they are.

    Source: Kheradmand et al. (2024), equation 8.
    """
    means = parameters["means"]
    opacities = torch.sigmoid(parameters["opacities"])
    gate = torch.sigmoid(100.0 * (0.005 - opacities))
    moving = torch.nonzero(gate > _GATE_MIN)[:, 0]
    rotations = quats_to_matrices(parameters["quats"].data[moving])
    scales = torch.exp(parameters["scales"].data[moving])
    noise = torch.randn(means.shape, generator=generator, device=means.device, dtype=means.dtype)[moving]
    noise = noise * (gate[moving] * size)[:, None]
    along_axes = (rotations.transpose(1, 2) @ noise[..., None])[..., 0] * scales**2
    means.data[moving] += (rotations @ along_axes[..., None])[..., 0]
