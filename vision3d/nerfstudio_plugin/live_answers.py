"""`LiveAnswers`: the question that stands, and its answer from the last scene that was taken apart.

Askers and renderers are threads of the viewer and never wait for training: an answer is one immutable value that is
swapped whole. When a newer snapshot is published the standing question is asked again.
"""

from __future__ import annotations

import colorsys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.laga.laga_scene import LagaScene
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.query_pictures import highlighted
from vision3d.laga.query_scene import QueryResult, SceneQueries
from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.rendering.catalogue import choose_renderer
from vision3d.rendering.render_views import splats_of
from vision3d.rendering.renderer import RasterOptions

LAYERS = ("rgb", "relevance", "selection", "objects")
"""What the viewer can show; all but `rgb` need a scene that was taken apart."""
_HUE_STEP = 0.618034
_Question = Callable[[SceneQueries], QueryResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An answer, ready to be drawn."""

    laga: LagaScene
    """The scene that gave it."""
    result: QueryResult | None
    """None: nothing was asked."""
    channels: Float[Tensor, "gaussian 5"]
    """Relative score, membership of the selection, and the colour of the Gaussian's object."""


class LiveAnswers:
    """Answers in words, in clicks and in pictures, from whatever threads ask."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._queries: SceneQueries | None = None
        self._question: _Question | None = None
        self._config = QueryConfig()
        self._listeners: list[Callable[[], None]] = []
        self.shown: Shown | None = None

    @property
    def level_names(self) -> tuple[str, ...]:
        """Levels of the scene, fine to coarse; none before it was taken apart."""
        return () if self.shown is None else self.shown.laga.level_names

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every new answer."""
        self._listeners.append(listener)

    def publish(self, laga: LagaScene, encoder: ImageTextEncoder) -> None:
        """Answer from this scene from now on."""
        with self._asking:
            self._queries = SceneQueries(laga, encoder)
            self._config = replace(self._config, level=self._level_of(laga, self._config.level))
            self._answer()
        self._tell()

    def ask(self, phrase: str) -> None:
        """Put a phrase; an empty one takes the question back."""
        words = phrase.strip()
        self._put((lambda queries: queries.text(words)) if words else None)

    def click(self, origin: Float[Tensor, " 3"], direction: Float[Tensor, " 3"], *, pixel_angle: float = 2e-3) -> None:
        """Put what lies along a ray of the scene, as wide as a pixel of `pixel_angle` radians."""
        camera = camera_along(origin, direction, pixel_angle=pixel_angle)
        middle = float(camera.image_sizes[0, 0]) / 2

        def question(queries: SceneQueries) -> QueryResult:
            found = queries.click(camera.to(queries.device), x=middle, y=middle)
            return replace(found, question="what was clicked")

        self._put(question)

    def set_level(self, level: str | None) -> None:
        """Ask one level alone, or with None all of them."""
        self._change(lambda config, laga: replace(config, level=self._level_of(laga, level)))

    def set_threshold(self, share: float) -> None:
        """Select from this share of the best score on."""
        self._change(lambda config, _: replace(config, selection_threshold=share))

    def layers(
        self, cameras: CameraBatch, rgb: Float[Tensor, "height width 3"]
    ) -> dict[str, Float[Tensor, "height width channel"]]:
        """The layers of one camera beside `rgb`; none before the scene was taken apart."""
        shown = self.shown
        if shown is None:
            return {}
        scene = shown.laga.scene
        options = RasterOptions(antialiased=shown.laga.antialiased)
        channels = shown.channels.to(scene.device)
        drawn = choose_renderer(scene.device).rasterize(splats_of(scene), cameras, channels, options=options)
        image = drawn.channels[0]
        chosen = image[..., 1] >= self._config.render_threshold
        lit = rgb
        if shown.result is not None:
            picture = (rgb.clamp(0, 1) * 255).byte().cpu().numpy()
            lit = torch.from_numpy(highlighted(picture, chosen.cpu().numpy())).to(rgb) / 255.0
        return {"relevance": image[..., :1].clamp(0, 1), "selection": lit, "objects": image[..., 2:].clamp(0, 1)}

    def _put(self, question: _Question | None) -> None:
        with self._asking:
            self._question = question
            self._answer()
        self._tell()

    def _change(self, change: Callable[[QueryConfig, LagaScene | None], QueryConfig]) -> None:
        with self._asking:
            self._config = change(self._config, None if self._queries is None else self._queries.laga)
            self._answer()
        self._tell()

    def _answer(self) -> None:
        if self._queries is None:
            return
        self._queries.config = self._config
        result = None if self._question is None else self._question(self._queries)
        laga = self._queries.laga
        self.shown = Shown(laga=laga, result=result, channels=_channels(laga, result, self._config.level))

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    @staticmethod
    def _level_of(laga: LagaScene | None, level: str | None) -> str | None:
        return level if laga is not None and level in laga.level_names else None


def camera_along(
    origin: Float[Tensor, " 3"], direction: Float[Tensor, " 3"], *, pixel_angle: float, side: int = 33
) -> CameraBatch:
    """A small camera whose middle pixel looks along a ray."""
    forward = torch.nn.functional.normalize(direction.float(), dim=0)
    helper = torch.eye(3)[int(forward.abs().argmin())]
    right = torch.nn.functional.normalize(torch.linalg.cross(helper, forward), dim=0)
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward])
    pose = torch.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ origin.float()
    focal = 1.0 / pixel_angle
    return CameraBatch(
        world_to_camera=pose[None],
        intrinsics=torch.tensor([[[focal, 0, side / 2], [0, focal, side / 2], [0, 0, 1]]]),
        image_sizes=torch.tensor([[side, side]]),
        names=("click",),
    )


def object_colours(count: int) -> Float[Tensor, "object 3"]:
    """Colours that neighbours in number do not share, the same in every run."""
    hues = [colorsys.hsv_to_rgb((number * _HUE_STEP) % 1.0, 0.65, 0.95) for number in range(count)]
    return torch.tensor(hues).reshape(-1, 3)


def _channels(laga: LagaScene, result: QueryResult | None, level: str | None) -> Float[Tensor, "gaussian 5"]:
    row = laga.gaussian_object[laga.level_names.index(level) if level else len(laga.level_names) // 2].cpu()
    colours = torch.cat([object_colours(laga.object_count), torch.full((1, 3), 0.2)])[row]
    channels = torch.zeros(len(laga.scene), 5)
    channels[:, 2:] = colours
    if result is not None and result.status != "not found":
        channels[:, 0] = result.gaussian_scores
        channels[:, 1] = result.chosen.float()
    return channels
