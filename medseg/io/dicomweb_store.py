"""DICOM files stored into a PACS by DICOMweb (STOW-RS), each one accounted for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from pydicom import dcmread

from medseg.errors import DicomwebError, InvalidInputError, PartialStoreError, StudyFileError
from medseg.io.dicom_values import word
from medseg.io.dicomweb_server import DicomwebOptions, DicomwebServer, read_json
from medseg.io.limits import ReadLimits
from medseg.io.multipart import encode_parts
from medseg.io.parser_failures import parsing

_REQUEST_BYTES = 2**24
"""Instances are sent together up to this size, to spare requests; a larger one goes alone."""
_LISTED = 20
"""Most instances a message lists."""
_UNSAID = "the server did not say what became of it"
_WHOLESALE = (400, 413, 415, 422)
"""Refusals of a whole request, which may be the fault of one instance in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Instance:
    number: int
    path: Path
    uid: str
    size: int


def store_instances(url: str, paths: Sequence[Path], *, options: DicomwebOptions | None = None) -> tuple[str, ...]:
    """Store DICOM files as they are; SOP Instance UIDs of what the server took, in the order of `paths`.

    Files are sent byte for byte. Sending one again that the server has is no error to most servers, so a call that
    failed can be repeated.

    Raises:
        InvalidInputError: the address is none, no file was given, or two are the same instance.
        StudyFileError: a file cannot be read or is no DICOM file with a UID; nothing was sent.
        PartialStoreError: the server did not take all; `stored` and `failed` tell which.
        DicomwebError: the server cannot be reached or refuses, and took nothing.
    """
    chosen = options or DicomwebOptions()
    instances = [_instance(number, path, len(paths), chosen.limits) for number, path in enumerate(paths)]
    _check_apart(instances)
    stored: dict[int, str] = {}
    failed: dict[int, str] = {}
    with DicomwebServer(url, chosen) as server:
        for batch in _batches(instances):
            try:
                taken, refused = _sent(server, batch)
            except DicomwebError as failure:
                if not stored and not failed:
                    raise
                rest = {one.number: "it was not sent" for one in instances if one.number > batch[-1].number}
                failed |= {one.number: str(failure) for one in batch} | rest
                break
            stored |= taken
            failed |= refused
    uids = tuple(stored[number] for number in sorted(stored))
    if failed:
        raise PartialStoreError(_partial_text(len(paths), failed), uids, failed)
    return uids


def _instance(number: int, path: Path, count: int, limits: ReadLimits) -> _Instance:
    name = f"Instance {number + 1} of {count}"
    with parsing(name, "a DICOM file"):
        size = path.stat().st_size
        limits.check_file(size, name)
        # Not forced: what lacks the mark of a DICOM file is nothing a server would take.
        header = dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
        uid = word(header, "SOPInstanceUID")
    if not re.fullmatch(r"[0-9.]{1,64}", uid):
        raise StudyFileError(f"{name}: expected a SOP Instance UID, found none. Write the file again.")
    return _Instance(number=number, path=path, uid=uid, size=size)


def _check_apart(instances: Sequence[_Instance]) -> None:
    if not instances:
        raise InvalidInputError("DICOMweb: expected at least one file to store, found none. Give its path.")
    first: dict[str, int] = {}
    for one in instances:
        if one.uid in first:
            raise InvalidInputError(
                f"DICOMweb: expected instances of different UIDs, found the same one at {first[one.uid] + 1} and "
                f"{one.number + 1}. Give each instance once."
            )
        first[one.uid] = one.number


def _batches(instances: Sequence[_Instance]) -> Iterator[list[_Instance]]:
    batch: list[_Instance] = []
    for one in instances:
        if batch and sum(other.size for other in batch) + one.size > _REQUEST_BYTES:
            yield batch
            batch = []
        batch.append(one)
    yield batch


def _sent(server: DicomwebServer, batch: Sequence[_Instance]) -> tuple[dict[int, str], dict[int, str]]:
    """Taken: number -> UID; refused: number -> why. Where a request is refused whole, each instance goes alone."""
    status, taken, refused = _send(server, batch)
    if len(batch) == 1 or taken or not (status in _WHOLESALE or set(refused.values()) == {_UNSAID}):
        return taken, refused
    alone = [_send(server, [one]) for one in batch]
    return {n: uid for _, own, _ in alone for n, uid in own.items()}, {
        n: why for _, _, own in alone for n, why in own.items()
    }


def _send(server: DicomwebServer, batch: Sequence[_Instance]) -> tuple[int, dict[int, str], dict[int, str]]:
    """Status; taken: number -> UID; refused: number -> why."""
    contents = []
    for one in batch:
        with parsing(f"Instance {one.number + 1}", "a DICOM file"):
            contents.append(one.path.read_bytes())
    body, content_type = encode_parts(contents)

    def read(response: requests.Response) -> tuple[int, dict[str, Any]]:
        kind = response.headers.get("Content-Type", "")
        answer = read_json(response) if "json" in kind else {}
        return response.status_code, answer if isinstance(answer, dict) else {}

    status, answer = server.ask(
        "POST",
        "studies",
        read,
        headers={"Content-Type": content_type, "Accept": "application/dicom+json"},
        body=body,
        accepted=(409, *_WHOLESALE),
    )
    taken = {uid for uid, _ in _references(answer, "00081199")}
    refused = dict(_references(answer, "00081198"))
    # 200 says that all was stored; servers that answer in another form, or in none, say no more than that.
    whole = status == 200 and not taken and not refused
    unsaid = f"the server refused it (status {status})" if status in _WHOLESALE else _UNSAID
    stored = {one.number: one.uid for one in batch if (whole or one.uid in taken) and one.uid not in refused}
    failed = {
        one.number: _reason(refused[one.uid]) if one.uid in refused else unsaid
        for one in batch
        if one.number not in stored
    }
    return status, stored, failed


def _references(answer: Mapping[str, Any], tag: str) -> Iterator[tuple[str, int]]:
    """UID and reason of each item of a sequence; 0 where none is given."""
    for item in _values(answer, tag):
        if isinstance(item, dict):
            uids, reasons = _values(item, "00081155"), _values(item, "00081197")
            reason = reasons[0] if reasons and isinstance(reasons[0], int) else 0
            if uids and isinstance(uids[0], str):
                yield uids[0], reason


def _values(item: Mapping[str, Any], tag: str) -> list[Any]:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _reason(code: int) -> str:
    """Words for a Failure Reason (PS3.18, table 10.5.3-1 and the storage service's statuses in PS3.4)."""
    families = {0xA7: "the server is out of room", 0xA9: "it does not fit its SOP class"}
    known = {
        0x0110: "the server failed on it",
        0x0111: "the server has an instance of this UID already",
        0x0117: "it is not valid",
        0x0122: "the server does not take this SOP class",
        0x0124: "the login may not store it",
    }
    words = known.get(code) or families.get(code >> 8)
    if words is None:
        words = "the server cannot understand it" if code >> 12 == 0xC else "no reason is given"
    return f"{words} (reason {code:04X})"


def _partial_text(count: int, failed: Mapping[int, str]) -> str:
    lines = [f"  {number + 1}: {failed[number]}" for number in sorted(failed)[:_LISTED]]
    if len(failed) > _LISTED:
        lines.append(f"  and {len(failed) - _LISTED} more")
    listing = "\n".join(lines)
    return (
        f"DICOMweb: expected all {count} instance(s) to be stored, found {len(failed)} that were not. Correct those "
        f"and store them again; by their number in the call:\n{listing}"
    )
