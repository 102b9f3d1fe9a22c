"""`fit_scene`: from a folder of posed photos to a fitted scene on disk, with previews and a held-out report."""

from __future__ import annotations

import json
import logging
import math
import os
import resource
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from vision3d.cameras.camera_files import StoredCameras, save_cameras
from vision3d.cameras.catalogue import read_posed_photos
from vision3d.cameras.load_photos import load_photos
from vision3d.cameras.posed_photos import Photos, PosedPhotos
from vision3d.cameras.split_views import ViewSplit, split_views
from vision3d.errors import InvalidInputError, RunFolderError
from vision3d.reconstruction.evaluate_views import ViewScore, evaluate_views, mean_scores
from vision3d.reconstruction.fit_config import FitSceneConfig
from vision3d.reconstruction.fit_gaussians import fit_gaussians
from vision3d.reconstruction.image_metrics import SSIM_WINDOW
from vision3d.reconstruction.previews import PREVIEW_FOLDER, write_previews
from vision3d.reconstruction.report_page import PAGE_NAME, write_report_page
from vision3d.rendering.renderer import RasterOptions
from vision3d.scene.catalogue import write_splats
from vision3d.scene.gaussian_scene import GaussianScene
from vlm_bridge.atomic_write import write_text_whole
from vlm_bridge.errors import RunFolderError as VlmRunFolderError
from vlm_bridge.file_hashes import tensors_sha256
from vlm_bridge.runs.run_folder import CONFIG_NAME, RunFolder, create_run, resume_run
from vlm_bridge.runs.run_record import to_json_value

