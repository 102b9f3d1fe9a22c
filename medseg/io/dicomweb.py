"""A study fetched from a PACS and results stored into it by DICOMweb: QIDO-RS, WADO-RS and STOW-RS.

Nothing here reads or shows a name: searches give UIDs, kinds and counts, instances go to disk as they were sent, and
messages speak of instances by their number.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from medseg.errors import DicomwebError, InvalidInputError, MedSegError
from medseg.io.dicomweb_server import DicomwebOptions, DicomwebServer, pieces
from medseg.io.limits import ReadLimits
from medseg.io.multipart import boundary_of, write_parts
from vlm_bridge.atomic_write import PARTIAL_SUFFIX

_PAGE = 200
"""Matches asked for at once."""
_AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_AS_IT_LIKES = 'multipart/related; type="application/dicom"'
_STUDY_UID, _SERIES_UID, _SOP_UID = "0020000D", "0020000E", "00080018"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStudy:
    """A study that a server holds."""

    study_uid: str
    """What `fetch_study` takes."""
    modalities: tuple[str, ...] = ()
    """DICOM's words, as far as the server tells."""
    series: int | None = None
    """How many series; None where the server does not tell."""
    instances: int | None = None
    """How many instances, likewise."""
    date: str = field(default="", repr=False)
    """YYYYMMDD, for a page that shows it to its own user; left out of the text form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSeries:
    """A series of a study that a server holds."""

    study_uid: str
    """Its study."""
    series_uid: str
    """What `fetch_study(..., series_uid=...)` takes, and then `read_study(..., series=...)`."""
    modality: str = ""
    """DICOM's word."""
    number: int | None = None
    """Number of the series in its study; None where there is none."""
    instances: int | None = None
    """How many; None where the server does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyQuery:
    """Which studies to look for; what is empty is left open."""

    patient_id: str = field(default="", repr=False)
    """Number of the patient, whole."""
    accession_number: str = field(default="", repr=False)
    """Number of the order."""
    study_date: str = field(default="", repr=False)
    """YYYYMMDD, or two joined by a hyphen."""
    modality: str = ""
    """DICOM's word, as CT."""


def find_studies(
    url: str, query: StudyQuery | None = None, *, most: int = 1000, options: DicomwebOptions | None = None
) -> tuple[RemoteStudy, ...]:
    """Studies of a server that match, at most `most`.

    Raises:
        InvalidInputError: the address is none.
        DicomwebError: the server cannot be reached or refuses.
    """
    asked = query or StudyQuery()
    wanted = {
        "PatientID": asked.patient_id,
        "AccessionNumber": asked.accession_number,
        "StudyDate": asked.study_date,
        "ModalitiesInStudy": asked.modality,
    }
    with DicomwebServer(url, options or DicomwebOptions()) as server:
        matches = _search(server, "studies", {name: value for name, value in wanted.items() if value}, _STUDY_UID, most)
    return tuple(
        RemoteStudy(
            study_uid=uid,
            modalities=_words(match, "00080061"),
            series=_count(match, "00201206"),
            instances=_count(match, "00201208"),
            date=_digits(match, "00080020"),
        )
        for uid, match in matches.items()
    )


def find_series(url: str, study_uid: str, *, options: DicomwebOptions | None = None) -> tuple[RemoteSeries, ...]:
    """Series of a study, sorted by number and UID.

    Raises:
        InvalidInputError: the address or the UID is none.
        DicomwebError: the server cannot be reached, refuses, or has no such study.
    """
    with DicomwebServer(url, options or DicomwebOptions()) as server:
        return _series(server, _uid(study_uid, "study"))


def fetch_study(
    url: str,
    study_uid: str,
    folder: Path,
    *,
    series_uid: str | None = None,
    options: DicomwebOptions | None = None,
) -> tuple[RemoteSeries, ...]:
    """Fetch a study, or one series of it, into `folder`, which `read_study` then reads; the series fetched.

    The folder appears when everything is there, and not at all where anything fails. Instances lie in one folder per
    series, byte for byte as sent; servers are asked to send them as stored. Each series is asked for again where its
    answer is cut, and compared in number with what the server says it holds.

    Args:
        url: where the DICOMweb services begin, as `https://pacs.example.org/dicom-web`.
        study_uid: Study Instance UID.
        folder: where to; must not exist, or be empty.
        series_uid: Series Instance UID; None for all.
        options: login, timeouts, retries, certificates, limits.

    Raises:
        InvalidInputError: the address or a UID is none, or the folder holds something.
        DicomwebError: the server cannot be reached, refuses, has no such study or series, or sends less than it holds.
        SizeLimitError: more instances or bytes than allowed.
    """
    chosen = options or DicomwebOptions()
    study, one = _uid(study_uid, "study"), series_uid and _uid(series_uid, "series")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError("Folder of a fetched study: expected a new or an empty one, found files. Name another.")
    with DicomwebServer(url, chosen) as server, _folder_whole(folder) as partial:
        series = [found for found in _series(server, study) if not one or found.series_uid == one]
        if not series:
            raise DicomwebError(
                f"{server.place}: expected the series {one} in the study, found none of that UID. See find_series."
            )
        files, size = chosen.limits.files, chosen.limits.archive_bytes
        for number, found in enumerate(series, 1):
            place = partial / f"{number:03d}"
            left = ReadLimits(files=max(1, files), archive_bytes=max(1, size), file_bytes=chosen.limits.file_bytes)
            paths = _fetch_series(server, found, place, left)
            files, size = files - len(paths), size - sum(path.stat().st_size for path in paths)
    return tuple(series)


