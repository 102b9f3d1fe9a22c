"""`SceneView`: what the viewer shows and what its controls do, without any browser.

A view never changes; every control gives a new one. Colours and opacities are made from it by `shown_splats`.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.trajectories import look_at
from vision3d.errors import InvalidInputError
from vision3d.export.edit_history import EditHistory, start_editing
from vision3d.export.edited_objects import follow_objects
from vision3d.export.edits import Edit
from vision3d.laga.laga_scene import LagaScene
from vision3d.laga.query_scene import QueryResult, SceneQueries
from vision3d.scene.gaussian_scene import SH_C0

Layer = Literal["RGB", "relevance", "objects"]
LAYERS: tuple[Layer, ...] = ("RGB", "relevance", "objects")
ANY_LEVEL = "any"
"""A phrase is looked for on the level that fits it best."""
_GREY, _DIMMED = 0.55, 0.35
_HIGHLIGHT = (1.0, 0.69, 0.0)
_HIGHLIGHT_SHARE = 0.45
_GOLDEN_TURN = 0.61803398875
_CLICK_PIXELS = 3
_CLICK_FOCAL = 1500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneView:
    """Everything the viewer's controls set."""

    original: LagaScene
    """The scene as it was opened."""
    laga: LagaScene
    """The scene as it is edited now."""
    history: EditHistory
    """The edits that lead from one to the other."""
    layer: Layer = "RGB"
    """What the colours tell."""
    level: str = ANY_LEVEL
    """Level of objects, of phrases and of clicks."""
    threshold: float = 0.6
    """Share of the best score from which a Gaussian is selected."""
    result: QueryResult | None = None
    """Answer to the last phrase or click."""
    phrase: str = ""
    """The last phrase; empty after a click."""
    caption: str = field(default="Type what to look for, or click a thing.")
    """A sentence on the last answer."""

    @property
    def chosen(self) -> Bool[Tensor, " gaussian"] | None:
        """The selection; None where there is none."""
        if self.result is None or not bool(self.result.chosen.any()):
            return None
        return self.result.chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSplats:
    """What is drawn."""

    colours: Float[Tensor, "gaussian 3"]
    """RGB in 0-1."""
    opacities: Float[Tensor, " gaussian"]
    """In 0-1."""


def open_view(laga: LagaScene) -> SceneView:
    """The scene as it is opened."""
    return SceneView(original=laga, laga=laga, history=start_editing(laga.scene))


def query_level(view: SceneView) -> str | None:
    """Level that phrases are looked for on; None is any."""
    return None if view.level == ANY_LEVEL else view.level


def with_layer(view: SceneView, layer: str) -> SceneView:
    """Another meaning of the colours.

    Raises:
        InvalidInputError: there is no such layer.
    """
    for known in LAYERS:
        if known == layer:
            return replace(view, layer=known)
    raise InvalidInputError(f"Expected a layer of {', '.join(LAYERS)}, found {layer!r}. Choose one of these.")


def with_level(view: SceneView, level: str) -> SceneView:
    """Another level; the selection is dropped, for it was made on the level before.

    Raises:
        InvalidInputError: the scene has no such level.
    """
    known = (ANY_LEVEL, *view.laga.level_names)
    if level not in known:
        raise InvalidInputError(f"Expected a level of {', '.join(known)}, found {level!r}. Choose one of these.")
    return replace(view, level=level, result=None)


def answered(view: SceneView, queries: SceneQueries, phrase: str) -> SceneView:
    """The view after a phrase; an empty one drops the selection. `queries` are of this view's scene and settings."""
    if not phrase.strip():
        return replace(view, result=None, phrase="", caption="Type what to look for, or click a thing.")
    result = queries.text(phrase)
    unknown = f" (never learned: {', '.join(result.unknown_words)})" * bool(result.unknown_words)
    return replace(view, result=result, phrase=phrase, caption=f"{phrase}: {told(result)}{unknown}")


def clicked(
    view: SceneView, queries: SceneQueries, origin: Float[Tensor, " 3"], direction: Float[Tensor, " 3"]
) -> SceneView:
    """The view after a click along a ray, world units."""
    camera = camera_along(origin, direction).to(queries.device)
    middle = _CLICK_PIXELS / 2
    result = queries.click(camera, x=middle, y=middle, level=query_level(view))
    name = f"object {int(result.objects[0])}" if len(result.objects) else "no object"
    return replace(view, result=result, phrase="", caption=f"{name} there: {told(result)}")


