"""The files of an input: one file, a folder, or a zip archive, each told apart by its first bytes and its name.

Files are named after people, so messages and keys hold no name of a file or folder: a file is called by its number in
the input, in the order of places, and by its ending.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from medseg.errors import SizeLimitError, StudyFileError
from medseg.io.limits import ReadLimits
from medseg.io.parser_failures import parsing
from medseg.study.source_geometry import SourceFile

Kind = Literal["dicom", "nifti", "itk", "picture", "other"]

_ENDINGS: dict[str, Kind] = {
    ".nii": "nifti", ".nii.gz": "nifti", ".hdr": "nifti", ".img": "nifti", ".mgz": "nifti", ".mgh": "nifti",
    ".nrrd": "itk", ".nhdr": "itk", ".mha": "itk", ".mhd": "itk",
    ".png": "picture", ".jpg": "picture", ".jpeg": "picture", ".tif": "picture", ".tiff": "picture",
    ".bmp": "picture", ".gif": "picture", ".webp": "picture",
    ".dcm": "dicom", ".dicom": "dicom", ".ima": "dicom",
}  # fmt: skip
_BY_LENGTH = sorted((*_ENDINGS, ".zip", ".mnc", ".txt", ".pdf"), key=len, reverse=True)
_READ = "a DICOM, NIfTI, MGH, NRRD, MetaImage, PNG, JPEG, TIFF, BMP, GIF or WebP file"
_STARTS: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", "picture"),
    (b"\xff\xd8\xff", "picture"),
    (b"II*\0", "picture"),
    (b"MM\0*", "picture"),
    (b"GIF8", "picture"),
    (b"NRRD0", "itk"),
)
_CHUNK = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A file to read now, and where it came from."""

    path: Path = field(repr=False)
    """Where its bytes lie while the input is open."""
    name: str
    """What messages call it, as `File 3 of 40 (.dcm)`."""
    key: str
    """What a series of it is called, as `3.nii.gz`."""
    own_name: str = field(repr=False)
    """Its name on the disk or in the archive; never in a message."""
    kind: Kind
    """What it seems to be."""
    source: SourceFile = field(repr=False)
    """Where it lies for good."""


@contextmanager
def found_files(path: Path, limits: ReadLimits) -> Iterator[list[FoundFile]]:
    """Files of an input, sorted by place; an archive is unpacked beside nothing and forgotten afterwards.

    Hidden files and files of no known kind are left out of folders and archives; a file given by itself is kept.

    Raises:
        StudyFileError: there is nothing at `path`, or nothing to read.
        SizeLimitError: more files or bytes than `limits` allow.
    """
    if path.is_dir():
        yield _folder(path, limits)
        return
    if not path.is_file():
        raise StudyFileError("Input: expected a file or a folder, found nothing there. Check the path.")
    name = f"The file{_shown_ending(path.name)}"
    with parsing(name, "a readable file"):
        size = path.stat().st_size
        limits.check_file(size, name)
        archive = zipfile.is_zipfile(path) and _start(path)[:2] == b"PK"
    if not archive:
        yield _numbered([(path, path.name, kind_of(path), SourceFile(path=path))])
        return
    unpacked = Path(tempfile.mkdtemp(prefix="medseg-"))
    try:
        yield _archive(path, unpacked, limits)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


_Place = tuple[Path, str, Kind, SourceFile]
"""Where the bytes lie, the file's own name, its kind, and where it lies for good."""


def _folder(path: Path, limits: ReadLimits) -> list[FoundFile]:
    found: list[_Place] = []
    with parsing("The folder", "a folder that can be listed"):
        for place in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in place.relative_to(path).parts)
            if hidden or not place.is_file() or (kind := kind_of(place)) == "other":
                continue
            if len(found) >= limits.files:
                raise SizeLimitError(
                    f"The folder: expected at most {limits.files} files, found more. Raise ReadLimits.files."
                )
            found.append((place, place.name, kind, SourceFile(path=place)))
    return _numbered(found)


