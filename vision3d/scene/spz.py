"""Niantic's `.spz`: about ten times smaller than PLY, read only.

The format stores right-up-back axes (x right, y up, z back), PLY files from trainers are right-down-front. The official
library turns one into the other on request, and so does this reader: by default the scene comes back in the axes its
PLY had, y and z negated, rotations and SH with them.

Source: nianticlabs/spz; quantisation as in its README.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.quantisation import opacity_logits_from_bytes
from vision3d.scene.spz_container import read_spz_attributes

_LOGGER = logging.getLogger(__name__)
_COLOUR_SCALE = 0.15
"""Base colours are stored as 0.5 + 0.15 x dc, wider than the visible range."""
_QUAT_SIGNS = np.array([1, 1, -1, -1], np.float32)
_SH_SIGNS = np.array([1, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], np.float32)
"""What a half turn about x (y and z negated) does to w, x, y, z and to the SH coefficients of degree 0-3."""


def read_spz(path: str | Path, *, axes: Literal["RDF", "RUB"] = "RDF") -> GaussianScene:
    """The Gaussians of an `.spz` file of version 2, 3 or 4.

    Args:
        path: the file.
        axes: `RDF` for the right-down-front axes of trainers' PLY files, `RUB` for the axes as stored.

    Raises:
        SplatFileError: missing, of another format or version, or cut.
        MissingDependencyError: version 4 without the package `zstandard`.
    """
    spz = read_spz_attributes(path)
    if spz.antialiased:
        _LOGGER.info("%s was trained with antialiasing; render it with RasterOptions(antialiased=True)", path)
    raw = spz.attributes
    means = _fixed_point(raw["positions"]) / float(1 << spz.fractional_bits)
    quats = _first_three(raw["rotations"]) if spz.version == 2 else _smallest_three(raw["rotations"])
    base = (raw["colours"] / 255.0 - 0.5)[:, None] / _COLOUR_SCALE
    rest = (raw["sh"].reshape(spz.count, -1, 3).astype(np.float32) - 128.0) / 128.0
    sh = np.concatenate([base, rest], axis=1).astype(np.float32)
    if axes == "RDF":
        means[:, 1:] *= -1
        quats *= _QUAT_SIGNS
        sh *= _SH_SIGNS[: sh.shape[1], None]
    return GaussianScene(
        means=torch.from_numpy(means.astype(np.float32)),
        quats=torch.from_numpy(quats),
        log_scales=torch.from_numpy((raw["scales"] / 16.0 - 10.0).astype(np.float32)),
        opacity_logits=torch.from_numpy(opacity_logits_from_bytes(raw["alphas"][:, 0])),
        sh=torch.from_numpy(sh),
    )


def _fixed_point(positions: np.ndarray) -> np.ndarray:
    """Signed 24-bit little-endian integers as float64 [gaussian 3]."""
    parts = positions.reshape(-1, 3, 3).astype(np.int64)
    values = parts[..., 0] | (parts[..., 1] << 8) | (parts[..., 2] << 16)
    return np.where(values >= 1 << 23, values - (1 << 24), values).astype(np.float64)


def _first_three(rotations: np.ndarray) -> np.ndarray:
    """Unit quaternions w, x, y, z from bytes of x, y, z; w is positive."""
    vector = rotations / 127.5 - 1.0
    w = np.sqrt(np.maximum(0.0, 1.0 - np.square(vector).sum(axis=1, keepdims=True)))
    return np.concatenate([w, vector], axis=1).astype(np.float32)


def _smallest_three(rotations: np.ndarray) -> np.ndarray:
    """Unit quaternions w, x, y, z from words: two bits say which of x, y, z, w is the largest.

    The other three follow in that order as a sign bit and nine bits each; the lowest ten bits hold the last.
    """
    words = np.ascontiguousarray(rotations).view("<u4")[:, 0].astype(np.int64)
    largest = words >> 30
    fields = np.stack([(words >> shift) & 1023 for shift in (20, 10, 0)], axis=1)
    small = np.where(fields >> 9, -1.0, 1.0) * (fields & 511) / 511.0 * np.sqrt(0.5)
    rebuilt = np.sqrt(np.maximum(0.0, 1.0 - np.square(small).sum(axis=1)))
    xyzw = np.empty((len(words), 4), np.float32)
    for component in range(4):
        rows = largest == component
        xyzw[rows, component] = rebuilt[rows]
        xyzw[np.ix_(rows, [other for other in range(4) if other != component])] = small[rows]
    return np.ascontiguousarray(xyzw[:, [3, 0, 1, 2]])
