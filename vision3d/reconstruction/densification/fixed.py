"""No densification: the Gaussians of the start are kept."""

from __future__ import annotations

from torch import Tensor

from vision3d.reconstruction.densification.densifier import DensifyStep
from vision3d.reconstruction.splat_parameters import Optimisers, Parameters


class FixedDensifier:
    """Keeps the set as it is."""

    needs_means2d_gradient = False

    def after_backward(self, parameters: Parameters, optimisers: Optimisers, at: DensifyStep) -> None:
        """Nothing changes."""

    def after_step(self, parameters: Parameters, optimisers: Optimisers, at: DensifyStep) -> None:
        """Nothing changes."""

    def state(self) -> dict[str, Tensor]:
        """No running tensors."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Nothing to take back."""
