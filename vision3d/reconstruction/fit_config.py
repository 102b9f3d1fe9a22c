"""Every setting of a fit, each with a one-line meaning; the command line is made from them.

Nothing heavy is imported here: the command line must start where an optional package is missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

import tyro

from vision3d.errors import InvalidInputError
from vision3d.reconstruction.densification.default import DefaultConfig
from vision3d.reconstruction.densification.mcmc import McmcConfig
from vision3d.reconstruction.splat_parameters import LearningRates


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """How Gaussians are fitted to photos."""

    steps: int = 3000
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
    """Size at the start, in root mean square distances to the three nearest neighbours."""
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
    random_background: float = 0.0
    """Share of the steps in which photos without alpha are fitted on random colours, so that no surface stays empty."""
    checkpoint_every: int = 1000
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        _check_numbers("FitConfig", asdict(self))
        counts = (self.steps, self.sh_every, self.initial_count, self.checkpoint_every)
        if min(counts) < 1 or not 0 <= self.sh_degree <= 3:
            raise InvalidInputError(
                "FitConfig: expected steps, sh_every, initial_count and checkpoint_every of at least 1 and sh_degree "
                f"0-3, found {', '.join(map(str, counts))} and {self.sh_degree}. Change them."
            )
        if not 0 < self.initial_opacity < 1 or self.initial_scale <= 0 or not 0 <= self.ssim_weight <= 1:
            raise InvalidInputError(
                "FitConfig: expected 0 < initial_opacity < 1, initial_scale > 0 and 0 <= ssim_weight <= 1, found "
                f"{self.initial_opacity}, {self.initial_scale} and {self.ssim_weight}. Change them."
            )
        shares = (*self.background, self.random_background)
        if not all(0 <= value <= 1 for value in shares) or not 0 <= self.seed < 2**32:
            raise InvalidInputError(
                f"FitConfig: expected background and random_background in 0-1 and 0 <= seed < 2^32, found "
                f"{self.background}, {self.random_background} and {self.seed}. Change them."
            )
        caps = {"mcmc": self.mcmc.gaussian_cap, "default": self.default.gaussian_cap}
        if self.initial_count > caps.get(self.densifier, self.initial_count):
            raise InvalidInputError(
                f"FitConfig: expected initial_count of at most the gaussian_cap of {self.densifier} "
                f"({caps[self.densifier]}), found {self.initial_count}. Lower the one or raise the other."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSceneConfig:
    """How a folder of photos becomes a scene."""

    max_side: int = 240
    """Longest side of the photos used, in pixels; larger photos are reduced."""
    test_every: int = 8
    """Hold out every n-th view for the report; 0 holds out none."""
    camera_format: Literal["auto", "transforms", "blender", "colmap"] = "auto"
    """Which camera file to read where a folder has several."""
    start: Literal["points", "random"] = "points"
    """Start from the scene's own points where it has some, or at random."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to fit; auto takes CUDA when there is one."""
    fit: Annotated[FitConfig, tyro.conf.arg(name="")] = field(default_factory=FitConfig)
    """Settings of the fit itself."""

    def __post_init__(self) -> None:
        if self.max_side < 1:
            raise InvalidInputError(
                f"FitSceneConfig: expected max_side of at least 1 pixel, found {self.max_side}. Raise it."
            )


def _check_numbers(place: str, values: Mapping[str, Any]) -> None:
    """Raise for a number that is NaN, infinite or negative; no setting of a fit may be."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            _check_numbers(f"{place}.{name}", value)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float) and not (math.isfinite(number) and number >= 0):
                raise InvalidInputError(
                    f"{place}.{name}: expected a finite number of at least 0, found {number}. Change it."
                )
