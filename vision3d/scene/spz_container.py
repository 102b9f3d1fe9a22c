"""The container of Niantic's `.spz`: header and uncompressed attribute bytes, all versions in use (2, 3, 4).

Versions 2 and 3 are one gzip stream (a few old tools left the gzip away) with a 16-byte header; version 4 has a 32-byte
header, optional extension records, a table of contents and one zstd stream per attribute. This is the only file that
imports `zstandard`.

Source: nianticlabs/spz, file format section of the README.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vision3d.errors import MissingDependencyError, SplatFileError

_MAGIC = b"NGSP"
_GZIP_MAGIC = b"\x1f\x8b"
_LEGACY_HEADER, _HEADER = struct.Struct("<4sIIBBBB"), struct.Struct("<4sIIBBBBI12x")
_TOC_ENTRY = struct.Struct("<QQ")
_HAS_EXTENSIONS, _ANTIALIASED = 0x2, 0x1
_COORDINATE_SYSTEM_RECORD = 0xADBE0003
_RIGHT_UP_BACK = 4
"""Number of the default axes in a coordinate system record."""
_EXTENSION_LIMIT = 1 << 16
"""Bytes of extension records looked at behind the Gaussians of versions 2 and 3."""
_LARGEST_RATIO = 1100
"""Neither gzip nor real splat data shrinks further; a header that claims more is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpzAttributes:
    """Bytes of an `.spz` file, decompressed but still quantised."""

    version: int
    """Format version, 2-4."""
    count: int
    """Number of Gaussians."""
    sh_degree: int
    """Degree of the spherical harmonics, 0-3."""
    fractional_bits: int
    """Binary digits after the point in the positions."""
    antialiased: bool
    """True where the Gaussians were trained with Mip-Splatting's 2D filter."""
    attributes: dict[str, np.ndarray]
    """uint8 [gaussian bytes] of positions, alphas, colours, scales, rotations, sh."""


def read_spz_attributes(path: str | Path) -> SpzAttributes:
    """The attribute bytes of an `.spz` file.

    Raises:
        SplatFileError: missing, of another format or version, cut, or stored in axes other than right-up-back.
        MissingDependencyError: version 4 without `zstandard`.
    """
    file_path = Path(path)
    try:
        content = file_path.read_bytes()
    except OSError as error:
        raise SplatFileError(f"{file_path}: expected a readable .spz file, found: {error}. Check the path.") from error
    gzipped = content.startswith(_GZIP_MAGIC)
    head = _inflate(content, _LEGACY_HEADER.size, file_path) if gzipped else content
    if len(head) < _LEGACY_HEADER.size or not head.startswith(_MAGIC):
        raise SplatFileError(
            f"{file_path}: expected an .spz header of {_LEGACY_HEADER.size} bytes that starts with {_MAGIC!r}, found "
            f"{head[:4]!r} in {len(content)} bytes. It is empty, cut or of another format: copy or export it again."
        )
    _, version, count, sh_degree, fractional_bits, flags, _ = _LEGACY_HEADER.unpack_from(head)
    if version not in (2, 3, 4) or sh_degree > 3 or fractional_bits > 24 or count == 0 or (version == 4 and gzipped):
        raise SplatFileError(
            f"{file_path}: expected .spz version 2, 3 or 4 with at least one Gaussian and SH degree 0-3, found version "
            f"{version}, {count} Gaussians, degree {sh_degree}, {fractional_bits} fractional bits"
            f"{', gzipped' if gzipped else ''}. Convert it to .ply with the tool that wrote it."
        )
    widths = {"positions": 9, "alphas": 1, "colours": 3, "scales": 3, "rotations": 3 if version == 2 else 4}
    widths["sh"] = 3 * ((sh_degree + 1) ** 2 - 1)
    total = count * sum(widths.values())
    if total > _LARGEST_RATIO * len(content):
        raise SplatFileError(
            f"{file_path}: expected a file that can hold {count} Gaussians ({total} bytes before compression), found "
            f"{len(content)} bytes. The header is damaged or the file is cut; copy it again."
        )
    if version == 4:
        streams = _zstd_streams(content, {name: count * width for name, width in widths.items()}, flags, file_path)
    else:
        end = _LEGACY_HEADER.size + total
        whole = _inflate(content, end + _EXTENSION_LIMIT, file_path) if gzipped else content
        streams = _split(
            whole[_LEGACY_HEADER.size :], {name: count * width for name, width in widths.items()}, file_path
        )
        if flags & _HAS_EXTENSIONS:
            _check_axes(whole[end:], file_path)
    return SpzAttributes(
        version=version,
        count=count,
        sh_degree=sh_degree,
        fractional_bits=fractional_bits,
        antialiased=bool(flags & _ANTIALIASED),
        attributes={
            name: np.frombuffer(stream, np.uint8).reshape(count, widths[name]) for name, stream in streams.items()
        },
    )


