"""`fit_gaussians`: a Gaussian scene fitted to posed photos, resumable.

One step is one training view. Which view, and every random number, follow from seed and step alone, so a fit that was
killed and resumed from a checkpoint ends in the same scene as one that ran through.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.point_cloud import PointCloud
from vision3d.cameras.posed_photos import Photos
from vision3d.errors import InvalidInputError
from vision3d.reconstruction.densification.catalogue import make_densifier
from vision3d.reconstruction.densification.densifier import Densifier, DensifyStep
from vision3d.reconstruction.fit_checkpoint import FitProgress, load_progress, save_progress
from vision3d.reconstruction.fit_config import FitConfig
from vision3d.reconstruction.image_metrics import ssim
from vision3d.reconstruction.initial_scene import focus_distance, initial_scene
from vision3d.reconstruction.splat_parameters import Parameters, make_optimisers, parameters_of, scene_of
from vision3d.rendering.catalogue import choose_renderer
from vision3d.rendering.render_views import render_views
from vision3d.rendering.renderer import RasterOptions, Renderer
from vision3d.scene.bounds import scene_scale
from vision3d.scene.gaussian_scene import GaussianScene
from vlm_bridge.runs.run_folder import RunFolder

_log = logging.getLogger(__name__)
_PROGRESS_EVERY = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _TrainingViews:
    """What a step needs of the photos, on the device of the fit."""

    cameras: CameraBatch
    images: torch.Tensor
    valid: torch.Tensor | None
    background: torch.Tensor
    opaque: bool


def fit_gaussians(
    photos: Photos,
    points: PointCloud | None = None,
    *,
    train: Sequence[str] | None = None,
    config: FitConfig = FitConfig(),
    device: torch.device | str = "cpu",
    run: RunFolder | None = None,
) -> GaussianScene:
    """Gaussians that reproduce the training views.

    Args:
        photos: pinhole photos of one size.
        points: structure-from-motion points to start from; None starts at random.
        train: names of the views to fit; None fits all of them.
        config: settings.
        device: `cpu` or a CUDA device; it decides the renderer.
        run: folder for metrics and checkpoints. A fit continues from the newest checkpoint found there.

    Raises:
        InvalidInputError: no training views, or values that do not fit together.
    """
    views = _training_views(photos, train, config, torch.device(device))
    renderer = choose_renderer(device)
    extent = scene_scale(views.cameras.camera_centres) or focus_distance(views.cameras)
    progress = _start(views, points, config, extent, run)
    densifier = make_densifier(
        config.densifier, (config.mcmc, config.default), steps=config.steps, seed=config.seed, scene_scale=extent
    )
    densifier.load_state(progress.densifier)
    smoothed = 0.0
    with tqdm(total=config.steps, initial=progress.step, desc="fit", unit="step", mininterval=1.0) as bar:
        for step in range(progress.step, config.steps):
            error = _train_step(progress, views, renderer, densifier, step, config, extent)
            smoothed = error if smoothed == 0.0 else 0.98 * smoothed + 0.02 * error
            bar.update()
            done = step + 1
            if done % _PROGRESS_EVERY == 0 or done == config.steps:
                decibel = -10.0 * torch.log10(torch.tensor(max(smoothed, 1e-12))).item()
                count = len(progress.parameters["means"])
                bar.set_postfix(psnr=f"{decibel:.2f}", gaussians=count, refresh=False)
                if run is not None:
                    run.log_metrics(done, train_psnr=decibel, gaussians=count)
            if run is not None and done % config.checkpoint_every == 0 and done < config.steps:
                save_progress(run, progress, densifier, done)
    return scene_of(progress.parameters).detach().to("cpu")


def learning_rate_of_means(config: FitConfig, extent: float, step: int) -> float:
    """Learning rate of the means at `step`, world units: exponential from first to last."""
    share = step / max(config.steps - 1, 1)
    return config.rates.means * extent * config.rates.means_final_factor**share


def view_of_step(step: int, count: int, seed: int) -> int:
    """Row of the training view of `step`: every view once per round, each round in another random order."""
    generator = torch.Generator().manual_seed(seed * 7_919 + step // count)
    return int(torch.randperm(count, generator=generator)[step % count])


def background_of_step(
    step: int, config: FitConfig, background: Float[Tensor, " 3"], *, opaque: bool
) -> Float[Tensor, " 3"]:
    """What lies behind the scene at `step`: a random colour for opaque photos in the first share of the steps.

    On one fixed colour a surface of that colour may stay empty; on changing ones it has to be built.
    """
    if not opaque or step >= config.random_background * config.steps:
        return background
    generator = torch.Generator().manual_seed(config.seed * 15_485_863 + step)
    return torch.rand(3, generator=generator).to(background)


def _training_views(
    photos: Photos, train: Sequence[str] | None, config: FitConfig, device: torch.device
) -> _TrainingViews:
    names = photos.cameras.names if train is None else tuple(train)
    if not names:
        raise InvalidInputError("fit_gaussians: expected at least one training view, found none. Hold out fewer views.")
    rows = torch.tensor([photos.cameras.index_of(name) for name in names])
    background = (1.0, 1.0, 1.0) if photos.alpha is not None else config.background
    return _TrainingViews(
        cameras=photos.cameras.select(names).to(device),
        images=photos.images[rows].to(device),
        valid=None if photos.valid is None else photos.valid[rows].to(device),
        background=torch.tensor(background, device=device),
        opaque=photos.alpha is None,
    )


def _start(
    views: _TrainingViews, points: PointCloud | None, config: FitConfig, extent: float, run: RunFolder | None
) -> FitProgress:
    found = None if run is None else load_progress(run, config.rates, extent, views.images.device)
    if found is not None:
        _log.info("resuming at step %d with %d Gaussians", found.step, len(found.parameters["means"]))
        return found
    scene = initial_scene(
        points,
        views.cameras.to("cpu"),
        count=config.initial_count,
        sh_degree=config.sh_degree,
        opacity=config.initial_opacity,
        scale_factor=config.initial_scale,
        seed=config.seed,
    )
    parameters = parameters_of(scene.to(views.images.device))
    return FitProgress(
        step=0, parameters=parameters, optimisers=make_optimisers(parameters, config.rates, extent), densifier={}
    )


def _train_step(
    progress: FitProgress,
    views: _TrainingViews,
    renderer: Renderer,
    densifier: Densifier,
    step: int,
    config: FitConfig,
    extent: float,
) -> float:
    """One view forward and backward; returns its mean squared error."""
    parameters, optimisers = progress.parameters, progress.optimisers
    row = view_of_step(step, len(views.cameras), config.seed)
    name = views.cameras.names[row]
    means_rate = learning_rate_of_means(config, extent, step)
    optimisers["means"].param_groups[0]["lr"] = means_rate
    rendered = render_views(
        scene_of(parameters, sh_degree=min(step // config.sh_every, config.sh_degree)),
        views.cameras.select([name]),
        renderer=renderer,
        background=background_of_step(step, config, views.background, opaque=views.opaque),
        options=RasterOptions(antialiased=config.antialiased),
    )
    if densifier.needs_means2d_gradient:
        rendered.projection.means2d.retain_grad()
    colour, truth = _colour_and_truth(rendered.colour, views, row)
    splat_loss(colour, truth, parameters, config, extent).backward()
    width, height = views.cameras.uniform_size
    at = DensifyStep(step=step, means_rate=means_rate, projection=rendered.projection, width=width, height=height)
    densifier.after_backward(parameters, optimisers, at)
    for optimiser in optimisers.values():
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    densifier.after_step(parameters, optimisers, at)
    return float((colour - truth).detach().square().mean())


def splat_loss(
    colour: Float[Tensor, "view height width 3"],
    truth: Float[Tensor, "view height width 3"],
    parameters: Parameters,
    config: FitConfig,
    extent: float,
) -> Float[Tensor, ""]:
    """What a fit lowers: L1 and D-SSIM of the picture, and penalties on opacity and on size in units of `extent`."""
    loss = (1.0 - config.ssim_weight) * (colour - truth).abs().mean()
    if config.ssim_weight > 0:
        loss = loss + config.ssim_weight * (1.0 - ssim(colour, truth))
    if config.opacity_penalty > 0:
        loss = loss + config.opacity_penalty * torch.sigmoid(parameters["opacities"]).mean()
    if config.scale_penalty > 0:
        loss = loss + config.scale_penalty / extent * torch.exp(parameters["scales"]).mean()
    return loss


def _colour_and_truth(colour: Tensor, views: _TrainingViews, row: int) -> tuple[Tensor, Tensor]:
    """Picture and photo of a view, alike where the photo says nothing."""
    truth = views.images[row : row + 1].float() / 255.0
    if views.valid is not None:
        colour = torch.where(views.valid[row : row + 1, ..., None], colour, truth)
    return colour, truth
