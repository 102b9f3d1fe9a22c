"""`render_run`: pictures of a fitted scene (or any splat file) along an orbit or from its own views."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.camera_files import load_cameras
from vision3d.cameras.catalogue import read_posed_photos
from vision3d.cameras.trajectories import look_at, orbit_cameras
from vision3d.errors import InvalidInputError, SplatFileError
from vision3d.reconstruction.fit_scene import CAMERAS_NAME, REPORT_NAME, SCENE_NAME, choose_device
from vision3d.reconstruction.previews import render_frames
from vision3d.reconstruction.render_config import RenderConfig
from vision3d.rendering.image_files import write_animation, write_png
from vision3d.rendering.renderer import RasterOptions
from vision3d.scene.bounds import axis_aligned_box
from vision3d.scene.catalogue import read_splats
from vision3d.scene.gaussian_scene import GaussianScene

_BLACK = (0.0, 0.0, 0.0)
_OUTLIERS = 0.02
_PHOTO_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}
_FIELD_OF_VIEW_FOCAL = 1.1


def render_run(source: str | Path, output: str | Path, config: RenderConfig = RenderConfig()) -> list[Path]:
    """Write one PNG per view, and `orbit.webp` for an orbit, into `output`; returns the files.

    Args:
        source: a folder written by `fit_scene`, or a splat file or checkpoint.
        output: folder for the pictures.
        config: what to render.

    Raises:
        SplatFileError, CameraFileError: the splats or cameras cannot be read.
        InvalidInputError: `views` is asked for and there are no cameras.
    """
    root = Path(source)
    device = choose_device(config.device)
    scene = read_splats(_splat_path(root))
    known = _known_cameras(root, config)
    if config.path == "views":
        if known is None:
            raise InvalidInputError(
                f"{root}: expected cameras for --path views, found none beside the splats. Pass --cameras SCENE."
            )
        cameras = _resized(known, config.max_side)
    else:
        cameras = _orbit(scene, known, config)
    behind, antialiased = _look(root, config)
    background = torch.tensor(behind, device=device)
    options = RasterOptions(antialiased=antialiased)
    frames = render_frames(scene.to(device), cameras, background=background, options=options)
    folder = Path(output)
    written = []
    for name, frame in zip(_picture_names(cameras.names), frames, strict=True):
        path = folder / name
        write_png(frame, path)
        written.append(path)
    if config.path == "orbit":
        write_animation(frames, folder / "orbit.webp")
        written.append(folder / "orbit.webp")
    return written


def orbit_around(scene: GaussianScene, *, view_count: int, side: int) -> CameraBatch:
    """An orbit for splats that came without cameras: around the box of 96 % of the Gaussians, +y down (COLMAP)."""
    box = axis_aligned_box(scene.means.detach(), quantile=_OUTLIERS)
    radius = float(box.size.norm()) * _FIELD_OF_VIEW_FOCAL
    up = torch.tensor([0.0, -1.0, 0.0])
    turns = torch.linspace(0, 2 * torch.pi, view_count + 1)[:-1]
    ring = torch.stack([torch.sin(turns), torch.full_like(turns, -0.35), -torch.cos(turns)], 1)
    eyes = box.centre + ring * radius
    focal = _FIELD_OF_VIEW_FOCAL * side
    matrix = torch.tensor([[focal, 0.0, side / 2], [0.0, focal, side / 2], [0.0, 0.0, 1.0]])
    return CameraBatch(
        world_to_camera=torch.stack([look_at(eye, box.centre, up) for eye in eyes]),
        intrinsics=matrix.repeat(view_count, 1, 1),
        image_sizes=torch.tensor([[side, side]] * view_count),
        names=tuple(f"orbit_{place:03d}" for place in range(view_count)),
    )


def _splat_path(root: Path) -> Path:
    if not root.is_dir() or (root / "config.yml").is_file():  # nerfstudio marks its runs so
        return root
    if not (root / SCENE_NAME).is_file():
        raise SplatFileError(
            f"{root}: expected {SCENE_NAME} as a finished fit writes it, or a nerfstudio run folder, found "
            f"{sorted(item.name for item in root.iterdir())[:8]}. Finish the fit, or give a splat file."
        )
    return root / SCENE_NAME


def _picture_names(views: Sequence[str]) -> list[str]:
    """A file name per view: its own without folders and photo suffix, or with them where two would be the same."""
    flat = [name.replace("/", "_").replace("\\", "_") for name in views]
    short = [name[: -len(end)] if (end := _photo_suffix(name)) else name for name in flat]
    for names in (short, flat):
        if len({name.lower() for name in names}) == len(names):
            return [f"{name}.png" for name in names]
    return [f"{place:04d}_{name}.png" for place, name in enumerate(flat)]


def _photo_suffix(name: str) -> str:
    suffix = Path(name).suffix
    return suffix if suffix.lower() in _PHOTO_SUFFIXES else ""


def _look(root: Path, config: RenderConfig) -> tuple[tuple[float, float, float], bool]:
    """Background and antialiasing: as asked for, else as the report beside the splats says, else black and off."""
    behind, antialiased = _BLACK, False
    report = (root if root.is_dir() else root.parent) / REPORT_NAME
    values = _json_object(report) if report.is_file() else {}
    if {"background", "antialiased", "scene_path"} <= values.keys():
        red, green, blue = values["background"]
        behind, antialiased = (float(red), float(green), float(blue)), bool(values["antialiased"])
    return (
        behind if config.background is None else config.background,
        antialiased if config.antialiased is None else config.antialiased,
    )


def _json_object(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing where it is not an object: beside a bare splat file it may be anybody's."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _known_cameras(root: Path, config: RenderConfig) -> CameraBatch | None:
    if config.cameras is not None:
        stored = config.cameras / CAMERAS_NAME if config.cameras.is_dir() else config.cameras
        if stored.is_file() and stored.name == CAMERAS_NAME:
            return load_cameras(stored).cameras
        return read_posed_photos(config.cameras).cameras
    beside = (root if root.is_dir() else root.parent) / CAMERAS_NAME
    return load_cameras(beside).cameras if beside.is_file() else None


def _resized(cameras: CameraBatch, max_side: int | None) -> CameraBatch:
    if max_side is None:
        return cameras
    width, height = cameras.uniform_size
    factor = max_side / max(width, height)
    return cameras.resized(max(1, round(width * factor)), max(1, round(height * factor)))


def _orbit(scene: GaussianScene, known: CameraBatch | None, config: RenderConfig) -> CameraBatch:
    if known is None:
        return orbit_around(scene, view_count=config.frames, side=config.max_side or 512)
    width, height = _resized(known, config.max_side).uniform_size
    return orbit_cameras(known, view_count=config.frames, width=width, height=height)
