"""SuperSplat's compressed PLY: Gaussians in chunks of 256, sixteen bytes each (plus SH bytes).

Each chunk states minimum and maximum of position, log scale and (in newer files) colour; the vertex words hold
fractions between them. Position and scale words are 11-10-11 bits for x, y, z from the top; the rotation word is two
bits naming the largest quaternion component and three times ten bits for the others; the colour word is 8-8-8-8 bits
for R, G, B and opacity. An optional `sh` element has one byte per higher coefficient, channel by channel.

Source: PlayCanvas, compressed PLY format of SuperSplat and splat-transform.
"""

from __future__ import annotations

import numpy as np
import torch

from vision3d.errors import SplatFileError
from vision3d.scene.gaussian_scene import SH_COUNTS, GaussianScene
from vision3d.scene.ply_layout import PlyLayout, gather_columns, read_rows
from vision3d.scene.quantisation import base_sh_from_colours, opacity_logits_from_bytes

_CHUNK_ROWS = 256
_SH_RANGE = 8.0
"""SH bytes span -4 to 4."""
_WORDS = ("packed_position", "packed_rotation", "packed_scale", "packed_color")


def is_compressed_ply(layout: PlyLayout) -> bool:
    """True where the header announces chunks and packed words."""
    vertex = layout.element("vertex")
    return layout.element("chunk") is not None and vertex is not None and "packed_position" in vertex.property_names


def decode_compressed_ply(layout: PlyLayout) -> GaussianScene:
    """The Gaussians of a compressed PLY, decoded to float32.

    Opacity bytes 0 and 255 become finite logits (see `opacity_logits_from_bytes`).

    Raises:
        SplatFileError: fields are missing, the chunks do not cover the Gaussians, or the file is cut.
    """
    chunks, words = read_rows(layout, "chunk"), read_rows(layout, "vertex")
    has_colour_bounds = "min_r" in (chunks.dtype.names or ())
    axes = {"position": ("x", "y", "z"), "scale": ("scale_x", "scale_y", "scale_z")}
    if has_colour_bounds:
        axes["colour"] = ("r", "g", "b")
    _check_fields(layout, chunks, words, axes)
    groups = {
        f"{end}_{name}": [f"{end}_{axis}" for axis in names] for name, names in axes.items() for end in ("min", "max")
    }
    bounds = gather_columns(chunks, groups)
    chunk_of = np.arange(len(words)) // _CHUNK_ROWS

    def between(name: str, fractions: np.ndarray) -> np.ndarray:
        low, high = bounds[f"min_{name}"][chunk_of], bounds[f"max_{name}"][chunk_of]
        return low * (1.0 - fractions) + high * fractions

    colours = _fractions(words["packed_color"], ((24, 8), (16, 8), (8, 8)))
    if has_colour_bounds:
        colours = between("colour", colours)
    base_sh = base_sh_from_colours(colours)[:, None]
    means = between("position", _fractions(words["packed_position"], ((21, 11), (11, 10), (0, 11))))
    log_scales = between("scale", _fractions(words["packed_scale"], ((21, 11), (11, 10), (0, 11))))
    return GaussianScene(
        means=torch.from_numpy(means.astype(np.float32)),
        quats=torch.from_numpy(_quaternions(words["packed_rotation"])),
        log_scales=torch.from_numpy(log_scales.astype(np.float32)),
        opacity_logits=torch.from_numpy(opacity_logits_from_bytes(words["packed_color"] & 255)),
        sh=torch.from_numpy(np.concatenate([base_sh, _higher_sh(layout, len(words))], axis=1)),
    )


def _check_fields(layout: PlyLayout, chunks: np.ndarray, words: np.ndarray, axes: dict[str, tuple[str, ...]]) -> None:
    wanted = {f"{end}_{axis}" for names in axes.values() for axis in names for end in ("min", "max")}
    missing = sorted(wanted - set(chunks.dtype.names or ())) + sorted(set(_WORDS) - set(words.dtype.names or ()))
    not_words = [
        name
        for name in _WORDS
        if name not in missing and words.dtype[name].kind + str(words.dtype[name].itemsize) != "u4"
    ]
    if missing or not_words:
        what = f"missing {', '.join(missing)}" if missing else f"{', '.join(not_words)} of another type than uint"
        raise SplatFileError(f"{layout.path}: expected the fields of a compressed PLY, found {what}. Export it again.")
    needed = -(-len(words) // _CHUNK_ROWS)
    if len(chunks) != needed:
        raise SplatFileError(
            f"{layout.path}: expected {needed} chunks of {_CHUNK_ROWS} for {len(words)} Gaussians, found "
            f"{len(chunks)}. The file is damaged; export it again."
        )


def _fractions(words: np.ndarray, fields: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Bit fields (shift, width) of each word as fractions of their largest value."""
    return np.stack([((words >> shift) & ((1 << width) - 1)) / ((1 << width) - 1) for shift, width in fields], axis=1)


def _quaternions(words: np.ndarray) -> np.ndarray:
    """Unit quaternions w, x, y, z; the largest component is rebuilt positive."""
    small = (_fractions(words, ((20, 10), (10, 10), (0, 10))) - 0.5) * np.sqrt(2.0)
    largest_value = np.sqrt(np.maximum(0.0, 1.0 - np.square(small).sum(axis=1)))
    largest = (words >> 30).astype(np.int64)
    quats = np.empty((len(words), 4), np.float32)
    for component in range(4):
        rows = largest == component
        quats[rows, component] = largest_value[rows]
        quats[np.ix_(rows, [other for other in range(4) if other != component])] = small[rows]
    return quats


def _higher_sh(layout: PlyLayout, count: int) -> np.ndarray:
    if layout.element("sh") is None:
        return np.empty((count, 0, 3), np.float32)
    rows = read_rows(layout, "sh")
    width = len(rows.dtype.names or ())
    names = [f"f_rest_{index}" for index in range(width)]
    if len(rows) != count or width % 3 or width // 3 + 1 not in SH_COUNTS or set(names) != set(rows.dtype.names or ()):
        raise SplatFileError(
            f"{layout.path}: expected {count} SH rows of 9, 24 or 45 bytes f_rest_0.., found {len(rows)} rows of "
            f"{width}. Export with SH degree 3 or less."
        )
    codes = gather_columns(rows, {"sh": names})["sh"]
    fractions = np.where(codes == 0, 0.0, np.where(codes == 255, 1.0, (codes + 0.5) / 256.0))
    values = ((fractions - 0.5) * _SH_RANGE).astype(np.float32)
    return np.ascontiguousarray(values.reshape(count, 3, width // 3).transpose(0, 2, 1))
