"""Standard 3DGS PLY files: read from any trainer, written in the order of the original Inria code.

Convention of the files (and of `GaussianScene`): one `vertex` row per Gaussian; `opacity` is a logit, `scale_*` are
natural logs, `rot_*` is w, x, y, z; `f_dc_*` is the constant SH coefficient of R, G, B and `f_rest_*` holds the others
channel by channel (all of R, then G, then B).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from vision3d.errors import SplatFileError
from vision3d.scene.compressed_ply import decode_compressed_ply, is_compressed_ply
from vision3d.scene.gaussian_scene import SH_COUNTS, GaussianScene
from vision3d.scene.output_file import output_file
from vision3d.scene.ply_layout import PlyElement, PlyLayout, gather_columns, read_ply_layout, read_rows
from vision3d.scene.quantisation import base_sh_from_colours

_POSITION = ["x", "y", "z"]
_SCALE = ["scale_0", "scale_1", "scale_2"]
_ROTATION = ["rot_0", "rot_1", "rot_2", "rot_3"]
_BASE_SH = ["f_dc_0", "f_dc_1", "f_dc_2"]
_RGB = ["red", "green", "blue"]
_BLOCK_ROWS = 1 << 15


def read_ply(path: str | Path) -> GaussianScene:
    """The Gaussians of a PLY file, standard or compressed (SuperSplat), whichever its header announces.

    Takes properties in any order, skips ones it does not know (normals, per-Gaussian labels of other tools), accepts
    float32 and float64, binary of both byte orders and ASCII. Files with `red green blue` instead of `f_dc_*`
    (`ns-export` in rgb mode) become SH degree 0.

    Raises:
        SplatFileError: no Gaussian PLY, cut, empty, or with a number of SH coefficients that fits no degree.

    Source: Kerbl et al. 2023, 3D Gaussian Splatting, `point_cloud.ply` of the authors' code.
    """
    layout = read_ply_layout(path)
    vertex = layout.element("vertex")
    if vertex is None or vertex.count == 0:
        found = "no vertex element" if vertex is None else "0 vertices"
        raise SplatFileError(f"{layout.path}: expected at least one Gaussian, found {found}. Export the scene again.")
    if is_compressed_ply(layout):
        return decode_compressed_ply(layout)
    return _read_standard(layout, vertex)


def write_ply(scene: GaussianScene, path: str | Path) -> None:
    """Write `scene` as float32 PLY in Inria order with zero normals, which every viewer reads.

    float32 values come back bit by bit. The file appears whole or not at all.

    Raises:
        SplatFileError: the file cannot be written.
    """
    fields = {
        "means": scene.means,
        "sh": scene.sh.transpose(1, 2),
        "opacity_logits": scene.opacity_logits,
        "log_scales": scene.log_scales,
        "quats": scene.quats,
    }
    arrays = {name: values.detach().cpu().numpy() for name, values in fields.items()}
    rest_count = scene.sh.shape[1] - 1
    rest_names = [f"f_rest_{index}" for index in range(3 * rest_count)]
    names = [*_POSITION, "nx", "ny", "nz", *_BASE_SH, *rest_names, "opacity", *_SCALE, *_ROTATION]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(scene)}"]
    header += [f"property float {name}" for name in names] + ["end_header", ""]
    with output_file(path) as file:
        file.write("\n".join(header).encode())
        for start in range(0, len(scene), _BLOCK_ROWS):
            block = {name: values[start : start + _BLOCK_ROWS] for name, values in arrays.items()}
            rows = len(block["means"])
            parts = [
                block["means"],
                np.zeros((rows, 3), np.float32),
                block["sh"][:, :, 0],
                block["sh"][:, :, 1:].reshape(rows, 3 * rest_count),
                block["opacity_logits"][:, None],
                block["log_scales"],
                block["quats"],
            ]
            file.write(np.concatenate(parts, axis=1).astype("<f4", copy=False).tobytes())


def _read_standard(layout: PlyLayout, vertex: PlyElement) -> GaussianScene:
    present = set(vertex.property_names)
    _check_gaussian_fields(layout.path, present)
    has_sh = set(_BASE_SH) <= present
    colour_names = _sh_names(layout.path, present) if has_sh else _RGB
    rows = read_rows(layout, "vertex")
    columns = gather_columns(
        rows,
        {"means": _POSITION, "colour": colour_names, "opacity": ["opacity"], "scale": _SCALE, "rotation": _ROTATION},
    )
    colour = columns["colour"]
    if not has_sh:
        divisor = 255.0 if rows.dtype["red"].kind in "ui" else 1.0
        colour = base_sh_from_colours(colour / divisor)
    return GaussianScene(
        means=torch.from_numpy(columns["means"]),
        quats=torch.from_numpy(columns["rotation"]),
        log_scales=torch.from_numpy(columns["scale"]),
        opacity_logits=torch.from_numpy(columns["opacity"][:, 0]),
        sh=torch.from_numpy(colour.reshape(len(rows), -1, 3)),
    )


def _check_gaussian_fields(path: Path, present: set[str]) -> None:
    geometry = {"opacity", *_SCALE, *_ROTATION}
    if set(_POSITION) <= present and not geometry & present:
        raise SplatFileError(
            f"{path}: expected a Gaussian scene (opacity, scale_*, rot_*), found a plain point cloud or mesh with "
            f"{sorted(present)[:8]}. Fit Gaussians to its photos first, or give it as the starting points of a fit."
        )
    missing = sorted((geometry | set(_POSITION)) - present)
    if not (set(_BASE_SH) <= present or set(_RGB) <= present):
        missing.append("f_dc_0..2 (or red, green, blue)")
    if missing:
        raise SplatFileError(
            f"{path}: expected the properties of 3D Gaussians, found none of: {', '.join(missing)}. "
            "Export the scene as a standard 3DGS PLY."
        )


def _sh_names(path: Path, present: set[str]) -> list[str]:
    """Property names with the coefficient slow and the channel fast, as `GaussianScene.sh` lays them out."""
    found = sorted(name for name in present if name.startswith("f_rest_"))
    rest_count, remainder = divmod(len(found), 3)
    expected = {f"f_rest_{index}" for index in range(len(found))}
    if remainder or rest_count + 1 not in SH_COUNTS or expected != set(found):
        raise SplatFileError(
            f"{path}: expected 0, 9, 24 or 45 properties f_rest_0.. (SH degree 0-3), found {len(found)}"
            f"{'' if expected == set(found) else ' with gaps in their numbers'}. Export with SH degree 3 or less."
        )
    names = list(_BASE_SH)
    for coefficient in range(rest_count):
        names += [f"f_rest_{channel * rest_count + coefficient}" for channel in range(3)]
    return names
