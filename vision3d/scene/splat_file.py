"""antimatter15's `.splat`: 32 bytes per Gaussian, no header.

A row is position (3 float32), linear scale (3 float32), RGBA (4 bytes) and rotation w, x, y, z (4 bytes, value =
(byte - 128) / 128). Colours have no view dependence. Rows are kept in the order of the scene; web viewers show the
first rows first.

Source: antimatter15/splat, `convert.py`.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch

from vision3d.errors import SplatFileError
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.output_file import output_file
from vision3d.scene.quantisation import (
    base_sh_from_colours,
    bytes_from_opacity_logits,
    colour_bytes_from_base_sh,
    opacity_logits_from_bytes,
)

_LOGGER = logging.getLogger(__name__)
_ROW = np.dtype([("position", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("rotation", "u1", 4)])
_UNIT_TOLERANCE = 2.0 / 128.0
"""Four components, each off by up to one step of 1/128, change the length of a unit quaternion by at most this."""


def read_splat(path: str | Path) -> GaussianScene:
    """The Gaussians of a `.splat` file, SH degree 0.

    Rotations keep the length the bytes give (within 1/64 of one). Opacity bytes 0 and 255 become finite logits (see
    `opacity_logits_from_bytes`).

    Raises:
        SplatFileError: missing, empty, or not a whole number of rows.
    """
    file_path = Path(path)
    try:
        size = file_path.stat().st_size
        if size == 0 or size % _ROW.itemsize:
            raise SplatFileError(
                f"{file_path}: expected a positive multiple of {_ROW.itemsize} bytes (one row per Gaussian), found "
                f"{size} ({size % _ROW.itemsize} left over). The file is empty, cut or of another format; "
                "copy it again."
            )
        rows = np.fromfile(file_path, dtype=_ROW)
    except OSError as error:
        raise SplatFileError(
            f"{file_path}: expected a readable .splat file, found: {error}. Check the path."
        ) from error
    with np.errstate(divide="ignore", invalid="ignore"):
        log_scales = np.log(rows["scale"])
    return GaussianScene(
        means=torch.from_numpy(np.ascontiguousarray(rows["position"], np.float32)),
        quats=torch.from_numpy((rows["rotation"].astype(np.float32) - 128.0) / 128.0),
        log_scales=torch.from_numpy(log_scales.astype(np.float32)),
        opacity_logits=torch.from_numpy(opacity_logits_from_bytes(rows["rgba"][:, 3])),
        sh=torch.from_numpy(base_sh_from_colours(rows["rgba"][:, :3] / 255.0)[:, None]),
    )


def write_splat(scene: GaussianScene, path: str | Path) -> None:
    """Write `scene` as `.splat`. Lossy: colour, opacity and rotation become bytes, higher SH bands are dropped.

    Writing what `read_splat` returned gives the same bytes, except scales, which passed through a float32 logarithm
    (relative change below 1e-5).

    Raises:
        SplatFileError: the file cannot be written.
    """
    if scene.sh_degree > 0:
        _LOGGER.warning("%s: .splat has no view-dependent colour; SH bands 1-%d are dropped", path, scene.sh_degree)
    rows = np.empty(len(scene), _ROW)
    rows["position"] = scene.means.detach().cpu().numpy()
    rows["scale"] = np.exp(scene.log_scales.detach().cpu().numpy().astype(np.float64))
    rows["rgba"][:, :3] = colour_bytes_from_base_sh(scene.sh[:, 0].detach().cpu().numpy())
    rows["rgba"][:, 3] = bytes_from_opacity_logits(scene.opacity_logits.detach().cpu().numpy())
    rows["rotation"] = _rotation_bytes(scene.quats.detach().cpu().numpy().astype(np.float64))
    with output_file(path) as file:
        file.write(rows.tobytes())


def _rotation_bytes(quats: np.ndarray) -> np.ndarray:
    """Bytes of unit quaternions; one whose length is already within rounding of one is stored as it is."""
    length = np.linalg.norm(quats, axis=1, keepdims=True)
    unit = np.where(np.abs(length - 1.0) <= _UNIT_TOLERANCE, quats, quats / np.where(length == 0, 1.0, length))
    return np.clip(np.rint(unit * 128.0 + 128.0), 0, 255).astype(np.uint8)
