"""The `Densifier` protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from vision3d.reconstruction.splat_parameters import Optimisers, Parameters
from vision3d.rendering.renderer import Projection


@dataclass(frozen=True, slots=True, kw_only=True)
class DensifyStep:
    """Where the fit stands after one backward pass."""

    step: int
    """Number of the step, from 0."""
    means_rate: float
    """Present learning rate of the means, world units."""
    projection: Projection
    """The rendered splats; `means2d.grad` is filled."""
    width: int
    """Image width in pixels."""
    height: int
    """Image height in pixels."""


@runtime_checkable
class Densifier(Protocol):
    """Changes the Gaussians between steps. `parameters` and `optimisers` are changed in place."""

    needs_means2d_gradient: bool
    """Whether `projection.means2d` must retain its gradient."""

    def after_backward(self, parameters: Parameters, optimisers: Optimisers, at: DensifyStep) -> None:
        """Called after backward and before the optimisers step."""
        ...

    def after_step(self, parameters: Parameters, optimisers: Optimisers, at: DensifyStep) -> None:
        """Called after the optimisers stepped."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Running tensors to keep in a checkpoint."""
        ...

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` gave."""
        ...
