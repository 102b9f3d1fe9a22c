"""How well a scene reproduces photos it has not seen: PSNR and SSIM per held-out view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vision3d.cameras.posed_photos import Photos
from vision3d.reconstruction.image_metrics import psnr, ssim
from vision3d.rendering.render_views import render_views
from vision3d.rendering.renderer import RasterOptions, Renderer
from vision3d.scene.gaussian_scene import GaussianScene


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewScore:
    """Scores of one view."""

    name: str
    """The view."""
    psnr: float
    """Decibels, on 8-bit photos scaled to 0-1 and a render clamped to 0-1."""
    ssim: float
    """Structural similarity, at most 1."""


def photo_of(photos: Photos, name: str) -> Float[Tensor, "1 height width 3"]:
    """The photo of one view in 0-1."""
    row = photos.cameras.index_of(name)
    return photos.images[row : row + 1].float() / 255.0


@torch.no_grad()
def evaluate_views(
    scene: GaussianScene,
    photos: Photos,
    names: Sequence[str],
    *,
    background: Float[Tensor, " 3"],
    renderer: Renderer | None = None,
    options: RasterOptions = RasterOptions(),
) -> list[ViewScore]:
    """PSNR and SSIM of each named view; nothing is adjusted per view."""
    scores = []
    for name in names:
        cameras = photos.cameras.select([name]).to(scene.device)
        rendered = render_views(scene, cameras, renderer=renderer, background=background, options=options)
        image, truth = rendered.colour.clamp(0.0, 1.0), photo_of(photos, name).to(scene.device)
        scores.append(ViewScore(name=name, psnr=psnr(image, truth), ssim=float(ssim(image, truth))))
    return scores


def mean_scores(scores: Sequence[ViewScore]) -> tuple[float, float]:
    """Mean PSNR and SSIM over views; NaN for none."""
    if not scores:
        return float("nan"), float("nan")
    return sum(score.psnr for score in scores) / len(scores), sum(score.ssim for score in scores) / len(scores)
