"""What the controls of the page do, as plain functions from one `Exploration` to the next, and to what is shown.

Nothing here knows gradio: page.py calls these functions and lays out what they return.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray

from apps.scene_explorer.browser_splats import browser_splats
from apps.scene_explorer.exploration import Exploration
from apps.scene_explorer.orbit import Stand, camera_at
from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError
from vision3d.export.pick_gaussians import pick_objects
from vision3d.laga.query_pictures import highlighted, marked
from vision3d.laga.query_run import file_stems
from vision3d.laga.query_scene import QueryResult
from vision3d.reconstruction.previews import render_frames
from vision3d.rendering.renderer import RasterOptions
from vision3d.scene.catalogue import write_splats

PICTURE_SIZE = (600, 480)
"""Width and height of the rendered picture in pixels."""
TABLE_HEADERS = ("no.", "looks like", "size", "Gaussians")
"""Columns of `table_rows`."""
LONGEST_PHRASE = 300
"""Letters; longer ones are no names of things."""
_SHOWN_WORDS = 3
_KEPT_FILES = 16


def ask(exploration: Exploration, phrase: str) -> Exploration:
    """The answer to a phrase; an empty one drops the selection.

    Raises:
        InvalidInputError: bare splats, or a phrase of more than `LONGEST_PHRASE` letters.
    """
    queries = exploration.explored.asked()
    if not phrase.strip():
        return forget(exploration)
    if len(phrase) > LONGEST_PHRASE:
        raise InvalidInputError(
            f"Expected a phrase of at most {LONGEST_PHRASE} letters, found {len(phrase)}. Use fewer words."
        )
    result = queries.text(" ".join(phrase.split()))
    return replace(exploration, result=result, asked_by="phrase", clicked=None)


def click(exploration: Exploration, x: float, y: float) -> Exploration:
    """The object of the present level at a place in the present picture, pixels to the right and down.

    Raises:
        InvalidInputError: bare splats, or a place outside the picture.
    """
    queries = exploration.explored.asked()
    result = queries.click(present_camera(exploration), x=x, y=y, level=exploration.level)
    return replace(exploration, result=result, asked_by="click", clicked=(x, y))


def choose(exploration: Exploration, number: int) -> Exploration:
    """The object with a number.

    Raises:
        InvalidInputError: there is no such object.
    """
    laga = exploration.explored.laga
    (picked,) = pick_objects(laga, [number])
    scores = torch.zeros(laga.object_count)
    scores[number] = 1.0
    result = QueryResult(
        question=picked.name,
        status=picked.status,
        relevance=picked.relevance,
        objects=torch.tensor(picked.objects),
        object_scores=scores,
        gaussian_scores=picked.chosen.float(),
        chosen=picked.chosen,
    )
    return replace(exploration, result=result, asked_by="row", clicked=None)


def forget(exploration: Exploration) -> Exploration:
    """Nothing asked, nothing selected."""
    return replace(exploration, result=None, clicked=None)


def walk(exploration: Exploration, stand: Stand) -> Exploration:
    """Seen from elsewhere; the selection stays."""
    return replace(exploration, stand=stand, clicked=None)


def with_level(exploration: Exploration, level: str) -> Exploration:
    """Clicks and the table on another level; the selection stays.

    Raises:
        InvalidInputError: the scene has no such level.
    """
    known = exploration.explored.level_names
    if level not in known:
        raise InvalidInputError(f"Expected a level of {', '.join(known)}, found {level!r}. Choose one of these.")
    return replace(exploration, level=level)


def present_camera(exploration: Exploration) -> CameraBatch:
    """The camera of the present picture, on the device of the scene."""
    width, height = PICTURE_SIZE
    explored = exploration.explored
    return camera_at(explored.orbit, exploration.stand, width=width, height=height).to(explored.scene.device)


def picture(exploration: Exploration) -> UInt8[ndarray, "height width 3"]:
    """The scene from where one stands: the selection in its own colours and outlined, all else dark."""
    explored, camera = exploration.explored, present_camera(exploration)
    background = torch.tensor(explored.background, device=explored.scene.device)
    options = RasterOptions(antialiased=explored.antialiased)
    (image,) = render_frames(explored.scene, camera, background=background, options=options)
    if exploration.chosen is not None:
        image = highlighted(image, selection_mask(exploration))
    return image if exploration.clicked is None else marked(image, *exploration.clicked)


def selection_mask(exploration: Exploration) -> ndarray:
    """Where the selection is seen in the present picture, boolean, height by width; what is in front hides it.

    Raises:
        InvalidInputError: nothing is selected.
    """
    if exploration.result is None or exploration.chosen is None:
        raise InvalidInputError("Expected a selection, found none. Ask for a thing, click one, or choose a row.")
    masks = exploration.explored.asked().masks(exploration.result, present_camera(exploration))
    return masks[0].numpy()


def write_for_browser(exploration: Exploration, folder: Path, *, alone: bool = False) -> Path:
    """A new `.splat` in `folder` for the 3D viewer; the oldest ones there are removed."""
    for old in sorted(folder.glob("shown_*.splat"), key=lambda path: path.stat().st_mtime)[: -_KEPT_FILES + 1]:
        old.unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile(prefix="shown_", suffix=".splat", dir=folder, delete=False) as file:
        path = Path(file.name)
    write_splats(browser_splats(exploration, alone=alone), path)
    return path


def table_rows(exploration: Exploration) -> list[list[str | int]]:
    """Objects of the present level, largest first, in the columns of `TABLE_HEADERS`."""
    rows = [row for row in exploration.explored.objects if row.level == exploration.level]
    return [
        [
            row.object,
            ", ".join(word for word, _ in row.words[:_SHOWN_WORDS]) or "–",
            " × ".join(f"{edge:.2g}" for edge in (2 * row.shape.oriented.half_extents).tolist()),
            row.gaussians,
        ]
        for row in sorted(rows, key=lambda row: -row.gaussians)
    ]


def level_choices(level_names: Sequence[str]) -> list[tuple[str, str]]:
    """What is shown for a level, and its name.

    Example:
        >>> level_choices(("s", "m", "l"))
        [('s · finest', 's'), ('m', 'm'), ('l · coarsest', 'l')]
    """
    if len(level_names) < 2:
        return [(name, name) for name in level_names]
    notes = [" · finest", *[""] * (len(level_names) - 2), " · coarsest"]
    return [(name + note, name) for name, note in zip(level_names, notes, strict=True)]


def selection_stem(exploration: Exploration) -> str:
    """Name of exported files, without number and ending."""
    result = exploration.result
    if result is None:
        return "scene"
    name = result.question if exploration.asked_by == "phrase" else f"object {int(result.objects[0])}"
    return file_stems([name])[0].partition("_")[2] or "selection"


def as_mask_picture(mask: ndarray) -> UInt8[ndarray, "height width"]:
    """255 where selected."""
    return np.where(mask, 255, 0).astype(np.uint8)