_log = logging.getLogger(__name__)
SCENE_NAME = "scene.ply"
CAMERAS_NAME = "cameras.json"
REPORT_NAME = "report.json"
WHITE = (1.0, 1.0, 1.0)
_RESULTS = (REPORT_NAME, PAGE_NAME, SCENE_NAME, CAMERAS_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """What came out of a fit."""

    name: str
    """Name of the scene's folder or camera file."""
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
    background: tuple[float, float, float]
    """RGB behind the scene in 0-1; a render must use the same."""
    antialiased: bool
    """Whether the antialiased filter was on; a render must use the same."""


def fit_scene(
    scene: str | Path, output: str | Path, config: FitSceneConfig = FitSceneConfig(), *, overwrite: bool = False
) -> FitReport:
    """Fit the photos of `scene` and write scene.ply, cameras.json, report.json, index.html and previews to `output`.

    A run that was interrupted goes on where its last checkpoint left it, if the configuration is the same. Nothing is
    written before the whole scene has been read; report.json is written last and marks a finished run.

    Raises:
        CameraFileError, ImageFileError: the scene cannot be read.
        InvalidInputError: too few views or pixels to fit, or no such device.
        RunFolderError: `output` holds a finished run or one with another configuration (`overwrite` replaces both), or
            files that no run wrote.
    """
    started = time.monotonic()
    device = choose_device(config.device)
    posed = read_posed_photos(scene, camera_format=config.camera_format)
    split = split_views(posed.cameras.names, every=config.test_every, held_out=posed.held_out)
    check_output(Path(output), overwrite=overwrite)
    photos = load_photos(posed, max_side=config.max_side)
    width, height = photos.cameras.uniform_size
    if min(width, height) < SSIM_WINDOW:
        raise InvalidInputError(
            f"{scene}: expected photos of at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, found {width}x{height} with "
            f"max_side {config.max_side}. Raise max_side, or use larger photos."
        )
    run = open_run(Path(output), config, posed, overwrite=overwrite)
    _log.info("%d views of %dx%d (%d held out) on %s", len(photos.cameras), width, height, len(split.test), device)
    points = posed.points if config.start == "points" else None
    if config.start == "points" and posed.points is None:
        _log.info("the scene names no point cloud: Gaussians start at random, which asks for more photos")
    fitted = fit_gaussians(photos, points, train=split.train, config=config.fit, device=device, run=run)
    return _finish(run, fitted, photos, split, config, started, (Path(scene).resolve().name, device))


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
    """A new run in `output`, or the interrupted one found there; `overwrite` clears away any other run.

    Raises:
        RunFolderError: a finished run is there and `overwrite` is False, its configuration, cameras or photos differ,
            or the folder holds results that no run wrote.
    """
    check_output(output, overwrite=overwrite)
    inputs = [str(path) for path in posed.image_paths]
    recorded = to_json_value(config) | {"cameras_sha256": _cameras_sha256(posed)}
    if os.path.exists(output / CONFIG_NAME):
        try:
            if not os.path.exists(output / REPORT_NAME):
                return _resumed(output, recorded, inputs)
        except VlmRunFolderError:
            if not overwrite:
                raise
        _clear(output)
    return create_run(output, recorded, inputs, seed=config.fit.seed)


def check_output(output: Path, *, overwrite: bool) -> None:
    """Raise where `output` holds something that a fit must not touch.

    Raises:
        RunFolderError: a finished run without `overwrite`, or files that no run wrote.
    """
    if os.path.exists(output / CONFIG_NAME):
        RunFolder(path=output).record()  # raises for a config.json of something else
        if os.path.exists(output / REPORT_NAME) and not overwrite:
            raise RunFolderError(
                f"{output}: expected an empty folder or an interrupted fit, found a finished one. "
                "Choose another folder, or pass --overwrite."
            )
        return
    foreign = [name for name in _RESULTS if os.path.exists(output / name)]
    if foreign:
        raise RunFolderError(
            f"{output}: expected an empty folder or an earlier fit, found {', '.join(foreign)} without a "
            f"{CONFIG_NAME}. Choose another folder, or move these files away."
        )


def _resumed(output: Path, recorded: dict[str, Any], inputs: list[str]) -> RunFolder:
    run = resume_run(output, recorded, inputs)
    checkpoint = run.latest_checkpoint()
    run.rewind_to(0 if checkpoint is None else checkpoint.step)
    return run


def _clear(output: Path) -> None:
    """Remove what a run wrote; its record goes last, so that a cut leaves something to clear away again."""
    run = RunFolder(path=output)
    for name in _RESULTS:
        (output / name).unlink(missing_ok=True)
    for folder in (output / PREVIEW_FOLDER, run.checkpoint_folder):
        shutil.rmtree(folder, ignore_errors=True)
    run.metrics_path.unlink(missing_ok=True)
    (output / CONFIG_NAME).unlink()


def _cameras_sha256(posed: PosedPhotos) -> str:
    """Digest of poses, lenses and points: what a fit takes from the scene beside its photos."""
    tensors = {
        "world_to_camera": posed.cameras.world_to_camera,
        "intrinsics": posed.cameras.intrinsics,
        "distortion": posed.distortion,
    }
    if posed.points is not None:
        tensors |= {"positions": posed.points.positions, "colours": posed.points.colours}
    return tensors_sha256(tensors)


def _finish(
    run: RunFolder,
    scene: GaussianScene,
    photos: Photos,
    split: ViewSplit,
    config: FitSceneConfig,
    started: float,
    name_and_device: tuple[str, str],
) -> FitReport:
    name, device = name_and_device
    behind = WHITE if photos.alpha is not None else config.fit.background
    background = torch.tensor(behind)
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
        name=name,
        scene_path=run.path / SCENE_NAME,
        gaussians=len(scene),
        train_views=len(split.train),
        scores=tuple(scores),
        mean_psnr=psnr_mean,
        mean_ssim=ssim_mean,
        seconds=time.monotonic() - started,
        peak_memory_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        device=device,
        background=behind,
        antialiased=config.fit.antialiased,
    )
    write_report_page(run.path, report, pictures, photos.cameras)
    write_text_whole(run.path / REPORT_NAME, json.dumps(_report_values(report), indent=1) + "\n")
    return report


def _report_values(report: FitReport) -> dict[str, Any]:
    """The report as strict JSON holds it: means over no views are null."""
    values = asdict(replace(report, scene_path=Path(SCENE_NAME))) | {"scene_path": SCENE_NAME}
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in values.items()}
