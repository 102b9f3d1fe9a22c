"""A PACS of its own for a test: Orthanc with its DICOMweb plugin on a free port, its storage in a temporary folder."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

USER, PASSWORD = "reader", "planted-secret-71"
_PLACES = ("/usr/sbin/Orthanc", "/usr/bin/Orthanc", "/usr/local/bin/Orthanc")
_PLUGINS = ("/usr/share/orthanc/plugins", "/usr/lib/orthanc", "/usr/local/share/orthanc/plugins")
_START_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacs:
    """A running server."""

    url: str
    """Where its DICOMweb services begin."""
    log: Path
    """What it wrote."""


@contextmanager
def running_orthanc(folder: Path) -> Iterator[Pacs]:
    """Start it, wait until it answers, and end it; the test is skipped where it is not installed."""
    binary, plugin = _installed()
    port = _free_port()
    settings = {
        "Name": "test", "StorageDirectory": str(folder / "storage"), "IndexDirectory": str(folder / "storage"),
        "HttpPort": port, "DicomServerEnabled": False, "RemoteAccessAllowed": False, "Plugins": [str(plugin)],
        "AuthenticationEnabled": True, "RegisteredUsers": {USER: PASSWORD}, "HttpThreadsCount": 4,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(settings))
    log = folder / "orthanc.log"
    with log.open("wb") as out:
        process = subprocess.Popen([binary, str(folder / "settings.json")], stdout=out, stderr=out, cwd=folder)
    try:
        _wait(process, port, log)
        yield Pacs(url=f"http://127.0.0.1:{port}/dicom-web", log=log)
    finally:
        process.kill()  # nothing it holds is to last
        process.wait()


def _installed() -> tuple[str, Path]:
    binary = shutil.which("Orthanc") or next((place for place in _PLACES if os.access(place, os.X_OK)), None)
    plugin = next((found for place in _PLUGINS for found in Path(place).glob("libOrthancDicomWeb.so*")), None)
    if binary is None or plugin is None:
        pytest.skip("needs Orthanc with its DICOMweb plugin (Debian packages orthanc and orthanc-dicomweb)")
    return binary, plugin


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/system", timeout=2).close()
            return
        except urllib.error.HTTPError as answer:
            if answer.code == 401:  # it runs, and asks who we are
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"Orthanc does not answer: {log.read_text(errors='replace')[-2000:]}")
