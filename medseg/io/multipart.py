"""Messages of several parts (multipart/related, RFC 2387) as DICOMweb sends them: one DICOM file per part.

Parts are written to disk as they come, byte for byte, so one part never lies in memory whole. A message whose last
boundary is missing was cut and is refused: half a file would otherwise pass for a whole one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from medseg.errors import DicomwebError, SizeLimitError
from medseg.io.limits import ReadLimits

_HEAD_BYTES = 2**14
"""Most bytes of the lines before a part's content."""


def boundary_of(content_type: str) -> bytes | None:
    """The boundary a Content-Type names; None where it is no multipart message or names none.

    Example:
        >>> boundary_of('multipart/related; type="application/dicom"; boundary="a;b"')
        b'a;b'
        >>> boundary_of("application/json") is None
        True
    """
    if not content_type.lower().lstrip().startswith("multipart/"):
        return None
    at = content_type.lower().find("boundary=")
    if at < 0:
        return None
    value = content_type[at + len("boundary=") :].strip()
    value = value[1:].partition('"')[0] if value.startswith('"') else value.partition(";")[0].strip()
    return value.encode("latin-1", errors="replace") or None


def write_parts(chunks: Iterable[bytes], boundary: bytes, folder: Path, limits: ReadLimits) -> list[Path]:
    """Files `000001.dcm`, `000002.dcm`, ... in `folder`, one per part, in the order they came.

    Args:
        chunks: the message, cut anywhere.
        boundary: as the Content-Type names it.
        folder: exists already.
        limits: most parts (`files`), bytes of one (`file_bytes`) and of all (`archive_bytes`).

    Raises:
        DicomwebError: the message is cut or is not made of parts.
        SizeLimitError: more parts or bytes than `limits` allow.
    """
    stream = _Stream(chunks, b"\r\n--" + boundary)
    _pass_preamble(stream)
    paths: list[Path] = []
    left = limits.archive_bytes
    while not stream.at_end():
        if len(paths) >= limits.files:
            raise SizeLimitError(
                f"DICOMweb: expected at most {limits.files} instances, found more. Raise ReadLimits.files."
            )
        stream.skip_head()
        path = folder / f"{len(paths) + 1:06d}.dcm"
        with path.open("wb") as out:
            left -= _write(stream, out, min(left, limits.file_bytes))
        paths.append(path)
    return paths


def encode_parts(contents: Sequence[bytes]) -> tuple[bytes, str]:
    """A message with one DICOM file per part, and its Content-Type; the boundary occurs in none of them."""
    boundary = secrets.token_hex(24).encode()
    while any(boundary in content for content in contents):
        boundary = secrets.token_hex(24).encode()
    head = b"--" + boundary + b"\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"".join([*(piece for content in contents for piece in (head, content, b"\r\n")), b"--" + boundary + b"--"])
    return body, f'multipart/related; type="application/dicom"; boundary={boundary.decode()}'


class _Stream:
    """Bytes that come in chunks, read up to marks."""

    def __init__(self, chunks: Iterable[bytes], mark: bytes) -> None:
        self._chunks = iter(chunks)
        self._mark = mark
        self._held = bytearray(b"\r\n")  # the first boundary may stand at the very beginning

    def until_boundary(self) -> Iterator[bytes]:
        """Pieces up to the next boundary, which is taken away too."""
        while True:
            at = self._held.find(self._mark)
            if at >= 0:
                yield bytes(self._held[:at])
                del self._held[: at + len(self._mark)]
                return
            safe = len(self._held) - len(self._mark) + 1  # a boundary may have begun behind it
            if safe > 0:
                yield bytes(self._held[:safe])
                del self._held[:safe]
            self._more()

    def at_end(self) -> bool:
        """Whether the boundary just passed was the last one."""
        while len(self._held) < 2:
            self._more()
        return self._held[:2] == b"--"

    def skip_head(self) -> None:
        """Pass the lines before the content of a part."""
        while (at := self._held.find(b"\r\n\r\n")) < 0:
            if len(self._held) > _HEAD_BYTES:
                raise DicomwebError(
                    f"DICOMweb: expected a part's header of at most {_HEAD_BYTES} bytes, found a longer one. "
                    "Ask the server's administrator."
                )
            self._more()
        # The boundary of an empty part begins with the line end that closes its header.
        del self._held[: at + 2 if self._held.startswith(self._mark, at + 2) else at + 4]

    def _more(self) -> None:
        piece = next(self._chunks, None)
        if piece is None:
            raise DicomwebError(
                "DICOMweb: expected a message that ends with its boundary, found one that is cut. Fetch it again."
            )
        self._held += piece


def _write(stream: _Stream, out: BinaryIO, most: int) -> int:
    written = 0
    for piece in stream.until_boundary():
        written += len(piece)
        if written > most:
            raise SizeLimitError(
                f"DICOMweb: expected instances of at most {most} bytes, found more. Raise ReadLimits.file_bytes or "
                "ReadLimits.archive_bytes."
            )
        out.write(piece)
    return written


def _pass_preamble(stream: _Stream) -> None:
    """Leave out what stands before the first boundary; it says nothing."""
    passed = 0
    for piece in stream.until_boundary():
        passed += len(piece)
        if passed > _HEAD_BYTES:
            raise DicomwebError("DICOMweb: expected parts, found something else. Check that the address is DICOMweb's.")
