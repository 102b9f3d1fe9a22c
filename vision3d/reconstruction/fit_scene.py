"""`fit_scene`: from a folder of posed photos to a fitted scene on disk, with previews and a held-out report."""

from __future__ import annotations

import json
import logging
import resource
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from vision3d.cameras.camera_files import StoredCameras, save_cameras
from vision3d.cameras.catalogue import read_posed_photos
from vision3d.cameras.load_photos import load_photos
from vision3d.cameras.posed_photos import Photos, PosedPhotos
from vision3d.cameras.split_views import ViewSplit, split_views
from vision3d.errors import InvalidInputError, RunFolderError
from vision3d.reconstruction.evaluate_views import ViewScore, evaluate_views, mean_scores
from vision3d.reconstruction.fit_config import FitConfig
from vision3d.reconstruction.fit_gaussians import fit_gaussians
from vision3d.reconstruction.previews import write_previews
from vision3d.reconstruction.report_page import write_report_page
from vision3d.rendering.renderer import RasterOptions
from vision3d.scene.catalogue import write_splats
from vision3d.scene.gaussian_scene import GaussianScene
from vlm_bridge.atomic_write import write_text_whole
from vlm_bridge.runs.run_folder import CONFIG_NAME, RunFolder, create_run, resume_run

_log = logging.getLogger(__name__)
SCENE_NAME = "scene.ply"
CAMERAS_NAME = "cameras.json"
REPORT_NAME = "report.json"
WHITE = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSceneConfig:
    """How a folder of photos becomes a scene."""

    max_side: int = 240
    """Longest side of the photos used, in pixels; larger photos are reduced."""
    test_every: int = 8
    """Hold out every n-th view for the report; 0 holds out none."""
    camera_format: Literal["auto", "transforms", "blender", "colmap"] = "auto"
    """Which camera file to read where a folder has several."""
    start: Literal["points", "random"] = "points"
    """Start from the scene's own points where it has some, or at random."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to fit; auto takes CUDA when there is one."""
    fit: Annotated[FitConfig, tyro.conf.arg(name="")] = field(default_factory=FitConfig)
    """Settings of the fit itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """What came out of a fit."""

    scene_path: Path
    """The splats."""
    gaussians: int
    """How many there are."""
    train_views: int
    """Views fitted."""
    scores: tuple[ViewScore, ...]
    """Held-out views."""
    mean_psnr: float
    """Mean over the held-out views in dB; NaN without any."""
    mean_ssim: float
    """Mean over the held-out views; NaN without any."""
    seconds: float
    """Wall time of this call, reading and reporting included."""
    peak_memory_gb: float
    """Largest resident memory of the process so far, GB (10^9 bytes)."""
    device: str
    """Where it was fitted."""


def fit_scene(
    scene: str | Path, output: str | Path, config: FitSceneConfig = FitSceneConfig(), *, overwrite: bool = False
) -> FitReport:
    """Fit the photos of `scene` and write scene.ply, cameras.json, report.json, index.html and previews to `output`.

    A run that was interrupted goes on where its last checkpoint left it, if the configuration is the same.

    Raises:
        CameraFileError, ImageFileError: the scene cannot be read.
        RunFolderError: `output` holds a finished run (pass `overwrite`), or one with another configuration.
    """
    started = time.monotonic()
    device = choose_device(config.device)
    posed = read_posed_photos(scene, camera_format=config.camera_format)
    split = split_views(posed.cameras.names, every=config.test_every, held_out=posed.held_out)
    run = open_run(Path(output), config, posed, overwrite=overwrite)
    photos = load_photos(posed, max_side=config.max_side)
    width, height = photos.cameras.uniform_size
    _log.info("%d views of %dx%d (%d held out) on %s", len(photos.cameras), width, height, len(split.test), device)
    points = posed.points if config.start == "points" else None
    fitted = fit_gaussians(photos, points, train=split.train, config=config.fit, device=device, run=run)
    return _finish(run, fitted, photos, split, config, started, device)


def choose_device(name: str) -> str:
    """`cpu` or `cuda`.

    Raises:
        InvalidInputError: CUDA was asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidInputError(
            "Expected a CUDA device, found none that torch can use. Run on the cpu, or check `vision3d doctor`."
        )
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def open_run(output: Path, config: FitSceneConfig, posed: PosedPhotos, *, overwrite: bool) -> RunFolder:
    """A new run, or the interrupted one found in `output`.

    Raises:
        RunFolderError: a finished run is there and `overwrite` is False, or its configuration differs.
    """
    inputs = [str(path) for path in posed.image_paths]
    if overwrite and (output / CONFIG_NAME).exists():
        for stale in (output / CONFIG_NAME, output / SCENE_NAME, output / REPORT_NAME):
            stale.unlink(missing_ok=True)
        run = RunFolder(path=output)
        run.rewind_to(-1)
        return create_run(output, config, inputs, seed=config.fit.seed)
    if not (output / CONFIG_NAME).exists():
        return create_run(output, config, inputs, seed=config.fit.seed)
    if (output / SCENE_NAME).exists():
        raise RunFolderError(
            f"{output}: expected an empty folder or an interrupted fit, found a finished one. "
            "Choose another folder, or pass --overwrite."
        )
    run = resume_run(output, config, inputs)
    checkpoint = run.latest_checkpoint()
    run.rewind_to(0 if checkpoint is None else checkpoint.step)
    return run


def _finish(
    run: RunFolder,
    scene: GaussianScene,
    photos: Photos,
    split: ViewSplit,
    config: FitSceneConfig,
    started: float,
    device: str,
) -> FitReport:
    background = torch.tensor(WHITE if photos.alpha is not None else config.fit.background)
    options = RasterOptions(antialiased=config.fit.antialiased)
    placed = scene.to(device)
    scores = evaluate_views(placed, photos, split.test, background=background.to(device), options=options)
    save_cameras(StoredCameras(cameras=photos.cameras, test=split.test), run.path / CAMERAS_NAME)
    pictures = write_previews(
        run.path, placed, photos, split.test or split.train[:4], background=background.to(device), options=options
    )
    write_splats(scene, run.path / SCENE_NAME)
    psnr_mean, ssim_mean = mean_scores(scores)
    report = FitReport(
        scene_path=run.path / SCENE_NAME,
        gaussians=len(scene),
        train_views=len(split.train),
        scores=tuple(scores),
        mean_psnr=psnr_mean,
        mean_ssim=ssim_mean,
        seconds=time.monotonic() - started,
        peak_memory_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        device=device,
    )
    values = asdict(replace(report, scene_path=Path(SCENE_NAME)))
    values["scene_path"] = SCENE_NAME
    write_text_whole(run.path / REPORT_NAME, json.dumps(values, indent=1) + "\n")
    write_report_page(run.path, report, pictures, photos.cameras)
    return report
