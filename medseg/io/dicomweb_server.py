"""`DicomwebServer`: one DICOMweb address to talk to, over `requests`: who asks, how long, how often again.

`dicomweb-client` is not used: it parses and writes instances anew, so their bytes change; it takes a message that was
cut for a whole one; and it logs addresses, which may hold what was searched for. Here an instance is kept as it was
sent, and no log or message holds a login, a query or a word of an answer.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from medseg.errors import DicomwebError, InvalidInputError
from medseg.io.limits import ReadLimits
from medseg.io.parser_failures import quiet_parsers

_log = logging.getLogger(__name__)
_AGAIN = (408, 429, 500, 502, 503, 504)
"""Answers after which the same request may succeed."""
_LONGEST_PAUSE_S = 60.0
_JSON_BYTES = 2**26
_CHUNK = 2**18
_JSON = "application/dicom+json"

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomwebLogin:
    """Who asks: a name with a password, or a bearer token. Its text form holds none of them."""

    user: str = field(default="", repr=False)
    """Name for HTTP basic authentication."""
    password: str = field(default="", repr=False)
    """Its password."""
    token: str = field(default="", repr=False)
    """Bearer token, in place of the two."""

    @staticmethod
    def from_environment() -> DicomwebLogin:
        """What MEDSEG_DICOMWEB_USER, MEDSEG_DICOMWEB_PASSWORD and MEDSEG_DICOMWEB_TOKEN hold; empty where unset."""
        names = {name: os.environ.get(f"MEDSEG_DICOMWEB_{name.upper()}", "") for name in ("user", "password", "token")}
        return DicomwebLogin(**names)


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomwebOptions:
    """How a server is asked."""

    login: DicomwebLogin | None = None
    """Who asks; None takes what the environment holds, see `DicomwebLogin.from_environment`."""
    connect_timeout_s: float = 10.0
    """Seconds to reach the server."""
    read_timeout_s: float = 120.0
    """Seconds without a byte of its answer."""
    retries: int = 4
    """How often a request is sent again after a lost connection, a cut answer or one of 408, 429 and 5xx."""
    first_pause_s: float = 0.5
    """Seconds before the first of them; doubled each time. What the server asks for in Retry-After is kept to."""
    verify_tls: bool = True
    """Whether the server's certificate is checked. Off, anybody on the way can read and change the study."""
    ca_file: Path | None = None
    """Certificates of the authorities to trust, PEM; None takes those of the machine."""
    client_certificate: Path | None = None
    """PEM file with a certificate and its key, for servers that ask for one."""
    limits: ReadLimits = ReadLimits()
    """Most instances, bytes of one and bytes of all."""

    def __post_init__(self) -> None:
        pauses = (self.connect_timeout_s, self.read_timeout_s)
        if self.retries < 0 or self.first_pause_s < 0 or min(pauses) <= 0:
            raise InvalidInputError(
                "DicomwebOptions: expected timeouts above 0, and retries and pauses of 0 and more, found "
                f"timeouts {pauses}, {self.retries} retries, pause {self.first_pause_s}. Correct them."
            )