def _fetch_series(server: DicomwebServer, series: RemoteSeries, place: Path, limits: ReadLimits) -> list[Path]:
    def write(response: requests.Response) -> list[Path]:
        if response.status_code == 406:
            return []
        shutil.rmtree(place, ignore_errors=True)  # of an attempt that was cut
        place.mkdir(parents=True)
        boundary = boundary_of(response.headers.get("Content-Type", ""))
        if boundary is None:
            raise DicomwebError(
                f"{server.place}: expected instances in parts, found another answer. Check that the address is "
                "DICOMweb's."
            )
        return write_parts(pieces(response), boundary, place, limits)

    path = f"studies/{series.study_uid}/series/{series.series_uid}"
    # Not every server knows the wildcard for "as stored".
    paths = server.ask("GET", path, write, headers={"Accept": _AS_STORED}, accepted=(406,))
    paths = paths or server.ask("GET", path, write, headers={"Accept": _AS_IT_LIKES})
    if not paths or (series.instances is not None and len(paths) < series.instances):
        raise DicomwebError(
            f"{server.place}: expected {series.instances or 'at least one'} instance(s) of series "
            f"{series.series_uid}, found {len(paths)}. Fetch it again, or ask the server's administrator."
        )
    return paths


def _series(server: DicomwebServer, study: str) -> tuple[RemoteSeries, ...]:
    matches = _search(server, f"studies/{study}/series", {"includefield": "00201209"}, _SERIES_UID, None)
    if not matches:
        raise DicomwebError(f"{server.place}: expected the study {study}, found no study of that UID. Check it.")
    found = [
        RemoteSeries(
            study_uid=study,
            series_uid=uid,
            modality=" ".join(_words(match, "00080060")),
            number=_count(match, "00200011"),
            instances=_count(match, "00201209"),
        )
        for uid, match in matches.items()
    ]
    return tuple(sorted(found, key=lambda series: (series.number or 0, series.series_uid)))


def _search(
    server: DicomwebServer, path: str, query: Mapping[str, str], key: str, most: int | None
) -> dict[str, dict[str, Any]]:
    """Matches by UID, page by page until one brings nothing new: servers cap what they give at once as they like."""
    found: dict[str, dict[str, Any]] = {}
    missing = (404,) if path != "studies" else ()
    offset = 0
    while most is None or len(found) < most:
        page = server.search(path, {**query, "limit": str(_PAGE), "offset": str(offset)}, missing)
        new = {_first(match, key): match for match in page}
        if not (new.keys() - found.keys()):
            break
        for uid, match in new.items():
            found.setdefault(_uid(uid, "matching"), match)
        offset += len(page)
    return found if most is None else dict(list(found.items())[:most])


@contextmanager
def _folder_whole(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` that takes its place when the block ends, and vanishes when it fails."""
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.replace(folder)  # takes the place of an empty folder too
    except OSError as failure:
        raise MedSegError(
            f"Folder of a fetched study: expected a place to write to, found none ({failure.strerror}). Make room or "
            "name another folder."
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _uid(value: str, what: str) -> str:
    if not re.fullmatch(r"[0-9.]{1,64}", value):
        raise InvalidInputError(
            f"DICOMweb: expected a {what} UID of digits and dots, at most 64 characters, found another text. Correct "
            "it."
        )
    return value


def _first(match: Mapping[str, Any], tag: str) -> str:
    words = _words(match, tag)
    return words[0] if words else ""


def _words(match: Mapping[str, Any], tag: str) -> tuple[str, ...]:
    """Values of an element as text; empty where it is missing or of another form."""
    element = match.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return tuple(str(value) for value in values if isinstance(value, str | int)) if isinstance(values, list) else ()


def _count(match: Mapping[str, Any], tag: str) -> int | None:
    text = _first(match, tag)
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _digits(match: Mapping[str, Any], tag: str) -> str:
    text = _first(match, tag)
    return text if re.fullmatch(r"[0-9]{8}", text) else ""
