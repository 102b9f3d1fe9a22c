"""The views that answers are shown in: the photos of a folder, renders from the fit's cameras, or an orbit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.laga.laga_scene import LagaScene
from vision3d.laga.query_run_config import QueryRunConfig
from vision3d.laga.scene_files import (
    BARE_SIDE,
    SceneFiles,
    named_views,
    photos_of,
    read_views,
    resized_to_side,
    spread_views,
)
from vision3d.reconstruction.previews import render_frames
from vision3d.reconstruction.render_run import orbit_around
from vision3d.rendering.renderer import RasterOptions

_ORBIT_VIEWS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryViews:
    """Pictures and their cameras, all of one size."""

    cameras: CameraBatch
    """On the device of the scene."""
    images: UInt8[Tensor, "view height width 3"]
    """Photos, or renders where there are none."""


def query_views(
    laga: LagaScene, files: SceneFiles, data: Path | None, *, config: QueryRunConfig, first: str | None = None
) -> QueryViews:
    """The views to show, `first` in front where it is given.

    Raises:
        UnknownViewError: a named view has no camera.
        InvalidInputError: `data` is of another scene.
    """
    posed = None if data is None else read_views(data, files)
    if posed is not None:
        known = posed.cameras
    elif files.stored is not None:
        known = files.stored.cameras
    else:
        known = orbit_around(laga.scene, view_count=_ORBIT_VIEWS, side=config.max_side or BARE_SIDE)
    names = _chosen_names(laga, files, known, config)
    if first is not None:
        (front,) = named_views(known, [first])
        names = (front, *(name for name in names if name != front))
    if posed is not None:
        photos = photos_of(posed, names, max_side=files.side(config.max_side))
        return QueryViews(cameras=photos.cameras.to(laga.scene.device), images=photos.images)
    cameras = known.select(names).to(laga.scene.device)
    if files.stored is not None:
        cameras = resized_to_side(cameras, files.side(config.max_side))
    options = RasterOptions(antialiased=laga.antialiased)
    background = torch.tensor(laga.background, device=laga.scene.device)
    frames = render_frames(laga.scene, cameras, background=background, options=options)
    return QueryViews(cameras=cameras, images=torch.stack([torch.from_numpy(frame) for frame in frames]))


def _chosen_names(laga: LagaScene, files: SceneFiles, known: CameraBatch, config: QueryRunConfig) -> Sequence[str]:
    if config.views:
        return named_views(known, config.views)
    held_out = laga.facts.get("held_out") or (files.stored.test if files.stored is not None else ())
    preferred = tuple(name for name in held_out if name in known.names)
    return spread_views(known, config.view_count, preferred=preferred)