def _archive(path: Path, unpacked: Path, limits: ReadLimits) -> list[FoundFile]:
    found: list[_Place] = []
    with parsing("The archive", "a zip archive"), zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) > limits.files:
            raise SizeLimitError(
                f"The archive: expected at most {limits.files} members, found {len(members)}. Raise ReadLimits.files."
            )
        _check_room(sum(member.file_size for member in members), unpacked, limits)
        left = limits.archive_bytes
        for number, member in enumerate(members):
            own = Path(member.filename).name
            if own.startswith(".") or member.filename.startswith("__MACOSX"):
                continue
            # A name of our own making: what the archive calls it cannot lead out of the folder. Endings are kept.
            place = unpacked / f"{number:06d}_{own[-80:]}"
            left -= _unpack(archive, member, place, min(left, limits.file_bytes))
            if (kind := kind_of(place)) == "other":
                place.unlink()
                continue
            found.append((place, own, kind, SourceFile(path=path, member=member.filename)))
    return _numbered(found)


def _check_room(claimed: int, unpacked: Path, limits: ReadLimits) -> None:
    """Raise before anything is unpacked; no member yields more than it claims."""
    if claimed > limits.archive_bytes:
        raise SizeLimitError(
            f"The archive: expected members of at most {limits.archive_bytes} bytes, found {claimed}. Raise "
            "ReadLimits.archive_bytes."
        )
    free = shutil.disk_usage(unpacked).free
    if claimed > free:
        raise SizeLimitError(
            f"The archive: expected room for {claimed} bytes in the folder for temporary files, found {free}. Make "
            "room or unpack it elsewhere."
        )


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path, most: int) -> int:
    """Write one member out, counting what comes rather than what the archive claims; bytes written."""
    if member.flag_bits & 1:
        raise StudyFileError("The archive: expected one without a password, found one with. Unpack it first.")
    written = 0
    with archive.open(member) as stream, place.open("wb") as out:
        while chunk := stream.read(_CHUNK):
            written += len(chunk)
            if written > most:
                raise SizeLimitError(
                    f"The archive: expected members of at most {most} bytes, found more. Raise "
                    "ReadLimits.archive_bytes."
                )
            out.write(chunk)
    return written


def _numbered(places: list[_Place]) -> list[FoundFile]:
    if not places:
        raise StudyFileError(f"Input: expected {_READ} in it, found none. Check the path.")
    return [
        FoundFile(
            path=path,
            name=f"File {number} of {len(places)}{_shown_ending(own)}"
            if len(places) > 1
            else f"The file{_shown_ending(own)}",
            key=f"{number}{_ending(own)}",
            own_name=own,
            kind=kind,
            source=source,
        )
        for number, (path, own, kind, source) in enumerate(places, 1)
    ]


def _ending(name: str) -> str:
    """The ending of a file's name if it is a known one, else empty: an unknown one may be part of a person's name.

    Example:
        >>> _ending("Doe_J.nii.gz"), _ending("scan.doe")
        ('.nii.gz', '')
    """
    lowered = name.lower()
    return next((ending for ending in _BY_LENGTH if lowered.endswith(ending)), "")


def _shown_ending(name: str) -> str:
    ending = _ending(name)
    return f" ({ending})" if ending else ""


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(256)


def kind_of(path: Path) -> Kind:
    """What a file seems to be, by its first bytes and its name; a zip archive is `other`."""
    try:
        start = _start(path)
    except OSError:
        start = b""  # the reader its name points to will say why
    if start[128:132] == b"DICM":
        return "dicom"
    marked: Kind | None = next((kind for mark, kind in _STARTS if start.startswith(mark)), None)
    if marked is not None:
        return marked
    if start[344:347] in (b"n+1", b"ni1"):
        return "nifti"
    name = path.name.lower()
    endings = [name[at:] for at in range(len(name)) if name[at] == "."]
    known: Kind | None = next((_ENDINGS[ending] for ending in endings if ending in _ENDINGS), None)
    if known is not None:
        return known
    # DICOM without its preamble begins with a tag of group 2 or 8, in either byte order.
    return "dicom" if start[:4] in _FIRST_TAGS else "other"


_FIRST_TAGS = {bytes((group, 0, element, 0)) for group in (2, 8) for element in (0, 1, 5, 6, 8, 0x12, 0x16, 0x18)} | {
    bytes((0, group, 0, element)) for group in (2, 8) for element in (0, 1, 5, 6, 8, 0x12, 0x16, 0x18)
}
