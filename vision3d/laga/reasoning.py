"""Requests that name nothing, such as "what could I drink from?": every object is looked at and judged by itself.

Descriptors answer what something looks like. What it is good for takes a model that reasons, so each object is cut out
of the view that shows most of it, and a `Judge`, which the caller passes in, says how likely it is what the request
means. Scores are probabilities and mean the same in every scene; several objects may be meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.laga.object_looks import object_masks
from vision3d.laga.query_scene import QueryResult, SceneQueries
from vision3d.laga.query_views import QueryViews
from vision3d.laga.reason_config import ReasonConfig

_WIDER = "xl"
"""The level of groups of things, which nobody asks for one by one."""


@runtime_checkable
class Judge(Protocol):
    """Says of pictures how likely the thing in their middle is meant by a request."""

    def __call__(self, pictures: Sequence[Image.Image], request: str) -> Float[Tensor, " picture"]:
        """Probabilities 0-1, one per picture."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseUps:
    """Objects cut out of the view that shows most of them."""

    pictures: tuple[Image.Image, ...]
    objects: Int[Tensor, " picture"]
    """Which object each picture shows."""
    views: tuple[str, ...]
    """The view each was cut out of."""


def close_ups(queries: SceneQueries, views: QueryViews, config: ReasonConfig = ReasonConfig()) -> CloseUps:
    """A picture of every object of one level, square and with some of what is around it.

    Raises:
        InvalidInputError: the scene has no such level.
    """
    laga = queries.laga
    singles = [name for name in laga.level_names if name != _WIDER]
    level = config.level or (singles or list(laga.level_names))[-1]
    if level not in laga.level_names:
        raise InvalidInputError(
            f"Expected a level of {', '.join(laga.level_names)}, found {level!r}. Choose one of the scene's levels."
        )
    labels = object_masks(laga, views.cameras).labels[:, laga.level_names.index(level)]
    pixels = np.stack([np.bincount(seen[seen >= 0], minlength=laga.object_count) for seen in labels])
    shown = [int(number) for number in np.flatnonzero(pixels.max(0) >= config.minimum_pixels)]
    best = pixels.argmax(0)
    return CloseUps(
        pictures=tuple(
            _cut_out(views.images[best[number]].numpy(), labels[best[number]] == number, config.margin)
            for number in shown
        ),
        objects=torch.tensor(shown, dtype=torch.long),
        views=tuple(views.cameras.names[best[number]] for number in shown),
    )


def reason(
    queries: SceneQueries, views: QueryViews, request: str, judge: Judge, config: ReasonConfig = ReasonConfig()
) -> QueryResult:
    """The objects that a request means.

    Args:
        queries: the scene.
        views: pictures in which the objects are looked at, with their cameras.
        request: plain words, e.g. "what could I drink from?".
        judge: looks at each object.
        config: settings.

    Raises:
        InvalidInputError: the request is empty, or the scene has no such level.
    """
    if not request.strip():
        raise InvalidInputError(f"Expected a request of at least one word, found {request!r}. Say what is wanted.")
    seen = close_ups(queries, views, config)
    scores = torch.zeros(queries.laga.object_count)
    if seen.pictures:
        scores[seen.objects] = judge(seen.pictures, request).float().cpu()
    return queries.objects(request, scores, found=config.found, uncertain=config.uncertain)


def _cut_out(image: np.ndarray, mask: np.ndarray, margin: float) -> Image.Image:
    rows, columns = np.nonzero(mask)
    half = margin * (1 + max(np.ptp(rows), np.ptp(columns))) / 2
    middle = (columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2
    left, top = round(middle[0] - half), round(middle[1] - half)
    side = max(2, round(2 * half))
    inside = np.clip(np.arange(top, top + side), 0, len(image) - 1)
    across = np.clip(np.arange(left, left + side), 0, image.shape[1] - 1)
    return Image.fromarray(np.ascontiguousarray(image[inside][:, across]))