def told(result: QueryResult) -> str:
    """An answer in words."""
    if result.status == "not found":
        return "not found"
    return f"{result.status}, relevance {result.relevance:.2f}, {int(result.chosen.sum()):,} Gaussians"


def edited(view: SceneView, edit: Edit) -> SceneView:
    """The view after one more edit of the Gaussians; its selection names rows of the scene before, and is dropped.

    Raises:
        InvalidInputError: the edit does not fit the scene.
    """
    return _with_history(view, view.history.apply(edit))


def undone(view: SceneView) -> SceneView:
    """The view without the last edit.

    Raises:
        InvalidInputError: nothing is left to undo.
    """
    return _with_history(view, view.history.undo())


def redone(view: SceneView) -> SceneView:
    """The view with the edit that was undone last.

    Raises:
        InvalidInputError: nothing was undone.
    """
    return _with_history(view, view.history.redo())


def shown_splats(view: SceneView) -> ShownSplats:
    """Colours and opacities of all Gaussians in the view's layer; a selection is tinted in amber.

    `relevance` runs from grey to red by the last answer, `objects` gives each object a colour of its own.
    """
    base = (view.laga.scene.sh[:, 0].detach().cpu() * SH_C0 + 0.5).clamp(0, 1)
    if view.layer == "objects":
        colours = object_colours(view)
    elif view.layer == "relevance":
        scores = torch.zeros(len(base)) if view.result is None else view.result.gaussian_scores.cpu()
        colours = relevance_colours(scores.float(), base)
    else:
        colours = base
    if view.chosen is not None and view.layer != "relevance":
        tint = torch.tensor(_HIGHLIGHT)
        tinted = (1 - _HIGHLIGHT_SHARE) * colours + _HIGHLIGHT_SHARE * tint
        colours = torch.where(view.chosen.cpu()[:, None], tinted, colours)
    return ShownSplats(colours=colours, opacities=view.laga.scene.opacities.detach().cpu())


def relevance_colours(
    scores: Float[Tensor, " gaussian"], base: Float[Tensor, "gaussian 3"]
) -> Float[Tensor, "gaussian 3"]:
    """Dim grey where a score is 0, over yellow to red where it is 1."""
    share = scores.clamp(0, 1)[:, None]
    grey = _DIMMED * base.mean(1, keepdim=True).expand(-1, 3)
    warm = torch.cat([torch.ones_like(share), 1 - share, torch.zeros_like(share)], 1)
    return (1 - share) * grey + share * warm


def object_colours(view: SceneView) -> Float[Tensor, "gaussian 3"]:
    """A colour per object of the level (the second finest for any), far apart for neighbouring numbers; grey = none."""
    names = view.laga.level_names
    row = names.index(view.level) if view.level in names else min(len(names) // 2, 1)
    numbers = view.laga.gaussian_object[row].cpu()
    palette = torch.tensor([_colour(number) for number in range(view.laga.object_count)] + [(_GREY,) * 3])
    return palette[numbers]


def camera_along(origin: Float[Tensor, " 3"], direction: Float[Tensor, " 3"]) -> CameraBatch:
    """A camera of three by three pixels whose middle looks along a ray.

    Raises:
        InvalidInputError: the ray has no direction.

    Example:
        >>> camera_along(torch.zeros(3), torch.tensor([0.0, 0.0, 2.0])).world_to_camera[0, 2].tolist()
        [0.0, 0.0, 1.0, 0.0]
    """
    up = torch.zeros(3)
    up[int(direction.abs().argmin())] = 1.0
    middle = _CLICK_PIXELS / 2
    return CameraBatch(
        world_to_camera=look_at(origin.float(), (origin + direction).float(), up)[None],
        intrinsics=torch.tensor([[[_CLICK_FOCAL, 0, middle], [0, _CLICK_FOCAL, middle], [0, 0, 1]]]),
        image_sizes=torch.tensor([[_CLICK_PIXELS, _CLICK_PIXELS]]),
        names=("the viewer",),
    )


def _with_history(view: SceneView, history: EditHistory) -> SceneView:
    laga = follow_objects(view.original, history.now)
    return replace(view, laga=laga, history=history, result=None, caption=f"{history.place} edits")


def _colour(number: int) -> tuple[float, float, float]:
    return colorsys.hsv_to_rgb((number * _GOLDEN_TURN) % 1.0, 0.55 + 0.35 * (number % 2), 0.95)
