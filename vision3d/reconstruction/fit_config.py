"""`FitConfig`: every setting of a fit, each with a one-line meaning; the command line is made from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vision3d.errors import InvalidInputError
from vision3d.reconstruction.densification.default import DefaultConfig
from vision3d.reconstruction.densification.mcmc import McmcConfig
from vision3d.reconstruction.splat_parameters import LearningRates


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """How Gaussians are fitted to photos."""

    steps: int = 2500
    """Training steps, one view each."""
    seed: int = 0
    """Seed of every random choice."""
    sh_degree: int = 3
    """Degree of the spherical harmonics, 0-3."""
    sh_every: int = 500
    """Steps after which one more band of the harmonics is trained."""
    initial_count: int = 20_000
    """Gaussians at the start."""
    initial_opacity: float = 0.5
    """Opacity of each at the start."""
    initial_scale: float = 0.5
    """Size at the start, in mean distances to the three nearest neighbours."""
    densifier: Literal["mcmc", "default", "fixed"] = "mcmc"
    """How the set of Gaussians changes."""
    mcmc: McmcConfig = field(default_factory=McmcConfig)
    """Settings of `mcmc`."""
    default: DefaultConfig = field(default_factory=DefaultConfig)
    """Settings of `default`."""
    rates: LearningRates = field(default_factory=LearningRates)
    """Learning rates."""
    ssim_weight: float = 0.2
    """Share of D-SSIM in the loss; the rest is L1."""
    opacity_penalty: float = 0.01
    """Weight of the mean opacity, which lets MCMC find dead Gaussians."""
    scale_penalty: float = 0.01
    """Weight of the mean scale, in units of the scene scale."""
    antialiased: bool = False
    """Fit with the antialiased (Mip-Splatting 2D) filter; render with the same setting."""
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """RGB behind the scene in 0-1; photos with alpha are composited on white and fitted on white."""
    checkpoint_every: int = 1000
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.initial_count < 1 or not 0 <= self.sh_degree <= 3:
            raise InvalidInputError(
                f"FitConfig: expected steps >= 1, initial_count >= 1 and sh_degree 0-3, found {self.steps}, "
                f"{self.initial_count} and {self.sh_degree}."
            )
        if not 0 < self.initial_opacity < 1 or self.initial_scale <= 0 or not 0 <= self.ssim_weight <= 1:
            raise InvalidInputError(
                "FitConfig: expected 0 < initial_opacity < 1, initial_scale > 0 and 0 <= ssim_weight <= 1, found "
                f"{self.initial_opacity}, {self.initial_scale} and {self.ssim_weight}."
            )
