"""`view_run`: a trained scene in the browser."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from vision3d.export.ask_config import AskConfig
from vision3d.export.open_scene import open_scene, scene_encoder
from vision3d.export.scene_session import SceneSession
from vision3d.export.viewer import load_viser, start_viewer
from vision3d.language.image_text_encoder import ImageTextEncoder

_log = logging.getLogger(__name__)


def view_run(
    source: str | Path,
    *,
    cameras: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    config: AskConfig = AskConfig(),
    encoder: ImageTextEncoder | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Show the scene until the program is interrupted.

    Args:
        source: NAME.laga.safetensors as `train_scene` wrote it, its splats beside it; or their folder.
        cameras: where up is and where to stand first; None takes those beside the splats.
        host: address to listen at; 0.0.0.0 lets other machines in.
        port: port to listen at.
        config: how things are found.
        encoder: None loads the one the scene was trained with.
        wait: sleeps between looks at whether the program is interrupted.

    Raises:
        MissingDependencyError: viser is not installed.
        ModelFileError: scene or encoder are missing or damaged.
    """
    load_viser()  # before anything that takes long
    opened = open_scene(source, device=config.device, cameras=cameras)
    session = SceneSession(opened.laga, encoder or scene_encoder(opened, config), config=config)
    viewer = start_viewer(session, cameras=opened.cameras, host=host, port=port)
    _log.info("open http://%s:%d in a browser; Ctrl+C ends it", host, port)
    try:
        while True:
            wait(1.0)
    except KeyboardInterrupt:
        _log.info("closed")
    finally:
        viewer.close()
