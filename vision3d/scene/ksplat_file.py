"""`.ksplat` of the GaussianSplats3D web viewer: a header, section headers, and rows in one of three compression levels.

A section holds rows of position, linear scale, rotation (w, x, y, z), RGBA bytes and harmonics up to degree 2. Level 0
keeps float32; level 1 keeps half floats and 16-bit positions inside cubes ("buckets") with their own centres; level 2
keeps harmonics as bytes as well. Harmonics lie channel by channel within each band.

Source: mkkellogg/GaussianSplats3D, `SplatBuffer.js` (version 0.1 of the format).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vision3d.errors import SplatFileError
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.quantisation import base_sh_from_colours, opacity_logits_from_bytes

_HEADER_BYTES = 4096
_SECTION_HEADER_BYTES = 1024
_FIELD_TYPES = (("<f4", "<f4", "<f4"), ("<u2", "<f2", "<f2"), ("<u2", "<f2", "u1"))
"""Per level: type of positions, of scales and rotations, of harmonics."""
_DEFAULT_RANGE = 32767
_DEFAULT_HARMONICS_MAX = 1.5
_BANDS = (3, 5)
"""Harmonics per channel in the bands 1 and 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    sections: int
    level: int
    harmonics_min: float
    harmonics_max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    used: int
    stored: int
    bucket_size: int
    buckets: int
    block_size: float
    bucket_bytes: int
    scale_range: int
    full_buckets: int
    partial_buckets: int
    degree: int


def read_ksplat(path: str | Path) -> GaussianScene:
    """The Gaussians of a `.ksplat` file, in the order of its sections; the highest degree of a section is kept.

    Raises:
        SplatFileError: missing, cut, of another version, or with counts that cannot be.
    """
    source = Path(path)
    try:
        content = source.read_bytes()
    except OSError as error:
        raise SplatFileError(f"{source}: expected a readable .ksplat file, found: {error}. Check the path.") from error
    header = _read_header(content, source)
    start = _HEADER_BYTES + header.sections * _SECTION_HEADER_BYTES
    _check_length(content, start, source)
    parts = []
    for number in range(header.sections):
        section = _read_section(content, number, source)
        scene, start = _read_rows(content, start, section, header, source)
        parts.append(scene)
    coefficients = max(part.sh.shape[1] for part in parts)
    sh = [torch.nn.functional.pad(part.sh, (0, 0, 0, coefficients - part.sh.shape[1])) for part in parts]
    return GaussianScene(
        means=torch.cat([part.means for part in parts]),
        quats=torch.cat([part.quats for part in parts]),
        log_scales=torch.cat([part.log_scales for part in parts]),
        opacity_logits=torch.cat([part.opacity_logits for part in parts]),
        sh=torch.cat(sh),
    )


def _read_header(content: bytes, source: Path) -> _Header:
    _check_length(content, _HEADER_BYTES, source)
    major, minor = content[0], content[1]
    words = np.frombuffer(content, "<u4", 5)
    level = int(np.frombuffer(content, "<u2", 1, 20)[0])
    low, high = (float(value) for value in np.frombuffer(content, "<f4", 2, 36))
    sections = int(words[1])
    if (major, minor) != (0, 1) or level >= len(_FIELD_TYPES) or sections < 1:
        raise SplatFileError(
            f"{source}: expected a .ksplat of version 0.1, compression 0-2 and at least one section, found version "
            f"{major}.{minor}, compression {level} and {sections} sections. Export it again, or as .ply."
        )
    return _Header(
        sections=sections,
        level=level,
        harmonics_min=low or -_DEFAULT_HARMONICS_MAX,
        harmonics_max=high or _DEFAULT_HARMONICS_MAX,
    )


def _read_section(content: bytes, number: int, source: Path) -> _Section:
    start = _HEADER_BYTES + number * _SECTION_HEADER_BYTES
    words = [int(word) for word in np.frombuffer(content, "<u4", 10, start)]
    used, stored, bucket_size, buckets = words[:4]
    section = _Section(
        used=used or stored,
        stored=stored,
        bucket_size=bucket_size,
        buckets=buckets,
        block_size=float(np.frombuffer(content, "<f4", 1, start + 16)[0]),
        bucket_bytes=int(np.frombuffer(content, "<u2", 1, start + 20)[0]),
        scale_range=words[6] or _DEFAULT_RANGE,
        full_buckets=words[8],
        partial_buckets=words[9],
        degree=int(np.frombuffer(content, "<u2", 1, start + 40)[0]),
    )
    if section.used > section.stored or section.degree > len(_BANDS):
        raise SplatFileError(
            f"{source}: expected at most as many rows as are stored and harmonics of degree 0-2 in section {number}, "
            f"found {section.used} of {section.stored} rows and degree {section.degree}. Export it again, or as .ply."
        )
    return section


