"""The files of an input: one file, a folder, or a zip archive, each told apart by its first bytes and its name."""

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
    """Its own name, for messages; folders are left out."""
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
        raise StudyFileError(f"{path.name}: expected a file or a folder, found nothing there. Check the path.")
    with parsing(path.name, "a readable file"):
        size = path.stat().st_size
        limits.check_file(size, path.name)
        archive = zipfile.is_zipfile(path) and _start(path)[:2] == b"PK"
    if not archive:
        yield [FoundFile(path=path, name=path.name, kind=_kind(path), source=SourceFile(path=path))]
        return
    unpacked = Path(tempfile.mkdtemp(prefix="medseg-"))
    try:
        yield _archive(path, unpacked, limits)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _folder(path: Path, limits: ReadLimits) -> list[FoundFile]:
    found: list[FoundFile] = []
    with parsing(path.name, "a folder that can be listed"):
        for place in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in place.relative_to(path).parts)
            if hidden or not place.is_file() or _kind(place) == "other":
                continue
            if len(found) >= limits.files:
                raise SizeLimitError(
                    f"{path.name}: expected at most {limits.files} files, found more. Raise ReadLimits.files."
                )
            found.append(FoundFile(path=place, name=place.name, kind=_kind(place), source=SourceFile(path=place)))
    return _not_empty(found, path)


def _archive(path: Path, unpacked: Path, limits: ReadLimits) -> list[FoundFile]:
    found: list[FoundFile] = []
    with parsing(path.name, "a zip archive"), zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) > limits.files:
            raise SizeLimitError(
                f"{path.name}: expected at most {limits.files} members, found {len(members)}. Raise ReadLimits.files."
            )
        left = limits.archive_bytes
        for number, member in enumerate(members):
            own = Path(member.filename).name
            if own.startswith(".") or member.filename.startswith("__MACOSX"):
                continue
            # A name of our own making: what the archive calls it cannot lead out of the folder. Endings are kept.
            place = unpacked / f"{number:06d}_{own[-80:]}"
            left -= _unpack(archive, member, place, min(left, limits.file_bytes), path.name)
            kind = _kind(place)
            if kind == "other":
                place.unlink()
                continue
            source = SourceFile(path=path, member=member.filename)
            found.append(FoundFile(path=place, name=own, kind=kind, source=source))
    return _not_empty(found, path)


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path, most: int, name: str) -> int:
    """Write one member out, counting what comes rather than what the archive claims; bytes written."""
    if member.flag_bits & 1:
        raise StudyFileError(f"{name}: expected an archive without a password, found one with. Unpack it first.")
    written = 0
    with archive.open(member) as stream, place.open("wb") as out:
        while chunk := stream.read(_CHUNK):
            written += len(chunk)
            if written > most:
                raise SizeLimitError(
                    f"{name}: expected members of at most {most} bytes, found more. Raise ReadLimits.archive_bytes."
                )
            out.write(chunk)
    return written


def _not_empty(found: list[FoundFile], path: Path) -> list[FoundFile]:
    if not found:
        raise StudyFileError(f"{path.name}: expected {_READ} in it, found none. Check the path.")
    return found


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(256)


def _kind(path: Path) -> Kind:
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
