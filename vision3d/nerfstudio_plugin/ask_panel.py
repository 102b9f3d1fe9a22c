"""`AskPanel`: the folder "Ask the scene" in nerfstudio's viewer.

Its callbacks run in the viewer's own threads and take no lock of the trainer, so a question is answered while training
goes on; only drawing the answer waits for the step in progress.
"""

from __future__ import annotations

from typing import Any

import torch
from nerfstudio.viewer.viewer import VISER_NERFSTUDIO_SCALE_RATIO
from nerfstudio.viewer.viewer_elements import ViewerClick, ViewerControl

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.trajectories import focus_point
from vision3d.laga.laga_scene import laga_path_of, load_laga_scene
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.query_pictures import caption_of
from vision3d.language.catalogue import load_encoder
from vision3d.nerfstudio_plugin.live_answers import LAYERS, LiveAnswers
from vision3d.reconstruction.fit_scene import SCENE_NAME

_ALL_LEVELS = "all"
_STEP_FORWARD = 0.12
"""Share of the way to the target; at the photo's place itself its own frame would stand in the picture."""
_NOT_YET = "*Not taken apart yet: the answer comes as soon as it is.*"


class AskPanel(ViewerControl):
    """Text box, layers, level, threshold and clicks."""

    def __init__(self, answers: LiveAnswers, cameras: CameraBatch) -> None:
        """Remember whom to ask; the viewer calls `_setup` when it starts."""
        self._answers = answers
        self._cameras = cameras

    def _setup(self, viewer: Any) -> None:
        super()._setup(viewer)
        server = self.viser_server
        server.gui.configure_theme(control_layout="collapsible", dark_mode=True)  # no logo from the web
        with server.gui.add_folder("Ask the scene", order=0):
            self._phrase = server.gui.add_text("Phrase", "")
            self._ask = server.gui.add_button("Ask")
            self._layer = server.gui.add_dropdown("Show", LAYERS)
            self._level = server.gui.add_dropdown("Level", (_ALL_LEVELS,))
            self._threshold = server.gui.add_slider(
                "Threshold", min=0.0, max=1.0, step=0.05, initial_value=QueryConfig().selection_threshold
            )
            self._clicks = server.gui.add_checkbox("Select by clicking", False)
            self._said = server.gui.add_markdown(_NOT_YET)
        self._ask.on_click(lambda _: self._put_phrase())
        self._layer.on_update(lambda _: self._show(self._layer.value))
        self._level.on_update(lambda _: self._answers.set_level(self._chosen_level()))
        self._threshold.on_update(lambda _: self._answers.set_threshold(self._threshold.value))
        self._clicks.on_update(lambda _: self._listen_to_clicks())
        self._answers.listen(self._tell)
        server.on_client_connect(self._face_the_scene)
        server.scene.set_up_direction(tuple(self._up().tolist()))
        self._open_earlier_answers()

    def _put_phrase(self) -> None:
        self._answers.ask(self._phrase.value)
        if self._phrase.value.strip() and self._layer.value == "rgb":
            self._layer.value = "selection"
            self._show("selection")

    def _show(self, layer: str) -> None:
        self.viewer.control_panel._output_render.value = layer
        self.viewer._trigger_rerender()

    def _chosen_level(self) -> str | None:
        return None if self._level.value == _ALL_LEVELS else self._level.value

    def _listen_to_clicks(self) -> None:
        if self._clicks.value:
            self.register_pointer_cb("click", self._clicked)
        else:
            self.unregister_pointer_cb()

    def _clicked(self, click: ViewerClick) -> None:
        self._answers.click(torch.tensor(click.origin), torch.tensor(click.direction))
        if self._layer.value == "rgb":
            self._layer.value = "selection"
            self._show("selection")

    def _tell(self) -> None:
        """Show the answer, and draw it."""
        shown = self._answers.shown
        levels = (_ALL_LEVELS, *self._answers.level_names)
        if tuple(self._level.options) != levels:
            self._level.options = levels
        if shown is None:
            self._said.content = _NOT_YET
        elif shown.result is None:
            self._said.content = f"{shown.laga.object_count} objects, seen at step {shown.laga.facts.get('step', '?')}."
        else:
            result = shown.result
            unknown = f" Never learned: {', '.join(result.unknown_words)}." if result.unknown_words else ""
            count = f", {int(result.chosen.sum()):,} Gaussians." if result.status != "not found" else ""
            self._said.content = caption_of(result.question, result.status, result.relevance) + count + unknown
        self.viewer._trigger_rerender()

    def _face_the_scene(self, client: Any) -> None:
        """A new viewer starts a little in front of a photo's place, looking at what the photos look at."""
        centre, target = self._cameras.camera_centres[len(self._cameras) // 2], focus_point(self._cameras)
        place = torch.lerp(centre, target, _STEP_FORWARD)
        client.camera.position = (place * VISER_NERFSTUDIO_SCALE_RATIO).numpy()
        client.camera.look_at = (target * VISER_NERFSTUDIO_SCALE_RATIO).numpy()

    def _up(self) -> torch.Tensor:
        """Mean upward direction of the photos."""
        return torch.nn.functional.normalize(-self._cameras.world_to_camera[:, 1, :3].mean(0), dim=0)

    def _open_earlier_answers(self) -> None:
        """Where the run was taken apart before (`ns-viewer`), its answers are there from the start."""
        path = laga_path_of(self.viewer.log_filename.parent / SCENE_NAME)
        if path.is_file():
            laga = load_laga_scene(path)
            self._answers.publish(laga, load_encoder(laga.encoder_name, device=str(laga.scene.device)))