def _inflate(content: bytes, size: int, path: Path) -> bytes:
    """At most the first `size` bytes of a gzip stream."""
    try:
        return zlib.decompressobj(wbits=31).decompress(content, size)
    except zlib.error as error:
        raise SplatFileError(
            f"{path}: expected a gzip stream, found: {error}. The file is damaged; copy it again."
        ) from error


def _split(payload: bytes, sizes: dict[str, int], path: Path) -> dict[str, bytes]:
    needed = sum(sizes.values())
    if len(payload) < needed:
        raise SplatFileError(
            f"{path}: expected {needed} bytes of Gaussians, found {len(payload)}. The file is cut; "
            "copy or download it again."
        )
    streams, start = {}, 0
    for name, size in sizes.items():
        streams[name] = payload[start : start + size]
        start += size
    return streams


def _zstd_streams(content: bytes, sizes: dict[str, int], flags: int, path: Path) -> dict[str, bytes]:
    """The attribute streams of version 4, in the order of `sizes`; attributes of size 0 have no stream."""
    stored = {name: size for name, size in sizes.items() if size}
    if len(content) < _HEADER.size:
        raise SplatFileError(
            f"{path}: expected a header of {_HEADER.size} bytes, found {len(content)}. The file is cut."
        )
    stream_count, contents_at = _HEADER.unpack_from(content)[6:8]
    start = contents_at + stream_count * _TOC_ENTRY.size
    if stream_count != len(stored) or contents_at < _HEADER.size or start > len(content):
        raise SplatFileError(
            f"{path}: expected a table of contents with {len(stored)} streams inside {len(content)} bytes, found "
            f"{stream_count} streams ending at byte {start}. The file is cut or damaged; copy it again."
        )
    if flags & _HAS_EXTENSIONS:
        _check_axes(content[_HEADER.size : contents_at], path)
    streams = {name: b"" for name in sizes}
    for index, (name, size) in enumerate(stored.items()):
        packed, unpacked = _TOC_ENTRY.unpack_from(content, contents_at + index * _TOC_ENTRY.size)
        if unpacked != size or start + packed > len(content):
            raise SplatFileError(
                f"{path}: expected {name} of {size} bytes packed into {packed}, found {unpacked} announced and "
                f"{max(0, len(content) - start)} bytes left in the file. The file is cut or damaged; copy it again."
            )
        streams[name] = _unpack_zstd(content[start : start + packed], size, name, path)
        start += packed
    return streams


def _unpack_zstd(packed: bytes, size: int, name: str, path: Path) -> bytes:
    try:
        import zstandard
    except ImportError as error:
        raise MissingDependencyError(
            f"{path}: .spz version 4 is compressed with zstd, and the package zstandard is missing. "
            "Run `pip install zstandard`."
        ) from error
    try:
        if zstandard.frame_content_size(packed) not in (size, -1):
            raise SplatFileError(
                f"{path}: expected {size} bytes of {name}, found a stream of another size. Copy it again."
            )
        stream = zstandard.ZstdDecompressor().decompress(packed, max_output_size=size)
    except zstandard.ZstdError as error:
        raise SplatFileError(
            f"{path}: expected a zstd stream of {name}, found: {error}. The file is damaged."
        ) from error
    if len(stream) != size:
        raise SplatFileError(f"{path}: expected {size} bytes of {name}, found {len(stream)}. The file is damaged.")
    return stream


def _check_axes(records: bytes, path: Path) -> None:
    """Refuse a coordinate system record that names other axes; other extension records change no Gaussian."""
    start = 0
    while start + 8 <= len(records):
        kind, length = struct.unpack_from("<II", records, start)
        payload = records[start + 8 : start + 8 + length]
        if kind == _COORDINATE_SYSTEM_RECORD and len(payload) == 4:
            system = struct.unpack("<I", payload)[0]
            if system not in (0, _RIGHT_UP_BACK):
                raise SplatFileError(
                    f"{path}: expected Gaussians in right-up-back axes (coordinate system {_RIGHT_UP_BACK}), found "
                    f"coordinate system {system}. Convert it to .ply with the tool that wrote it."
                )
        start += 8 + length
