"""The files around a scene: its splats, what `vision3d fit` wrote beside them, and the photos of its views.

Splats may come from anywhere; where a fit's report and cameras lie beside them, its look and size are taken over.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import torch

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.camera_files import StoredCameras, load_cameras
from vision3d.cameras.catalogue import read_posed_photos
from vision3d.cameras.load_photos import load_photos
from vision3d.cameras.posed_photos import Photos, PosedPhotos
from vision3d.errors import InvalidInputError, SplatFileError
from vision3d.reconstruction.fit_scene import CAMERAS_NAME, REPORT_NAME, SCENE_NAME

BARE_SIDE = 512
"""Longest side of the pictures of splats that say nothing of the size they were fitted at."""
_POSE_TOLERANCE = 1e-3
_BLACK = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneFiles:
    """Splats and what lies beside them."""

    splats: Path
    """The splat file."""
    stored: StoredCameras | None
    """Cameras of the fit, where it left them."""
    background: tuple[float, float, float]
    """Behind the scene in pictures of it."""
    antialiased: bool
    """Whether it was fitted with the antialiased filter."""

    def side(self, max_side: int | None) -> int:
        """Longest side of pictures: as asked for, else as fitted, else `BARE_SIDE`."""
        if max_side is not None:
            return max_side
        return BARE_SIDE if self.stored is None else max(self.stored.cameras.uniform_size)


def find_scene_files(source: Path) -> SceneFiles:
    """What there is of a scene: `source` is a splat file or the folder of a `vision3d fit` run.

    Raises:
        SplatFileError: nothing is there, or the folder holds no finished fit.
        CameraFileError: the cameras beside the splats are damaged.
    """
    splats = source / SCENE_NAME if source.is_dir() else source
    if not splats.is_file():
        raise SplatFileError(
            f"{source}: expected a splat file or the folder of a finished fit, found no file {splats.name}. "
            "Fit the scene first, or check the path."
        )
    beside = splats.parent / CAMERAS_NAME
    background, antialiased = _look(splats.parent / REPORT_NAME)
    return SceneFiles(
        splats=splats,
        stored=load_cameras(beside) if beside.is_file() else None,
        background=background,
        antialiased=antialiased,
    )


def read_views(data: Path, files: SceneFiles, *, camera_format: str = "auto") -> PosedPhotos:
    """The posed photos of a folder, checked to be those of the fit where it left its cameras.

    Raises:
        CameraFileError, ImageFileError: the cameras or photos cannot be read.
        InvalidInputError: the fit knows none of these views, or has one of them elsewhere.
    """
    posed = read_posed_photos(data, camera_format=camera_format)
    if files.stored is None:
        return posed
    known = files.stored.cameras
    shared = [name for name in posed.cameras.names if name in known.names]
    here, there = posed.cameras.select(shared).world_to_camera, known.select(shared).world_to_camera
    apart = (here - there).abs().flatten(1).amax(1) > _POSE_TOLERANCE * (1 + there.abs().flatten(1).amax(1))
    if not shared or bool(apart.any()):
        moved = [name for name, far in zip(shared, apart.tolist(), strict=True) if far]
        found = f"{len(moved)} elsewhere ({', '.join(moved[:3])})" if shared else "none of them"
        raise InvalidInputError(
            f"{data}: expected the {len(known)} views that {files.splats} was fitted to, found {found}. "
            "Give the photos of this fit."
        )
    return posed


def photos_of(posed: PosedPhotos, names: Sequence[str], *, max_side: int) -> Photos:
    """The named photos, decoded; the others are not opened.

    Raises:
        UnknownViewError: a name is unknown.
        ImageFileError: a photo cannot be decoded.
    """
    rows = [posed.cameras.index_of(name) for name in names]
    chosen = replace(
        posed,
        cameras=posed.cameras.select(names),
        distortion=posed.distortion[rows],
        image_paths=tuple(posed.image_paths[row] for row in rows),
        points=None,
        held_out=(),
    )
    return load_photos(chosen, max_side=max_side)


def resized_to_side(cameras: CameraBatch, side: int) -> CameraBatch:
    """The cameras for pictures whose longest side is `side`."""
    width, height = cameras.uniform_size
    factor = side / max(width, height)
    return cameras.resized(max(1, round(width * factor)), max(1, round(height * factor)))


def named_views(cameras: CameraBatch, names: Sequence[str]) -> tuple[str, ...]:
    """The cameras' own names of the views asked for; folders and endings may be left out where that is clear.

    Raises:
        UnknownViewError: no view has that name, or several.
        InvalidInputError: a view is named twice.
    """
    found = []
    for name in names:
        alike = [known for known in cameras.names if PurePosixPath(known).stem == name]
        found.append(alike[0] if name not in cameras.names and len(alike) == 1 else name)
        cameras.index_of(found[-1])  # raises for an unknown view
    if len(set(found)) < len(found):
        raise InvalidInputError(f"Expected every view once, found {', '.join(found)}. Name each once.")
    return tuple(found)


def spread_views(cameras: CameraBatch, count: int, *, preferred: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of `count` views that look from far apart, among the preferred ones where these are enough; 0 = all views.

    Each next view is the one farthest from those chosen already, the first one the first by name.
    """
    names = sorted(preferred if 0 < count <= len(preferred) else cameras.names)
    if not 0 < count < len(names):
        return tuple(names)
    places = cameras.select(names).camera_centres.detach().cpu()
    chosen = [0]
    while len(chosen) < count:
        distances = torch.cdist(places, places[chosen]).amin(1)
        distances[chosen] = -1.0
        chosen.append(int(distances.argmax()))
    return tuple(names[row] for row in sorted(chosen))


def _look(report: Path) -> tuple[tuple[float, float, float], bool]:
    """Background and antialiasing as the report of a fit says; black and off where there is none."""
    try:
        values = json.loads(report.read_text(encoding="utf-8"))
        red, green, blue = values["background"]
        return (float(red), float(green), float(blue)), bool(values["antialiased"])
    except (OSError, ValueError, KeyError, TypeError):  # beside a bare splat file it may be anybody's
        return _BLACK, False
