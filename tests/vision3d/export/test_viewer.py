"""The viewer's page on a small stand-in for a viser server, and on the real one where viser is installed."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.vision3d.export.ball_laga import make_ball_laga, write_ball_laga
from tests.vision3d.laga.colour_words import ColourWords
from vision3d.export.ask_config import AskConfig
from vision3d.export.scene_session import SceneSession
from vision3d.export.view_run import view_run
from vision3d.export.viewer import SceneViewer, covariances, start_viewer
from vision3d.laga.query_config import QueryConfig

ASK = AskConfig(query=QueryConfig(neighbours=1, level="m"))


class Control(SimpleNamespace):
    """A control that remembers what is to be called."""

    def on_click(self, call: Any) -> None:
        self.call = call

    on_update = on_click


class SmallServer:
    """What the viewer needs of a viser server: controls by their label, splats by their name."""

    def __init__(self) -> None:
        self.controls: dict[str, Control] = {}
        self.splats: dict[str, dict[str, np.ndarray]] = {}
        self.clicked: Any = None
        self.stopped = False
        self.gui = SimpleNamespace(
            add_markdown=lambda content: self._add("caption", content=content),
            add_text=lambda label, initial_value: self._add(label, value=initial_value),
            add_dropdown=lambda label, options, initial_value: self._add(label, value=initial_value, options=options),
            add_slider=lambda label, min, max, step, initial_value: self._add(label, value=initial_value),
            add_rgb=lambda label, initial_value: self._add(label, value=initial_value),
            add_vector3=lambda label, initial_value, step: self._add(label, value=initial_value),
            add_button=lambda label: self._add(label),
            add_folder=self._folder,
        )
        self.scene = SimpleNamespace(
            on_pointer_event=lambda event_type: lambda call: setattr(self, "clicked", call),
            add_gaussian_splats=lambda name, **values: self.splats.update({name: values}),
            set_up_direction=lambda direction: setattr(self, "up", direction),
        )

    def on_client_connect(self, call: Any) -> None:
        self.client = SimpleNamespace(camera=SimpleNamespace())
        call(self.client)

    def stop(self) -> None:
        self.stopped = True

    def _add(self, label: str, **values: Any) -> Control:
        self.controls[label] = Control(**values)
        return self.controls[label]

    @contextmanager
    def _folder(self, label: str):
        yield


@pytest.fixture
def made():
    return make_ball_laga(4)


@pytest.fixture
def session(made) -> SceneSession:
    return SceneSession(made.laga, ColourWords(), config=ASK)


def _press(server: SmallServer, label: str, value: Any = None) -> None:
    if value is not None:
        server.controls[label].value = value
    if hasattr(server.controls[label], "call"):
        server.controls[label].call(None)


def test_controls_reach_the_session_and_the_picture_follows(session: SceneSession, made) -> None:
    server = SmallServer()
    viewer = SceneViewer(session, server, cameras=made.balls.cameras)
    drawn = server.splats["/scene"]
    assert drawn["centers"].shape == (len(made.truth), 3)
    assert drawn["opacities"].shape == (len(made.truth), 1)
    _press(server, "Level", "m")
    _press(server, "Phrase", "red")
    _press(server, "Look for it")
    assert server.controls["caption"].content.startswith("red: found")
    assert (server.splats["/scene"]["rgbs"] != drawn["rgbs"]).any(1).sum() == 160
    _press(server, "Layer", "objects")
    assert len(np.unique(server.splats["/scene"]["rgbs"][made.truth.numpy() != 0], axis=0)) == 4
    _press(server, "Remove")
    assert len(server.splats["/scene"]["centers"]) == len(made.truth) - 160
    _press(server, "Undo")
    assert len(server.splats["/scene"]["centers"]) == len(made.truth)
    _press(server, "Threshold", 0.9)
    assert session.view.threshold == 0.9
    viewer.close()
    assert server.stopped


def test_clicks_come_back_to_world_units(session: SceneSession, made) -> None:
    server = SmallServer()
    SceneViewer(session, server, cameras=made.balls.cameras)
    _press(server, "Level", "m")
    factor = server.splats["/scene"]["centers"][0] / made.laga.scene.means[0].numpy()
    assert np.ptp(factor) < 1e-4
    server.clicked(SimpleNamespace(ray_origin=np.array([1.1, 0.2, 5.0]) * factor[0], ray_direction=(0.0, 0.0, -1.0)))
    assert made.truth[session.view.chosen].unique().tolist() == [1]


def test_it_stands_upright_where_the_first_camera_stood(session: SceneSession, made) -> None:
    server = SmallServer()
    SceneViewer(session, server, cameras=made.balls.cameras)
    assert server.up[2] > 0.8
    eye = torch.tensor(server.client.camera.position)
    assert torch.allclose(eye / eye.norm(), made.balls.cameras.camera_centres[0] / 4.243, atol=0.05)


def test_covariances_are_turned_scales() -> None:
    made = make_ball_laga(1)
    found = torch.from_numpy(covariances(made.laga.scene))
    assert torch.allclose(found[0], torch.eye(3).double() * 0.06**2, atol=1e-6)
    assert torch.allclose(torch.linalg.det(found), made.laga.scene.scales.double().prod(1) ** 2, rtol=1e-4)


def test_a_real_server_takes_the_scene(session: SceneSession, made) -> None:
    pytest.importorskip("viser")
    viewer = start_viewer(session, cameras=made.balls.cameras, port=18_631)
    try:
        viewer._do(lambda: session.ask("red"))
        assert session.view.caption.startswith("red: found")
    finally:
        viewer.close()


def test_the_command_runs_until_it_is_interrupted(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    servers = []

    def server(host: str, port: int) -> SmallServer:
        servers.append(SmallServer())
        return servers[-1]

    for module in ("viewer", "view_run"):
        monkeypatch.setattr(f"vision3d.export.{module}.load_viser", lambda: SimpleNamespace(ViserServer=server))

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    laga = write_ball_laga(tmp_path / "run")
    view_run(laga, config=ASK, encoder=ColourWords(), wait=interrupted)
    assert servers[0].stopped
    assert servers[0].splats["/scene"]["centers"].shape == (1040, 3)
