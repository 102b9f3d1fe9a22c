"""The command `vision-apps clinic`: load the model, serve the page, print its address."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from medseg.errors import MedSegError
from vlm_bridge.errors import VlmBridgeError


@dataclass(frozen=True, kw_only=True)
class Clinic:
    """Ask a medical study in the browser. Research use only; not a medical device."""

    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 lets other machines in, without any password."""
    port: int | None = None
    """Port to listen at; by default the first free one from 7860 on."""
    segmenter: str | None = None
    """What answers, as `medseg doctor` lists them; by default the embedded model."""
    weights: Path | None = None
    """A checkpoint of yours for it."""
    device: str = "cpu"
    """Where it computes, as cpu or cuda:0."""


def main(arguments: list[str] | None = None) -> int:
    """Run the page until it is interrupted; returns 0, or 1 after an error that the message explains."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    given = sys.argv[1:] if arguments is None else arguments
    command = tyro.cli(Clinic, prog="vision-apps clinic", args=given)
    try:
        serve_clinic(command)
    except (MedSegError, VlmBridgeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(
            f"error: expected the package {error.name}, found none. Run: pip install 'vision3d-medseg[apps]'",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("closed")
    return 0


def serve_clinic(command: Clinic, *, serve: Callable[..., Any] | None = None) -> None:
    """Load the model and serve the page until it is closed; `serve` takes the place of gradio's own serving.

    Raises:
        InvalidInputError: the segmenter is unknown, or does not take these weights or this device.
        OSError: the port is taken.
    """
    from apps.clinic.examples import default_segmenter
    from apps.clinic.page import BANNER, build_page, launch_page  # before anything that takes long
    from apps.clinic.sessions import Sessions
    from medseg.inference.catalogue import load_segmenter

    name = command.segmenter or default_segmenter()
    print(f"{BANNER} Loading {name}.")
    segmenter = load_segmenter(name, weights=command.weights, device=command.device)
    with tempfile.TemporaryDirectory(prefix="clinic_") as folder:
        root = Path(folder).resolve()
        page = build_page(segmenter, sessions=Sessions(root), root=root)
        address = (serve or launch_page)(page, host=command.host, port=command.port)
        print(f"open {address} in a browser; Ctrl+C ends it and removes what was uploaded", flush=True)
        page.block_thread()
