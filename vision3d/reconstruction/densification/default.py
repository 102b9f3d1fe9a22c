"""Gradient-driven densification by gsplat's `DefaultStrategy` (clone, split, prune), with a working opacity reset."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.reconstruction.densification.densifier import DensifyStep
from vision3d.reconstruction.splat_parameters import Optimisers, Parameters
from vision3d.rendering.gsplat_door import make_default_strategy

_KEPT = ("grad2d", "count", "radii")


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultConfig:
    """Settings of gradient-driven densification; steps are fractions of the whole fit."""

    start: float = 0.1
    """Share of the steps before the first change."""
    stop: float = 0.6
    """Share of the steps after which nothing changes any more."""
    every: int = 100
    """Steps between changes."""
    reset_every: int = 3000
    """Steps between resets of all opacities to twice the pruning threshold."""
    grow_gradient: float = 2e-4
    """Mean 2D positional gradient (normalised image units) above which a Gaussian is cloned or split."""
    opacity_min: float = 0.005
    """Gaussians below this opacity are removed."""
    gaussian_cap: int = 200_000
    """Growth stops once the scene has this many Gaussians."""

    def __post_init__(self) -> None:
        if self.gaussian_cap < 1 or self.every < 1 or self.reset_every < 1:
            raise InvalidInputError(
                f"DefaultConfig: expected gaussian_cap, every and reset_every of at least 1, found "
                f"{self.gaussian_cap}, {self.every} and {self.reset_every}. Raise them."
            )
        if not 0 <= self.start <= self.stop <= 1 or not 0 < self.opacity_min < 0.5:
            raise InvalidInputError(
                f"DefaultConfig: expected 0 <= start <= stop <= 1 and 0 < opacity_min < 0.5, found {self.start}, "
                f"{self.stop} and {self.opacity_min}. Change them."
            )


class DefaultDensifier:
    """Clone, split and prune by the mean 2D gradient, as 3DGS does."""

    needs_means2d_gradient = True

    def __init__(self, config: DefaultConfig, *, steps: int, scene_scale: float, seed: int = 0) -> None:
        self._config = config
        self._seed = seed
        self._stop = int(config.stop * steps)
        self._start = int(config.start * steps)
        self._strategy = make_default_strategy(
            refine_start_iter=self._start,
            refine_stop_iter=self._stop,
            refine_every=config.every,
            grow_grad2d=config.grow_gradient,
            prune_opa=config.opacity_min,
        )
        self._state = self._strategy.initialize_state(scene_scale=scene_scale)

    def after_backward(self, parameters: Parameters, optimisers: Optimisers, at: DensifyStep) -> None:
        """Gather gradients; every few steps clone, split and prune."""
        full = len(parameters["means"]) >= self._config.gaussian_cap
        self._strategy.grow_grad2d = float("inf") if full else self._config.grow_gradient
        radii = at.projection.radii
        info = {
            "means2d": at.projection.means2d,
            # one radius (1.4) or one per axis (1.5): both strategies read this shape
            "radii": radii if self._reads_two_radii() else radii.amax(-1),
            "width": at.width,
            "height": at.height,
            "n_cameras": radii.shape[0],
            "gaussian_ids": None,
        }
        # gsplat draws the places of split Gaussians from the global generator: seeded here by the step, so that a
        # resumed fit repeats them, and put back afterwards
        devices = [radii.device] if radii.is_cuda else []
        with torch.random.fork_rng(devices, enabled=at.step % self._config.every == 0):
            if at.step % self._config.every == 0:
                torch.manual_seed(self._seed * 1_000_003 + at.step)
            # gsplat 1.4 resets opacities at step 0 whatever its settings; nothing else tells steps 0 and 1 apart
            self._strategy.step_post_backward(parameters, optimisers, self._state, max(at.step, 1), info)
        resets = 0 < at.step < self._stop and at.step % self._config.reset_every == 0
        if resets:
            _reset_opacities(parameters, optimisers, 2 * self._config.opacity_min)

    def after_step(self, parameters: Parameters, optimisers: Optimisers, at: DensifyStep) -> None:
        """Nothing to do after the optimisers stepped."""

    def state(self) -> dict[str, Tensor]:
        """Gathered gradients and counts."""
        return {name: self._state[name] for name in _KEPT if isinstance(self._state.get(name), Tensor)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back gathered gradients and counts."""
        self._state.update(state)

    def _reads_two_radii(self) -> bool:
        from vision3d.rendering.gsplat_door import gsplat_version

        return not str(gsplat_version()).startswith(("0.", "1.0", "1.1", "1.2", "1.3", "1.4"))


@torch.no_grad()
def _reset_opacities(parameters: Parameters, optimisers: Optimisers, opacity: float) -> None:
    ceiling = torch.logit(torch.tensor(opacity)).item()
    parameters["opacities"].data.clamp_(max=ceiling)
    for state in optimisers["opacities"].state.values():
        state["exp_avg"].zero_()
        state["exp_avg_sq"].zero_()
