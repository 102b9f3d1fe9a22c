"""`train_affinity`: the affinity features of a scene, learned from masks of its views.

Geometry stays frozen, so a step renders a few thousand pixels from blending weights made once per view. Only when the
opacities train too is the view rasterised.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import trange

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.laga.affinity_config import AffinityConfig
from vision3d.laga.affinity_field import AffinityField, normalise_blocks
from vision3d.laga.contrastive_loss import contrastive_loss
from vision3d.laga.frozen_views import FrozenViews, cameras_of_masks
from vision3d.laga.training_masks import TrainingMasks, choose_training_masks
from vision3d.masks.view_masks import ViewMasks
from vision3d.rendering.catalogue import choose_renderer
from vision3d.rendering.render_views import splats_of
from vision3d.rendering.renderer import Renderer
from vision3d.scene.gaussian_scene import GaussianScene


def train_affinity(
    scene: GaussianScene,
    cameras: CameraBatch,
    masks: ViewMasks,
    *,
    config: AffinityConfig = AffinityConfig(),
    renderer: Renderer | None = None,
    views: FrozenViews | None = None,
    progress: bool = False,
) -> AffinityField:
    """Features under which pixels of one mask agree and pixels of different masks do not; one view per step.

    Args:
        scene: its Gaussians stay where they are.
        cameras: among them one for each view of the masks.
        masks: what belongs together in each view.
        config: settings.
        renderer: None takes the one that fits the scene's device.
        views: the masks' views, where their blending weights are known already.
        progress: show a bar.

    Raises:
        InvalidInputError: masks and cameras differ in size, or the blocks do not fit the masks' levels.
        UnknownViewError: a view of the masks has no camera.
    """
    chosen = cameras_of_masks(cameras, masks)
    block_dims = config.blocks(len(masks.level_names))
    training = choose_training_masks(
        masks, minimum_pixels=config.least_pixels(*masks.labels.shape[2:]), duplicate_iou=config.duplicate_iou
    )
    renderer = renderer or choose_renderer(scene.device)
    if views is None and not config.train_opacity:
        views = frozen_views(scene, chosen, config, renderer)
    generator = torch.Generator(scene.device).manual_seed(config.seed)
    shape = (len(scene), sum(block_dims))
    start = torch.randn(shape, generator=generator, device=scene.device) * config.initial_sigma
    features, logits = start.requires_grad_(), scene.opacity_logits.detach().clone()
    optimiser = _optimiser(features, logits, config)
    order = _shuffled_views(len(chosen), generator)
    for _ in trange(config.steps, desc="affinity", disable=not progress):
        view = next(order)
        pixels = _sampled_pixels(config, masks.labels.shape[2] * masks.labels.shape[3], generator)
        channels = normalise_blocks(features, block_dims)
        if config.train_opacity or views is None:
            rendered = _rasterised(scene, logits, chosen, view, channels, renderer)[pixels]
        else:
            rendered = views.render(view, channels, pixels)
        loss = contrastive_loss(
            rendered,
            training.labels_at(view, pixels),
            _draws(training, view, pixels, generator),
            block_dims=block_dims,
            hard_negative_cosine=config.hard_negative_cosine,
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return AffinityField(features=features.detach(), block_dims=block_dims, opacity_logits=logits.detach())


def frozen_views(
    scene: GaussianScene, cameras: CameraBatch, config: AffinityConfig, renderer: Renderer | None
) -> FrozenViews:
    """The views of `cameras` with the memory and accuracy that `config` allows."""
    return FrozenViews(
        scene,
        cameras,
        renderer=renderer,
        minimum_weight=config.minimum_weight,
        memory_budget=config.memory_budget,
    )


def _optimiser(features: Tensor, logits: Tensor, config: AffinityConfig) -> torch.optim.Adam:
    groups = [{"params": [features], "lr": config.learning_rate}]
    if config.train_opacity:
        groups.append({"params": [logits.requires_grad_()], "lr": config.opacity_learning_rate})
    return torch.optim.Adam(groups, eps=config.adam_epsilon, fused=True)


def _shuffled_views(count: int, generator: torch.Generator) -> Iterator[int]:
    """Every view once in random order, again and again."""
    while True:
        yield from torch.randperm(count, generator=generator, device=generator.device).tolist()


def _sampled_pixels(config: AffinityConfig, count: int, generator: torch.Generator) -> Int[Tensor, " pixel"]:
    if config.pixels_per_step is None or config.pixels_per_step >= count:
        return torch.arange(count, device=generator.device)
    return torch.randint(count, (config.pixels_per_step,), generator=generator, device=generator.device)


def _draws(
    training: TrainingMasks, view: int, pixels: Tensor, generator: torch.Generator
) -> list[Float[Tensor, "pixel mask"]]:
    shapes = [(len(pixels), count) for count in training.counts(view)]
    return [torch.rand(shape, generator=generator, device=generator.device) for shape in shapes]


def _rasterised(
    scene: GaussianScene, logits: Tensor, cameras: CameraBatch, view: int, channels: Tensor, renderer: Renderer
) -> Float[Tensor, "pixel dim"]:
    splats = splats_of(replace(scene.detach(), opacity_logits=logits))
    result = renderer.rasterize(splats, cameras.select([cameras.names[view]]), channels)
    return result.channels[0].flatten(0, 1)
