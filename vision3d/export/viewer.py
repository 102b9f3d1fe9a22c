"""The viewer in a browser: splats, a text box, layers, levels, clicks and edits. The only door to viser.

It only lays out controls and passes them on to a `SceneSession`. viser keeps covariances in half precision, so the
scene is shown at a size of a few units and clicks are brought back.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.trajectories import focus_point
from vision3d.errors import MissingDependencyError
from vision3d.export.scene_session import SceneSession
from vision3d.export.view_state import ANY_LEVEL, LAYERS
from vision3d.scene.bounds import point_extent
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.rotations import quats_to_matrices

_SHOWN_RADIUS = 5.0
_NODE = "/scene"


def load_viser() -> Any:
    """The module viser.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        return importlib.import_module("viser")
    except ImportError as error:
        raise MissingDependencyError(
            f"Expected the package viser for the viewer, found none ({error}). Run: pip install 'vision3d-medseg[view]'"
        ) from error


class SceneViewer:
    """A running viewer; it answers in threads of its own until it is closed."""

    def __init__(self, session: SceneSession, server: Any, *, cameras: CameraBatch | None = None) -> None:
        """Put the scene and its controls onto a viser server; `cameras` say where up is and where to stand first."""
        self._session = session
        self._server = server
        self._lock = threading.Lock()
        self._factor = _SHOWN_RADIUS / max(point_extent(session.view.laga.scene.means), 1e-9)
        self._caption = server.gui.add_markdown(session.view.caption)
        self._add_questions()
        self._add_edits()
        server.scene.on_pointer_event(event_type="click")(self._clicked)
        if cameras is not None:
            self._stand_at(cameras)
        self._draw()

    def close(self) -> None:
        """Stop answering."""
        self._server.stop()

    def _add_questions(self) -> None:
        gui, session = self._server.gui, self._session
        phrase = gui.add_text("Phrase", initial_value="")
        self._button("Look for it", lambda: session.ask(phrase.value))
        layer = gui.add_dropdown("Layer", LAYERS, initial_value=session.view.layer)
        layer.on_update(lambda event: self._do(lambda: session.set_layer(layer.value)))
        levels = (ANY_LEVEL, *session.view.laga.level_names)
        level = gui.add_dropdown("Level", levels, initial_value=session.view.level)
        level.on_update(lambda event: self._do(lambda: session.set_level(level.value)))
        start = session.view.threshold
        threshold = gui.add_slider("Threshold", min=0.0, max=1.0, step=0.01, initial_value=start)
        threshold.on_update(lambda event: self._do(lambda: session.set_threshold(threshold.value)))

    def _add_edits(self) -> None:
        gui, session = self._server.gui, self._session
        with gui.add_folder("Edit"):
            self._button("Remove", session.remove)
            self._button("Isolate", session.isolate)
            colour = gui.add_rgb("Colour", initial_value=(200, 40, 40))
            self._button("Recolour", lambda: session.recolour(_shares(colour.value)))
            offset = gui.add_vector3("Offset", initial_value=(0.0, 0.0, 0.0), step=0.01)
            self._button("Move", lambda: session.move(_floats(offset.value)))
            self._button("Duplicate", lambda: session.move(_floats(offset.value), copy=True))
            self._button("Undo", session.undo)
            self._button("Redo", session.redo)
            path = gui.add_text("File", initial_value="edited.ply")
            self._button("Save", lambda: session.save(path.value))

    def _button(self, label: str, action: Callable[[], None]) -> None:
        self._server.gui.add_button(label).on_click(lambda event: self._do(action))

    def _clicked(self, event: Any) -> None:
        origin = _floats(np.asarray(event.ray_origin) / self._factor)
        self._do(lambda: self._session.click(origin, _floats(event.ray_direction)))

    def _do(self, action: Callable[[], None]) -> None:
        with self._lock:
            action()
            self._draw()

    def _draw(self) -> None:
        scene, shown = self._session.view.laga.scene.detach().to("cpu"), self._session.shown
        api = self._server.scene
        # the name that viser 0.2 gave it
        add = getattr(api, "add_gaussian_splats", None) or api._add_gaussian_splats
        add(
            _NODE,
            centers=(scene.means * self._factor).numpy(),
            covariances=(covariances(scene) * self._factor**2).astype(np.float32),
            rgbs=shown.colours.numpy(),
            opacities=shown.opacities[:, None].numpy(),
        )
        self._caption.content = self._session.view.caption

    def _stand_at(self, cameras: CameraBatch) -> None:
        cameras = cameras.to("cpu")
        up = torch.nn.functional.normalize(-cameras.world_to_camera[:, 1, :3].mean(0), dim=0)
        eye = (cameras.camera_centres[0] * self._factor).tolist()
        target = (focus_point(cameras) * self._factor).tolist()
        self._server.scene.set_up_direction(tuple(up.tolist()))

        def stand(client: Any) -> None:
            client.camera.position = tuple(eye)
            client.camera.look_at = tuple(target)

        self._server.on_client_connect(stand)


def start_viewer(
    session: SceneSession, *, cameras: CameraBatch | None = None, host: str = "127.0.0.1", port: int = 8080
) -> SceneViewer:
    """A viewer at http://HOST:PORT, for this machine alone unless another host is given.

    Raises:
        MissingDependencyError: viser is not installed.
    """
    viser = load_viser()
    return SceneViewer(session, viser.ViserServer(host=host, port=port), cameras=cameras)


def covariances(scene: GaussianScene) -> Float[ndarray, "gaussian 3 3"]:
    """Covariance of each Gaussian, square world units."""
    axes = quats_to_matrices(scene.quats.double()) * torch.exp(scene.log_scales.double())[:, None, :]
    return (axes @ axes.transpose(1, 2)).numpy()


def _floats(values: Any) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _shares(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    return _floats(np.asarray(colour) / 255)
