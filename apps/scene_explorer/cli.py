"""The command `python -m apps.scene_explorer [SCENE]`: prepare or open a scene, serve the page, print its address."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from vision3d.errors import Vision3DError
from vision3d.export.ask_config import AskConfig
from vlm_bridge.errors import VlmBridgeError


@dataclass(frozen=True, kw_only=True)
class Explore:
    """Ask a scene in the browser: in words, by a click, or from the table of its objects."""

    scene: tyro.conf.Positional[Path | None] = None
    """NAME.laga.safetensors as `vision3d train` wrote it, splats, or the folder of either; by default the embedded
    scene, which is fitted and taken apart first where that has not been done yet (minutes)."""
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 lets other machines in, who may then open any scene of this one."""
    port: int | None = None
    """Port to listen at; by default the first free one from 7860 on."""
    config: Annotated[AskConfig, tyro.conf.arg(name="")] = field(default_factory=AskConfig)
    """How things are found."""


def main(arguments: list[str] | None = None) -> int:
    """Run the page until it is interrupted; returns 0, or 1 after an error that the message explains."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    given = sys.argv[1:] if arguments is None else arguments
    command = tyro.cli(Explore, prog="python -m apps.scene_explorer", args=given)
    try:
        explore(command)
    except (Vision3DError, VlmBridgeError, OSError) as error:
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


def explore(command: Explore, *, serve: Callable[..., Any] | None = None) -> None:
    """Open the scene and serve the page until it is closed; `serve` takes the place of gradio's own serving."""
    from apps.scene_explorer.explored_scene import open_explored
    from apps.scene_explorer.page import build_page, launch_page  # before anything that takes long
    from apps.scene_explorer.prepare_scene import find_prepared, prepare_scene
    from vision3d.demo import DEMO_PHRASES

    scene, examples = command.scene, ()
    if scene is None:
        scene, examples = find_prepared(), DEMO_PHRASES
        if scene is None:
            print("The embedded scene is fitted and taken apart first: a few minutes, once.")
            scene = prepare_scene()
    print(f"opening {scene}")
    explored = open_explored(scene, config=command.config, examples=examples)
    with tempfile.TemporaryDirectory(prefix="scene_explorer_") as folder:
        page = build_page(
            explored, folder=Path(folder), open_scene=lambda name: open_explored(name, config=command.config)
        )
        address = (serve or launch_page)(page, host=command.host, port=command.port)
        print(f"open {address} in a browser; Ctrl+C ends it", flush=True)
        page.block_thread()
