"""`export_selection`: the selection as files, one writer per format."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.scene_explorer.actions import as_mask_picture, selection_mask, selection_stem
from apps.scene_explorer.exploration import Exploration
from vision3d.errors import InvalidInputError
from vision3d.export.fuse_mesh import fuse_mesh, without_strays, write_mesh
from vision3d.export.mesh_config import MeshConfig
from vision3d.export.object_boxes import boxes_content
from vision3d.export.object_views import views_around
from vision3d.rendering.image_files import write_png
from vision3d.scene.bounds import axis_aligned_box
from vision3d.scene.catalogue import write_splats
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.selection import select_gaussians
from vlm_bridge.atomic_write import write_text_whole

_MESH_VIEWS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Selection:
    exploration: Exploration
    part: GaussianScene
    folder: Path
    stem: str


def export_selection(exploration: Exploration, formats: Sequence[str], folder: Path) -> tuple[Path, ...]:
    """Write the selection in every format asked for, into a new folder below `folder`; returns the files.

    Raises:
        InvalidInputError: nothing is selected, no format is asked for or one is unknown, or the selection is too thin
            for a mesh.
    """
    chosen = exploration.chosen
    if chosen is None:
        raise InvalidInputError(
            "Expected a selection to export, found none. Ask for a thing, click one, or choose a row."
        )
    unknown = [name for name in formats if name not in EXPORT_FORMATS]
    if unknown or not formats:
        raise InvalidInputError(
            f"Expected formats of {', '.join(EXPORT_FORMATS)}, found {', '.join(unknown) or 'none'}. Tick at least one."
        )
    target = Path(tempfile.mkdtemp(prefix="export_", dir=folder))
    scene = exploration.explored.scene
    selection = _Selection(
        exploration=exploration,
        part=select_gaussians(scene.detach(), chosen.to(scene.device)),
        folder=target,
        stem=selection_stem(exploration),
    )
    return tuple(EXPORT_FORMATS[name][1](selection) for name in dict.fromkeys(formats))


def _ply(selection: _Selection) -> Path:
    return _splats(selection, ".ply")


def _splat(selection: _Selection) -> Path:
    return _splats(selection, ".splat")


def _splats(selection: _Selection, suffix: str) -> Path:
    path = selection.folder / f"{selection.stem}{suffix}"
    write_splats(selection.part.to("cpu"), path)
    return path


def _boxes(selection: _Selection) -> Path:
    path = selection.folder / f"{selection.stem}_boxes.json"
    chosen = selection.exploration.chosen
    named = {} if chosen is None else {selection.stem: chosen.cpu()}
    content = boxes_content(selection.exploration.explored.scene.to("cpu"), named)
    write_text_whole(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def _mask(selection: _Selection) -> Path:
    path = selection.folder / f"{selection.stem}_mask.png"
    write_png(as_mask_picture(selection_mask(selection.exploration)), path)
    return path


def _mesh(selection: _Selection) -> Path:
    explored, config = selection.exploration.explored, MeshConfig()
    box = axis_aligned_box(without_strays(selection.part).means)
    cameras = views_around(box.minimum, box.maximum, view_count=_MESH_VIEWS, side=config.view_side)
    mesh = fuse_mesh(selection.part, cameras, config=config, antialiased=explored.antialiased)
    path = selection.folder / f"{selection.stem}_mesh.glb"
    write_mesh(mesh, path)
    return path


EXPORT_FORMATS: dict[str, tuple[str, Callable[[_Selection], Path]]] = {
    "ply": ("splats, PLY", _ply),
    "splat": ("splats, .splat", _splat),
    "boxes": ("boxes, JSON", _boxes),
    "mask": ("mask, PNG", _mask),
    "mesh": ("mesh, GLB", _mesh),
}
"""Format -> what the page says of it, and its writer."""
