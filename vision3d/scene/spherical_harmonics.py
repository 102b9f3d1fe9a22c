"""Real spherical harmonics of degree 0-3 in the sign convention of 3DGS files, and how they turn with the world.

Coefficient order inside band l is m = -l..l. Colour = 0.5 + sum over k of sh[k] x basis[k](direction), the direction
running from the camera to the Gaussian.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.scene.gaussian_scene import SH_C0, SH_COUNTS

_PROBES = 64
"""Directions used to solve for the rotation of a band; any well-spread set larger than the band does."""


def sh_basis(directions: Float[Tensor, "*row 3"], degree: int) -> Float[Tensor, "*row coefficient"]:
    """Values of the (degree + 1)^2 basis functions at unit `directions`.

    Raises:
        InvalidInputError: a degree outside 0-3.

    Source: Sloan 2008, Stupid Spherical Harmonics Tricks, appendix A2; signs as in 3DGS.
    """
    if degree not in SH_COUNTS.values():
        raise InvalidInputError(f"sh_basis: expected a degree of 0, 1, 2 or 3, found {degree}.")
    x, y, z = directions.unbind(-1)
    bands = [[torch.full_like(x, SH_C0)]]
    if degree >= 1:
        first = math.sqrt(3 / (4 * math.pi))
        bands.append([-first * y, first * z, -first * x])
    if degree >= 2:
        second = math.sqrt(15 / (4 * math.pi))
        zonal = math.sqrt(5 / (16 * math.pi)) * (3 * z * z - 1)
        bands.append([second * x * y, -second * y * z, zonal, -second * x * z, second / 2 * (x * x - y * y)])
    if degree >= 3:
        outer, middle = math.sqrt(35 / (32 * math.pi)), math.sqrt(105 / (4 * math.pi))
        inner, zonal = math.sqrt(21 / (32 * math.pi)) * (5 * z * z - 1), math.sqrt(7 / (16 * math.pi)) * (5 * z * z - 3)
        bands.append(
            [
                -outer * y * (3 * x * x - y * y),
                middle * x * y * z,
                -inner * y,
                zonal * z,
                -inner * x,
                middle / 2 * z * (x * x - y * y),
                -outer * x * (x * x - 3 * y * y),
            ]
        )
    return torch.stack([function for band in bands for function in band], dim=-1)


def rotate_sh(
    sh: Float[Tensor, "gaussian coefficient 3"], rotation: Float[Tensor, "3 3"]
) -> Float[Tensor, "gaussian coefficient 3"]:
    """Coefficients after the world is turned: the colour seen along `rotation @ d` is the one seen along d before."""
    directions = _spread_directions(_PROBES).to(sh.device)
    turn = rotation.to(device=sh.device, dtype=torch.float64)
    degree = SH_COUNTS[sh.shape[1]]
    before, after = sh_basis(directions, degree), sh_basis(directions @ turn.T, degree)
    bands = [sh[:, :1]]
    for band in range(1, degree + 1):
        columns = slice(band * band, (band + 1) * (band + 1))
        # old(d) = new(turn d) for all probes: before @ old = after @ new
        matrix = torch.linalg.lstsq(after[:, columns], before[:, columns]).solution.to(sh.dtype)
        bands.append(torch.einsum("ij,gjc->gic", matrix, sh[:, columns]))
    return torch.cat(bands, dim=1)


def _spread_directions(count: int) -> Float[Tensor, "probe 3"]:
    """Unit directions on a Fibonacci spiral, nearly uniform over the sphere."""
    steps = torch.arange(count, dtype=torch.float64)
    z = 1 - (2 * steps + 1) / count
    angle = steps * math.pi * (3 - math.sqrt(5))
    radius = torch.sqrt(1 - z * z)
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle), z], dim=-1)
