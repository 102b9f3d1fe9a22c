"""Parts come out as they went in, however the message is cut into pieces; a message without its end is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from medseg.errors import DicomwebError, SizeLimitError
from medseg.io.limits import ReadLimits
from medseg.io.multipart import boundary_of, encode_parts, write_parts

BODIES = some.lists(some.binary(max_size=60) | some.sampled_from([b"\r\n--", b"\r\n", b"--", b"\r\n--b"]), max_size=4)


def pieces(message: bytes, size: int) -> list[bytes]:
    return [message[at : at + size] for at in range(0, len(message), size)]


def written(message: bytes, kind: str, size: int = 1000, limits: ReadLimits | None = None) -> list[bytes]:
    boundary = boundary_of(kind)
    assert boundary is not None
    with tempfile.TemporaryDirectory() as folder:
        paths = write_parts(pieces(message, size), boundary, Path(folder), limits or ReadLimits())
        assert sorted(Path(folder).iterdir()) == paths
        return [path.read_bytes() for path in paths]


@given(contents=BODIES, size=some.integers(1, 50))
def test_what_was_encoded_is_written(contents: list[bytes], size: int) -> None:
    message, kind = encode_parts(contents)
    assert written(message, kind, size) == contents


@given(contents=some.lists(some.binary(max_size=40), min_size=1, max_size=3), data=some.data())
def test_a_message_cut_anywhere_is_refused(contents: list[bytes], data: some.DataObject) -> None:
    message, kind = encode_parts(contents)
    end = data.draw(some.integers(0, len(message) - 1))
    with pytest.raises(DicomwebError, match="cut"):
        written(message[:end], kind, 7)


def test_messages_of_other_makers() -> None:
    kind = 'Multipart/Related; Boundary="x y"; type="application/dicom"'
    first = b"--x y\r\nContent-Type: application/dicom\r\nContent-Length: 3\r\n\r\na\r\n\r\n"
    message = b"preamble\r\n" + first + b"--x y  \r\n\r\nb\r\n--x y--\r\nepilogue"
    assert written(message, kind) == [b"a\r\n", b"b"]


@pytest.mark.parametrize("kind", ["", "application/dicom+json", "multipart/related", "multipart/related; boundary="])
def test_other_content_types_have_no_boundary(kind: str) -> None:
    assert boundary_of(kind) is None


def test_limits_hold() -> None:
    message, kind = encode_parts([b"a" * 100, b"b" * 100])
    for limits, words in (
        (ReadLimits(files=1), "at most 1 instances"),
        (ReadLimits(file_bytes=99), "at most 99 bytes"),
        (ReadLimits(archive_bytes=150), "at most 50 bytes"),
    ):
        with pytest.raises(SizeLimitError, match=words):
            written(message, kind, limits=limits)
    for endless in (b"x" * 20_000, b"--b\r\n" + b"h" * 20_000):
        with pytest.raises(DicomwebError, match="expected"):
            written(endless, "multipart/related; boundary=b")
