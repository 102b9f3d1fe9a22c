"""`edit_run`: one edit of things in a scene, saved as new splats; what was read is never changed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jaxtyping import Bool
from torch import Tensor

from vision3d.errors import InvalidInputError, RunFolderError
from vision3d.export.ask_config import Targets
from vision3d.export.edit_config import EditConfig
from vision3d.export.edit_history import EditHistory, start_editing
from vision3d.export.edited_objects import follow_objects
from vision3d.export.edits import Duplicate, Edit, Isolate, Move, Recolour, Remove, describe_edit
from vision3d.export.free_target import check_free
from vision3d.export.open_scene import open_scene, pick_targets
from vision3d.export.pick_gaussians import Picked, joined
from vision3d.laga.laga_scene import LagaScene, laga_path_of, save_laga_scene
from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.scene.catalogue import WRITERS, write_splats


@dataclass(frozen=True, slots=True, kw_only=True)
class EditReport:
    """What was edited."""

    picked: tuple[Picked, ...]
    """What was asked for and found."""
    gaussians_before: int
    """Gaussians of the scene that was read."""
    gaussians_after: int
    """Gaussians that were written."""
    files: tuple[Path, ...]
    """The new splats, and their objects where these were asked for."""


def edit_run(
    source: str | Path,
    targets: Targets,
    out: str | Path,
    *,
    config: EditConfig,
    overwrite: bool = False,
    encoder: ImageTextEncoder | None = None,
) -> EditReport:
    """Edit everything that the targets choose, all of it together, and write the new splats to `out`.

    Args:
        source: NAME.laga.safetensors as `train_scene` or an earlier edit wrote it, its splats beside it; or their
            folder.
        targets: what to edit.
        out: NAME.ply (exact) or NAME.splat.
        config: the edit, and how things are found.
        overwrite: replace files that are there; never those that are read.
        encoder: None loads the one the scene was trained with, where one is needed.

    Raises:
        ModelFileError: scene or encoder are missing or damaged.
        InvalidInputError: a target is not in the scene, nothing is asked for, or everything would be removed.
        RunFolderError: a file is there already, or `out` is what is read.
    """
    path = Path(out)
    if path.suffix.lower() not in WRITERS:
        raise InvalidInputError(
            f"{path}: expected a file of {', '.join(WRITERS)} to write, found {path.suffix or 'no suffix'}. "
            "Name a file, e.g. edited.ply."
        )
    if targets.empty:
        raise InvalidInputError("Expected something to edit, found no phrase, click or object. Give one.")
    opened = open_scene(source, device=config.ask.device)
    wanted = [path, laga_path_of(path)] if config.keep_objects else [path]
    read = {opened.path.resolve(), opened.files.splats.resolve()}
    if read & {one.resolve() for one in wanted}:
        raise RunFolderError(f"{path}: expected a new file, found the scene that is edited. Choose another name.")
    check_free(wanted, overwrite=overwrite)
    picked = pick_targets(opened, targets, config.ask, encoder=encoder)
    history = start_editing(opened.laga.scene.to("cpu")).apply(edit_from(config, joined(picked)))
    save_edited(opened.laga, history, path, objects=config.keep_objects)
    return EditReport(
        picked=picked,
        gaussians_before=len(opened.laga.scene),
        gaussians_after=len(history.now.scene),
        files=tuple(wanted),
    )


def edit_from(config: EditConfig, chosen: Bool[Tensor, " gaussian"]) -> Edit:
    """The edit that the settings describe, of these Gaussians.

    Example:
        >>> import torch
        >>> edit_from(EditConfig(rotate=(0, 0, 2, 90)), torch.tensor([True])).offset
        (0.0, 0.0, 0.0)
    """
    if config.remove:
        return Remove(chosen=chosen)
    if config.isolate:
        return Isolate(chosen=chosen)
    if config.recolour is not None:
        return Recolour(chosen=chosen, colour=config.recolour, keep_shading=config.keep_shading)
    kind = Duplicate if config.duplicate else Move
    return kind(
        chosen=chosen,
        offset=config.move or (0.0, 0.0, 0.0),
        rotation=quat_about(config.rotate or (0.0, 0.0, 1.0, 0.0)),
        scale=1.0 if config.scale is None else config.scale,
        pivot=config.pivot,
    )


def quat_about(turn: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Quaternion w, x, y, z of a turn about the axis x, y, z by degrees.

    Example:
        >>> quat_about((0.0, 0.0, 5.0, 0.0))
        (1.0, 0.0, 0.0, 0.0)
    """
    x, y, z, degrees = turn
    half, length = math.radians(degrees) / 2, math.hypot(x, y, z)
    share = math.sin(half) / length
    return math.cos(half), x * share, y * share, z * share


def save_edited(laga: LagaScene, history: EditHistory, path: Path, *, objects: bool) -> None:
    """Write the scene as it is now to `path`, and its objects beside it where they are asked for.

    Raises:
        SplatFileError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_splats(history.now.scene, path)
    if not objects:
        return
    followed = follow_objects(replace(laga, scene=laga.scene.to("cpu")), history.now)
    facts = dict(laga.facts) | {"edits": [*_earlier(laga.facts), *map(describe_edit, history.done)]}
    save_laga_scene(replace(followed, facts=json.loads(json.dumps(facts))), laga_path_of(path), splats=path)


def _earlier(facts: Mapping[str, Any]) -> list[Any]:
    """Edits that were made before this scene was read."""
    return list(facts.get("edits", ()))