def _read_rows(
    content: bytes, start: int, section: _Section, header: _Header, source: Path
) -> tuple[GaussianScene, int]:
    """The scene of one section that starts at byte `start`, and where the next one starts."""
    position, other, harmonic = _FIELD_TYPES[header.level]
    coefficients = 3 * sum(_BANDS[: section.degree])
    fields = [("position", position, 3), ("scale", other, 3), ("rotation", other, 4), ("rgba", "u1", 4)]
    row = np.dtype([*fields, ("sh", harmonic, (coefficients,))])
    lengths_end = start + 4 * section.partial_buckets
    rows_start = lengths_end + section.bucket_bytes * section.buckets
    end = rows_start + row.itemsize * section.stored
    _check_length(content, end, source)
    rows = np.frombuffer(content, row, section.used, rows_start)
    positions = rows["position"].astype(np.float64)
    if header.level > 0:
        lengths = np.frombuffer(content, "<u4", section.partial_buckets, start)
        centres = np.frombuffer(content, np.dtype((np.void, section.bucket_bytes or 1)), section.buckets, lengths_end)
        positions = _placed(positions, section, lengths, centres, source)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_scales = np.log(rows["scale"].astype(np.float32))
    harmonics = rows["sh"].astype(np.float32)
    if harmonic == "u1":
        harmonics = harmonics / 255.0 * (header.harmonics_max - header.harmonics_min) + header.harmonics_min
    base = base_sh_from_colours(rows["rgba"][:, :3] / 255.0)[:, None]
    scene = GaussianScene(
        means=torch.from_numpy(positions.astype(np.float32)),
        quats=torch.from_numpy(rows["rotation"].astype(np.float32)),
        log_scales=torch.from_numpy(log_scales),
        opacity_logits=torch.from_numpy(opacity_logits_from_bytes(rows["rgba"][:, 3])),
        sh=torch.from_numpy(np.concatenate([base, *_bands(harmonics, section.degree)], axis=1).astype(np.float32)),
    )
    return scene, end


def _placed(
    positions: NDArray[np.float64], section: _Section, lengths: NDArray[np.uint32], centres: NDArray, source: Path
) -> NDArray[np.float64]:
    """Positions in the world from 16-bit ones inside their buckets: full buckets first, then the partial ones."""
    sizes = np.concatenate([np.full(section.full_buckets, section.bucket_size), lengths]).astype(np.int64)
    if sizes.sum() < len(positions) or len(sizes) > section.buckets or section.bucket_bytes < 12:
        raise SplatFileError(
            f"{source}: expected buckets of 12 bytes for all {len(positions)} rows, found {len(sizes)} buckets of "
            f"{section.bucket_bytes} bytes for {sizes.sum()} rows and {section.buckets} centres. Export it again."
        )
    bucket = np.repeat(np.arange(len(sizes)), sizes)[: len(positions)]
    middles = np.frombuffer(centres.tobytes(), "<f4").reshape(len(centres), -1)[:, :3].astype(np.float64)
    step = 0.5 * section.block_size / section.scale_range
    return (positions - section.scale_range) * step + middles[bucket]


def _bands(harmonics: NDArray[np.float32], degree: int) -> list[NDArray[np.float32]]:
    """Coefficients [gaussian coefficient channel] of each band."""
    bands, first = [], 0
    for size in _BANDS[:degree]:
        band = harmonics[:, first : first + 3 * size].reshape(-1, 3, size)
        bands.append(band.transpose(0, 2, 1))
        first += 3 * size
    return bands


def _check_length(content: bytes, needed: int, source: Path) -> None:
    if len(content) < needed:
        raise SplatFileError(
            f"{source}: expected at least {needed} bytes, as its counts say, found {len(content)}. The file is cut or "
            "of another format; copy it again."
        )
