"""Pictures that show a fit at a glance: photo, render, error and depth of some views, and an orbit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.posed_photos import Photos
from vision3d.cameras.trajectories import orbit_cameras
from vision3d.reconstruction.evaluate_views import photo_of
from vision3d.rendering.image_files import depth_picture, to_bytes, write_animation, write_png
from vision3d.rendering.render_views import render_views
from vision3d.rendering.renderer import RasterOptions
from vision3d.scene.gaussian_scene import GaussianScene

ORBIT_NAME = "orbit.webp"
PREVIEW_FOLDER = "previews"
_ORBIT_VIEWS = 60
_ERROR_GAIN = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewPictures:
    """Files that show one view, relative to the run folder."""

    name: str
    """The view."""
    strip: Path
    """Photo, render, error and depth side by side."""


@torch.no_grad()
def write_previews(
    folder: Path,
    scene: GaussianScene,
    photos: Photos,
    names: Sequence[str],
    *,
    background: Float[Tensor, " 3"],
    options: RasterOptions,
) -> list[ViewPictures]:
    """Write a strip per view into `folder`/previews and the orbit animation; returns what was written."""
    pictures = []
    for place, name in enumerate(names):
        cameras = photos.cameras.select([name]).to(scene.device)
        rendered = render_views(scene, cameras, background=background, with_depth=True, options=options)
        truth = photo_of(photos, name)[0]
        image = rendered.colour[0].clamp(0.0, 1.0).cpu()
        error = ((image - truth).abs() * _ERROR_GAIN).clamp(0.0, 1.0)
        depth = rendered.depth
        grey = depth_picture(depth[0], rendered.alpha[0]) if depth is not None else np.zeros(image.shape[:2], np.uint8)
        tiles = [to_bytes(truth), to_bytes(image), to_bytes(error), np.repeat(grey[..., None], 3, 2)]
        strip = Path(PREVIEW_FOLDER) / f"view_{place:03d}.png"
        write_png(np.concatenate(tiles, 1), folder / strip)
        pictures.append(ViewPictures(name=name, strip=strip))
    width, height = photos.cameras.uniform_size
    orbit = orbit_cameras(photos.cameras, view_count=_ORBIT_VIEWS, width=width, height=height)
    frames = render_frames(scene, orbit, background=background, options=options)
    write_animation(frames, folder / PREVIEW_FOLDER / ORBIT_NAME)
    return pictures


@torch.no_grad()
def render_frames(
    scene: GaussianScene, cameras: CameraBatch, *, background: Float[Tensor, " 3"], options: RasterOptions
) -> list[np.ndarray]:
    """8-bit RGB renders of every camera, one at a time so that memory stays small."""
    placed = cameras.to(scene.device)
    return [
        to_bytes(render_views(scene, placed.select([name]), background=background, options=options).colour[0])
        for name in cameras.names
    ]
