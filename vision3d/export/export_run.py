"""`export_run`: things of a scene, chosen in words, by click or by number, written in the formats asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.trajectories import orbit_cameras
from vision3d.errors import InvalidInputError
from vision3d.export.ask_config import Targets
from vision3d.export.export_config import ExportConfig
from vision3d.export.free_target import check_free
from vision3d.export.fuse_mesh import fuse_mesh, without_strays, write_mesh
from vision3d.export.mask_files import COCO_NAME, MASK_FOLDER, write_masks
from vision3d.export.object_boxes import boxes_content
from vision3d.export.object_table import (
    ObjectWords,
    object_table,
    table_content,
    table_csv,
    vocabulary_of,
)
from vision3d.export.object_views import views_around
from vision3d.export.open_scene import OpenScene, open_scene, pick_targets, scene_encoder
from vision3d.export.path_masks import path_masks
from vision3d.export.pick_gaussians import Picked
from vision3d.laga.query_run import file_stems
from vision3d.laga.scene_files import BARE_SIDE, named_views, resized_to_side
from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.reconstruction.render_run import orbit_around
from vision3d.scene.bounds import axis_aligned_box
from vision3d.scene.catalogue import write_splats
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.selection import select_gaussians
from vlm_bridge.atomic_write import write_text_whole

EXPORT_NAME, BOXES_NAME, TABLE_NAMES = "export.json", "boxes.json", ("objects.csv", "objects.json")
_MESH_VIEWS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was exported."""

    picked: tuple[Picked, ...]
    """What was asked for and found."""
    files: tuple[Path, ...]
    """Everything that was written; masks by their folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    opened: OpenScene
    picked: dict[str, Picked]
    """File stem -> what was chosen."""
    folder: Path
    config: ExportConfig
    path: CameraBatch | None
    """Cameras of the masks, where these are asked for."""
    encoder: ImageTextEncoder | None
    progress: bool

    def gaussians(self, stem: str) -> GaussianScene:
        scene = self.opened.laga.scene
        return select_gaussians(scene, self.picked[stem].chosen.to(scene.device))


def export_run(
    source: str | Path,
    targets: Targets,
    out: str | Path,
    *,
    config: ExportConfig = ExportConfig(),
    overwrite: bool = False,
    encoder: ImageTextEncoder | None = None,
    progress: bool = False,
) -> ExportReport:
    """Write every target in every format into `out`, and export.json which lists them.

    Args:
        source: NAME.laga.safetensors as `train_scene` wrote it, its splats beside it; or their folder.
        targets: what to export; the table alone needs none.
        out: folder for the files.
        config: settings.
        overwrite: replace files of an earlier export.
        encoder: None loads the one the scene was trained with, where one is needed.
        progress: show progress bars.

    Raises:
        ModelFileError: scene or encoder are missing or damaged.
        InvalidInputError: a target is not in the scene, or nothing is asked for.
        RunFolderError: a file is there already.
    """
    if targets.empty and set(config.formats) != {"table"}:
        raise InvalidInputError(
            "Expected something to export, found no phrase, click or object. Give one, or export the table alone."
        )
    opened = open_scene(source, device=config.ask.device, cameras=config.cameras)
    picked = pick_targets(opened, targets, config.ask, encoder=encoder)
    stems = file_stems([one.name for one in picked])
    folder = Path(out)
    check_free([folder / name for name in _planned(stems, config)], overwrite=overwrite)
    path = mask_cameras(opened, config) if "masks" in config.formats else None
    job = _Job(
        opened=opened,
        picked=dict(zip(stems, picked, strict=True)),
        folder=folder,
        config=config,
        path=path,
        encoder=encoder,
        progress=progress,
    )
    folder.mkdir(parents=True, exist_ok=True)
    files = [name for form in dict.fromkeys(config.formats) for name in _WRITERS[form](job)]
    write_text_whole(folder / EXPORT_NAME, json.dumps(_record(job, files), indent=1, ensure_ascii=False) + "\n")
    return ExportReport(picked=picked, files=tuple(folder / name for name in (*files, EXPORT_NAME)))


def mask_cameras(opened: OpenScene, config: ExportConfig) -> CameraBatch:
    """The camera path of the masks.

    Raises:
        UnknownViewError: a named view has no camera.
    """
    known = opened.cameras
    if known is None:
        if config.views:
            raise InvalidInputError(
                f"{opened.files.splats}: expected cameras beside the splats to mask named views, found none. "
                "Pass --cameras SCENE, or leave --views out for an orbit."
            )
        scene = opened.laga.scene
        return orbit_around(scene.to("cpu"), view_count=config.frames, side=config.max_side or BARE_SIDE)
    if config.path == "orbit":
        side = config.max_side or opened.files.side(None)
        width, height = resized_to_side(known, side).uniform_size
        return orbit_cameras(known, view_count=config.frames, width=width, height=height)
    chosen = known.select(named_views(known, config.views)) if config.views else known
    return chosen if config.max_side is None else resized_to_side(chosen, config.max_side)


def _planned(stems: list[str], config: ExportConfig) -> list[str]:
    names: dict[str, list[str]] = {
        "ply": [f"{stem}.ply" for stem in stems],
        "splat": [f"{stem}.splat" for stem in stems],
        "mesh": [f"{stem}_mesh.{config.mesh_format}" for stem in stems],
        "boxes": [BOXES_NAME],
        "masks": [MASK_FOLDER, COCO_NAME],
        "table": list(TABLE_NAMES),
    }
    return [EXPORT_NAME, *(name for form in config.formats for name in names[form])]


def _write_ply(job: _Job) -> list[str]:
    return _write_splats(job, ".ply")


def _write_splat(job: _Job) -> list[str]:
    return _write_splats(job, ".splat")


def _write_splats(job: _Job, suffix: str) -> list[str]:
    for stem in job.picked:
        write_splats(job.gaussians(stem), job.folder / f"{stem}{suffix}")
    return [f"{stem}{suffix}" for stem in job.picked]


def _write_meshes(job: _Job) -> list[str]:
    names = []
    for stem in job.picked:
        part, cameras = job.gaussians(stem), job.opened.cameras
        if cameras is None:
            box = axis_aligned_box(without_strays(part).means)
            cameras = views_around(box.minimum, box.maximum, view_count=_MESH_VIEWS, side=job.config.mesh.view_side)
        mesh = fuse_mesh(
            part,
            cameras.to(part.device),
            config=job.config.mesh,
            antialiased=job.opened.laga.antialiased,
            progress=job.progress,
        )
        names.append(f"{stem}_mesh.{job.config.mesh_format}")
        write_mesh(mesh, job.folder / names[-1])
    return names


def _write_boxes(job: _Job) -> list[str]:
    chosen = {one.name: one.chosen for one in job.picked.values()}
    content = boxes_content(job.opened.laga.scene.to("cpu"), chosen)
    write_text_whole(job.folder / BOXES_NAME, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return [BOXES_NAME]


def _write_masks(job: _Job) -> list[str]:
    laga, cameras = job.opened.laga, job.path or mask_cameras(job.opened, job.config)
    seen = path_masks(
        laga.scene,
        {one.name: one.chosen for one in job.picked.values()},
        cameras,
        threshold=job.config.ask.query.render_threshold,
        antialiased=laga.antialiased,
    )
    stems = {one.name: stem for stem, one in job.picked.items()}
    write_masks(seen, job.folder, stems=stems, views=cameras.names)
    return [MASK_FOLDER, COCO_NAME]


def _write_table(job: _Job) -> list[str]:
    laga, ask = job.opened.laga, job.config.ask
    words = job.config.words or vocabulary_of(ask.encoder or laga.encoder_name)
    encoder = job.encoder or (scene_encoder(job.opened, ask) if words else None)
    described = None if encoder is None or not words else ObjectWords(
        words=words, encoder=encoder, negatives=ask.negatives
    )  # fmt: skip
    cameras = None if job.opened.cameras is None else job.opened.cameras.to(laga.scene.device)
    rows = object_table(laga, words=described, cameras=cameras, progress=job.progress)
    write_text_whole(job.folder / TABLE_NAMES[0], table_csv(rows))
    write_text_whole(job.folder / TABLE_NAMES[1], json.dumps(table_content(rows), indent=1, ensure_ascii=False) + "\n")
    return list(TABLE_NAMES)


_WRITERS: dict[str, Callable[[_Job], list[str]]] = {
    "ply": _write_ply,
    "splat": _write_splat,
    "mesh": _write_meshes,
    "boxes": _write_boxes,
    "masks": _write_masks,
    "table": _write_table,
}


def _record(job: _Job, files: list[str]) -> dict[str, Any]:
    return {
        "scene": job.opened.path.name,
        "formats": list(job.config.formats),
        "things": [
            {
                "name": one.name,
                "file": stem,
                "status": one.status,
                "relevance": round(one.relevance, 6),
                "gaussians": int(one.chosen.sum()),
                "objects": list(one.objects),
            }
            for stem, one in job.picked.items()
        ],
        "files": files,
    }
