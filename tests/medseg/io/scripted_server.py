"""A web server on this machine that answers as a test tells it, to see what a client makes of bad answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext


@dataclass(kw_only=True)
class Reply:
    """One answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    promised: int | None = None
    """Content-Length where it differs from the body."""
    wait_s: float = 0.0


@dataclass(kw_only=True)
class Scripted:
    """A running server and what it was asked."""

    url: str
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, address and headers of each request."""
    bodies: list[bytes] = field(default_factory=list)


def as_json(value: object, status: int = 200) -> Reply:
    """A Reply in DICOM's JSON."""
    return Reply(status=status, body=json.dumps(value).encode(), headers={"Content-Type": "application/dicom+json"})


def as_parts(*contents: bytes, boundary: str = "b0undary", end: bool = True) -> Reply:
    """A Reply of several parts."""
    body = b"".join(b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (boundary.encode(), content)
                    for content in contents)  # fmt: skip
    body += b"--%s--\r\n" % boundary.encode() if end else b""
    return Reply(
        body=body, headers={"Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}'}
    )


@contextmanager
def scripted(replies: dict[str, Sequence[Reply]], secure: SSLContext | None = None) -> Iterator[Scripted]:
    """A server that gives each address (without its query) its replies in turn, the last one again and again."""
    seen: dict[str, int] = {}
    running = Scripted(url="")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def answer(self) -> None:
            place = self.path.partition("?")[0]
            running.asked.append((self.command, self.path, dict(self.headers)))
            running.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            at = seen[place] = seen.get(place, -1) + 1
            script = replies.get(place, [Reply(status=404)])
            reply = script[min(at, len(script) - 1)]
            time.sleep(reply.wait_s)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body) if reply.promised is None else reply.promised))
            self.end_headers()
            self.wfile.write(reply.body)
            if reply.promised is not None:
                self.close_connection = True

        do_GET = do_POST = answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if secure is not None:
        server.socket = secure.wrap_socket(server.socket, server_side=True)
    running.url = f"http{'s' if secure else ''}://127.0.0.1:{server.server_port}/dicom-web"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
