"""Picking what to export or edit: by phrase, by a click into a view, or by the number of an object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError
from vision3d.laga.laga_scene import LagaScene
from vision3d.laga.query_scene import QueryResult, SceneQueries, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """Chosen Gaussians and what they were chosen by."""

    name: str
    """The phrase, `object 12`, or what was clicked."""
    chosen: Bool[Tensor, " gaussian"]
    """At least one."""
    objects: tuple[int, ...]
    """Objects they belong to, best first."""
    status: Status
    """`found` or `uncertain`."""
    relevance: float
    """As the query answers it; 1 for an object by its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """A place in a view."""

    camera: CameraBatch
    """One camera."""
    x: float
    """Pixels from the left."""
    y: float
    """Pixels from the top."""


def pick_objects(laga: LagaScene, numbers: Sequence[int]) -> tuple[Picked, ...]:
    """The Gaussians of each numbered object.

    Raises:
        InvalidInputError: there is no such object, or it has no Gaussians.
    """
    picked = []
    for number in numbers:
        known = 0 <= number < laga.object_count
        row = laga.gaussian_object[int(laga.object_level[number])] if known else torch.empty(0)
        chosen = row == number
        if not bool(chosen.any()):
            raise InvalidInputError(
                f"Expected the number of an object with Gaussians, 0 to {laga.object_count - 1}, found {number}. "
                "Export the table of objects to see their numbers."
            )
        picked.append(Picked(name=f"object {number}", chosen=chosen, objects=(number,), status="found", relevance=1.0))
    return tuple(picked)


def pick_phrases(queries: SceneQueries, phrases: Sequence[str]) -> tuple[Picked, ...]:
    """The Gaussians each phrase means.

    Raises:
        InvalidInputError: a phrase is empty, or the scene has no such thing.
    """
    return tuple(_picked(phrase, queries.text(phrase)) for phrase in phrases)


def pick_click(queries: SceneQueries, click: Click) -> Picked:
    """The object under a click, on the level of the queries.

    Raises:
        InvalidInputError: the place is outside the picture, or nothing of the scene is there.
    """
    result = queries.click(click.camera, x=click.x, y=click.y)
    return _picked(result.question, result)


def joined(picked: Sequence[Picked]) -> Bool[Tensor, " gaussian"]:
    """All Gaussians that at least one of the picks chose.

    Raises:
        InvalidInputError: nothing was picked.
    """
    if not picked:
        raise InvalidInputError("Expected something to choose, found nothing. Give a phrase, a click or an object.")
    return torch.stack([one.chosen for one in picked]).any(0)


def _picked(name: str, result: QueryResult) -> Picked:
    if result.status == "not found" or not bool(result.chosen.any()):
        unknown = f"; words the encoder never learned: {', '.join(result.unknown_words)}" * bool(result.unknown_words)
        raise InvalidInputError(
            f"Expected a thing of this scene, found nothing for {name!r} (relevance {result.relevance:.2f}{unknown}). "
            "Say it in other words, choose an object by number, or lower --uncertain-relevance."
        )
    return Picked(
        name=name,
        chosen=result.chosen.cpu(),
        objects=tuple(result.objects.tolist()),
        status=result.status,
        relevance=result.relevance,
    )