class DicomwebServer:
    """An open connection; use it in `with`."""

    def __init__(self, url: str, options: DicomwebOptions) -> None:
        """`url` is where the DICOMweb services begin, as `https://pacs.example.org/dicom-web`.

        Raises:
            InvalidInputError: it is no http address, or holds a login or a query.
        """
        self.place = _place(url)
        self.options = options
        self._session = requests.Session()
        self._session.auth = _auth(options.login or DicomwebLogin.from_environment())
        self._session.cert = str(options.client_certificate) if options.client_certificate else None
        # Given to each request: requests prefers an environment variable to the session's own setting.
        self._verify: bool | str = options.verify_tls and (str(options.ca_file) if options.ca_file else True)
        if not options.verify_tls:
            _log.warning("DICOMweb: certificates are not checked, as asked for.")

    def __enter__(self) -> DicomwebServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def search(self, path: str, query: Mapping[str, str], missing: tuple[int, ...] = ()) -> list[dict[str, Any]]:
        """What a search (QIDO-RS) finds, one object per match; empty where nothing is found or with a `missing` status.

        Raises:
            DicomwebError: see `ask`; or the answer is no list of objects.
        """

        def read(response: requests.Response) -> list[dict[str, Any]]:
            if response.status_code in (204, *missing):
                return []
            answer = read_json(response)
            if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
                raise DicomwebError(
                    f"{self.place}: expected a list of matches, found another answer. Check that the address is "
                    "DICOMweb's."
                )
            return answer

        return self.ask("GET", path, read, query=query, headers={"Accept": _JSON}, accepted=missing)

    def ask(
        self,
        method: str,
        path: str,
        read: Callable[[requests.Response], Found],
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        accepted: tuple[int, ...] = (),
    ) -> Found:
        """What `read` makes of the answer; it may be called again, with the answer to a request sent again.

        Raises:
            DicomwebError: the server cannot be reached, its certificate is not trusted, it refuses, or its answer is
                cut, after all retries. Answers with a status in `accepted` go to `read`.
        """
        for attempt in range(self.options.retries + 1):
            last, answered = attempt == self.options.retries, False
            try:
                with self._sent(method, path, query, headers, body) as response:
                    answered = True
                    if response.status_code in _AGAIN and not last:
                        pause = self._pause(attempt, response.headers.get("Retry-After", ""))
                    else:
                        self._check_status(response.status_code, accepted)
                        return read(response)
            except requests.exceptions.SSLError:
                raise DicomwebError(
                    f"{self.place}: expected a certificate that can be trusted, found one that cannot. Give the "
                    "authority's certificate as DicomwebOptions.ca_file."
                ) from None
            except _LOST as lost:
                if last:
                    raise DicomwebError(self._lost(lost, answered, attempt + 1)) from None
                pause = self._pause(attempt, "")
            except requests.exceptions.RequestException as failure:
                raise DicomwebError(
                    f"{self.place}: expected an answer, found a request that cannot be sent "
                    f"({type(failure).__name__}). Check the address, the login and the certificates."
                ) from None
            _log.info("DICOMweb: no good answer, asking again in %.1f s (%d of %d).", pause, attempt + 1,
                      self.options.retries)  # fmt: skip
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def _sent(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        body: bytes | None,
    ) -> Iterator[requests.Response]:
        timeouts = (self.options.connect_timeout_s, self.options.read_timeout_s)
        with quiet_parsers():  # urllib3 logs addresses, and a query may hold a patient's number
            response = self._session.request(
                method,
                f"{self.place}/{path}",
                params=dict(query or {}),
                headers=dict(headers or {}),
                data=body,
                timeout=timeouts,
                verify=self._verify,
                stream=True,
                allow_redirects=False,  # a login must not follow to where the server points
            )
            try:
                yield response
            finally:
                response.close()

    def _check_status(self, status: int, accepted: tuple[int, ...]) -> None:
        if status in accepted or 200 <= status < 300:
            return
        advice = {
            401: "no login it accepts. Give DicomwebOptions.login, or set MEDSEG_DICOMWEB_USER and "
            "MEDSEG_DICOMWEB_PASSWORD, or MEDSEG_DICOMWEB_TOKEN",
            403: "a login without the right to do this. Ask the server's administrator",
            404: "nothing there. Check the address and the UIDs",
            406: "that it cannot send DICOM in a form read here. Ask the server's administrator",
            413: "that it takes no instance of this size. Ask the server's administrator",
        }
        if 300 <= status < 400:
            what = "that it points to another address. Give that address"
        else:
            what = advice.get(status, "a refusal. Ask the server's administrator")
        raise DicomwebError(f"{self.place}: expected an answer, found {what} (status {status}).")

    def _lost(self, error: Exception, answered: bool, attempts: int) -> str:
        if answered:
            what = "one that is cut. Ask again later"
        elif isinstance(error, requests.exceptions.ReadTimeout):
            what = f"silence for {self.options.read_timeout_s:g} s. Raise DicomwebOptions.read_timeout_s"
        else:
            what = "no server that answers. Check the address, the network and whether the server runs"
        return f"{self.place}: expected an answer, found {what} ({attempts} attempt(s))."

    def _pause(self, attempt: int, asked: str) -> float:
        own = self.options.first_pause_s * 2**attempt
        return min(max(own, float(asked) if asked.isdecimal() else 0.0), _LONGEST_PAUSE_S)


def read_json(response: requests.Response) -> Any:
    """The JSON of an answer of bounded size.

    Raises:
        DicomwebError: it is none, or larger.
    """
    content = bytearray()
    for piece in pieces(response):
        content += piece
        if len(content) > _JSON_BYTES:
            raise DicomwebError(f"DICOMweb: expected JSON of at most {_JSON_BYTES} bytes, found more. Ask for less.")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise DicomwebError(
            "DICOMweb: expected JSON, found something else. Check that the address is DICOMweb's."
        ) from None


def pieces(response: requests.Response) -> Iterator[bytes]:
    """The body of an answer as it comes."""
    yield from response.iter_content(_CHUNK)


_LOST = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
"""Failures after which the same request may succeed."""


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Nobody(AuthBase):
    """Sends no login; in its place requests would look for one in a file of the user's home folder."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _auth(login: DicomwebLogin) -> AuthBase:
    if login.token:
        return _Bearer(login.token)
    if login.user:
        return HTTPBasicAuth(login.user.encode(), login.password.encode())
    return _Nobody()


def _place(url: str) -> str:
    """The address without the slash at its end."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        known = False
    if not known:
        raise InvalidInputError(
            "DICOMweb address: expected one like https://pacs.example.org/dicom-web, found another. Correct it."
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidInputError(
            "DICOMweb address: expected one without a login or a query, found one with. Give the login as "
            "DicomwebOptions.login."
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
