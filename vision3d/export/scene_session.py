"""`SceneSession`: a `SceneView` with the queries that fit it, one method per control of the viewer.

The one place with state: the view that is shown, the encoder, and neighbours that are expensive to find again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from vision3d.errors import InvalidInputError, Vision3DError
from vision3d.export.ask_config import AskConfig
from vision3d.export.edit_run import save_edited
from vision3d.export.edits import Duplicate, Isolate, Move, Recolour, Remove
from vision3d.export.free_target import check_free
from vision3d.export.view_state import (
    SceneView,
    ShownSplats,
    answered,
    clicked,
    edited,
    open_view,
    query_level,
    redone,
    shown_splats,
    undone,
    with_layer,
    with_level,
)
from vision3d.laga.laga_scene import LagaScene, laga_path_of
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.query_scene import SceneQueries
from vision3d.language.image_text_encoder import ImageTextEncoder

_log = logging.getLogger(__name__)


class SceneSession:
    """What a person does with a scene."""

    def __init__(self, laga: LagaScene, encoder: ImageTextEncoder, *, config: AskConfig = AskConfig()) -> None:
        """Open the scene.

        Raises:
            InvalidInputError: the encoder is not the scene's.
        """
        self._encoder = encoder
        self._config = config
        self.view: SceneView = replace(open_view(laga), threshold=config.query.selection_threshold)
        self._queries = self._new_queries()

    @property
    def shown(self) -> ShownSplats:
        """What is drawn now."""
        return shown_splats(self.view)

    def ask(self, phrase: str) -> None:
        """Look for a phrase."""
        self._change(lambda view: answered(view, self._queries, phrase))

    def click(self, origin: tuple[float, float, float], direction: tuple[float, float, float]) -> None:
        """Choose what a ray meets first, world units."""
        ray = torch.tensor(origin), torch.tensor(direction)
        self._change(lambda view: clicked(view, self._queries, *ray))

    def set_layer(self, layer: str) -> None:
        """Show colours, relevance or objects."""
        self._change(lambda view: with_layer(view, layer))

    def set_level(self, level: str) -> None:
        """Look on another level; the last phrase is asked again."""
        self._change(lambda view: with_level(view, level))
        self._ask_again()

    def set_threshold(self, threshold: float) -> None:
        """Select more (towards 0) or less (towards 1); the last phrase is asked again."""
        self._change(lambda view: replace(view, threshold=min(max(threshold, 0.0), 1.0)))
        self._ask_again()

    def remove(self) -> None:
        """Take the selection away."""
        self._edit(lambda view: edited(view, Remove(chosen=_chosen(view))))

    def isolate(self) -> None:
        """Keep the selection alone."""
        self._edit(lambda view: edited(view, Isolate(chosen=_chosen(view))))

    def recolour(self, colour: tuple[float, float, float]) -> None:
        """Give the selection a colour, RGB in 0-1."""
        self._edit(lambda view: edited(view, Recolour(chosen=_chosen(view), colour=colour)))

    def move(self, offset: tuple[float, float, float], *, copy: bool = False) -> None:
        """Shift the selection, or a copy of it, world units."""
        kind = Duplicate if copy else Move
        self._edit(lambda view: edited(view, kind(chosen=_chosen(view), offset=offset)))

    def undo(self) -> None:
        """Take the last edit back."""
        self._edit(undone)

    def redo(self) -> None:
        """Make the last undone edit again."""
        self._edit(redone)

    def save(self, path: str) -> None:
        """Write the scene as it is edited now, with its objects, to a new PLY."""

        def saved(view: SceneView) -> SceneView:
            target = Path(path)
            if target.suffix.lower() != ".ply":
                raise InvalidInputError(f"{path!r}: expected a file NAME.ply, found another name. Add .ply.")
            check_free([target, laga_path_of(target)], overwrite=False)
            save_edited(view.original, view.history, target, objects=True)
            return replace(view, caption=f"written: {target}")

        self._change(saved)

    def _ask_again(self) -> None:
        self._queries.config = self._query_config()  # the neighbours it found stay
        if self.view.phrase:
            self.ask(self.view.phrase)

    def _edit(self, change: Callable[[SceneView], SceneView]) -> None:
        before = self.view.laga
        self._change(change)
        if self.view.laga is not before:
            self._queries = self._new_queries()

    def _change(self, change: Callable[[SceneView], SceneView]) -> None:
        """Take the changed view; what cannot be done leaves the view as it is and says so in its caption."""
        try:
            self.view = change(self.view)
        except (Vision3DError, OSError) as error:
            _log.warning("%s", error)
            self.view = replace(self.view, caption=str(error))

    def _new_queries(self) -> SceneQueries:
        config, negatives = self._query_config(), self._config.negatives
        return SceneQueries(self.view.laga, self._encoder, config=config, negatives=negatives)

    def _query_config(self) -> QueryConfig:
        level, threshold = query_level(self.view), self.view.threshold
        return replace(self._config.query, level=level, selection_threshold=threshold)


def _chosen(view: SceneView) -> Bool[Tensor, " gaussian"]:
    if view.chosen is None:
        raise InvalidInputError("Expected a selection, found none. Type a phrase or click a thing first.")
    return view.chosen
