"""`GaussianScene`: a set of 3D Gaussians with spherical-harmonic colour.

Values are kept before activation, as every splat file stores them: scale = exp(log_scales),
opacity = sigmoid(opacity_logits), colour = max(SH(direction) + 0.5, 0). Quaternions are w, x, y, z and need not be
of unit length. Any re-indexing goes through `scene/selection.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from vision3d.errors import InvalidInputError

SH_COUNTS = {1: 0, 4: 1, 9: 2, 16: 3}
"""Number of spherical-harmonic coefficients per colour channel -> degree."""
SH_C0 = 0.28209479177387814
"""The constant basis function: colour = 0.5 + SH_C0 * sh[:, 0]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianScene:
    """3D Gaussians before activation.

    Example:
        >>> scene = GaussianScene(
        ...     means=torch.zeros(1, 3), quats=torch.tensor([[1.0, 0, 0, 0]]), log_scales=torch.zeros(1, 3),
        ...     opacity_logits=torch.zeros(1), sh=torch.zeros(1, 1, 3),
        ... )
        >>> len(scene), scene.sh_degree
        (1, 0)
    """

    means: Float[Tensor, "gaussian 3"]
    """Centres, world units."""
    quats: Float[Tensor, "gaussian 4"]
    """Rotations as w, x, y, z, any non-zero length."""
    log_scales: Float[Tensor, "gaussian 3"]
    """Natural log of the standard deviation along each local axis, world units."""
    opacity_logits: Float[Tensor, " gaussian"]
    """Opacity before the sigmoid."""
    sh: Float[Tensor, "gaussian coefficient 3"]
    """Spherical-harmonic coefficients of RGB; 1, 4, 9 or 16 of them (degree 0-3)."""

    def __post_init__(self) -> None:
        count = self.means.shape[0]
        wanted = {"means": (count, 3), "quats": (count, 4), "log_scales": (count, 3), "opacity_logits": (count,)}
        for name, shape in wanted.items():
            found = tuple(getattr(self, name).shape)
            if found != shape:
                raise InvalidInputError(
                    f"GaussianScene.{name}: expected shape {shape}, found {found}. Give one row per Gaussian."
                )
        if self.sh.ndim != 3 or self.sh.shape[::2] != (count, 3) or self.sh.shape[1] not in SH_COUNTS:
            raise InvalidInputError(
                f"GaussianScene.sh: expected shape ({count}, 1|4|9|16, 3), found {tuple(self.sh.shape)}. "
                "Spherical harmonics of degree 0-3 are supported."
            )

    def __len__(self) -> int:
        return int(self.means.shape[0])

    @property
    def sh_degree(self) -> int:
        """Degree of the spherical harmonics, 0-3."""
        return SH_COUNTS[self.sh.shape[1]]

    @property
    def device(self) -> torch.device:
        """The device the Gaussians live on."""
        return self.means.device

    @property
    def scales(self) -> Float[Tensor, "gaussian 3"]:
        """Standard deviations along the local axes, world units."""
        return torch.exp(self.log_scales)

    @property
    def opacities(self) -> Float[Tensor, " gaussian"]:
        """Opacities in 0-1."""
        return torch.sigmoid(self.opacity_logits)

    def to(self, device: torch.device | str) -> GaussianScene:
        """The same Gaussians on `device`."""
        return replace(
            self,
            means=self.means.to(device),
            quats=self.quats.to(device),
            log_scales=self.log_scales.to(device),
            opacity_logits=self.opacity_logits.to(device),
            sh=self.sh.to(device),
        )

    def detach(self) -> GaussianScene:
        """The same values without gradient history."""
        return replace(
            self,
            means=self.means.detach(),
            quats=self.quats.detach(),
            log_scales=self.log_scales.detach(),
            opacity_logits=self.opacity_logits.detach(),
            sh=self.sh.detach(),
        )


def check_finite(scene: GaussianScene, origin: str) -> None:
    """Raise when any value of `scene` is NaN or infinite; `origin` (a path) goes into the message.

    Infinite opacity logits are allowed: they mean exactly opaque or exactly transparent.

    Raises:
        InvalidInputError: names the field and counts the bad Gaussians.
    """
    for name in ("means", "quats", "log_scales", "opacity_logits", "sh"):
        values = getattr(scene, name).detach()[:, None].flatten(1)
        bad = torch.isnan(values).any(1) if name == "opacity_logits" else ~torch.isfinite(values).all(1)
        if bad.any():
            raise InvalidInputError(
                f"{origin}: expected finite values, found {int(bad.sum())} of {len(scene)} Gaussians with a bad "
                f"{name}. Remove these Gaussians in the tool that wrote the scene."
            )
