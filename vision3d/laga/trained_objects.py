"""`train_objects`: the trained engine, from masks to objects.

The faithful method: affinity features learned by contrast, masks grouped by their rendered features, and every Gaussian
given to the object it resembles most.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.laga.affinity_config import AffinityConfig
from vision3d.laga.frozen_views import FrozenViews, cameras_of_masks
from vision3d.laga.group_prototypes import GroupingConfig, assign_gaussians, group_prototypes
from vision3d.laga.prototypes import mask_prototypes
from vision3d.laga.scene_objects import SceneObjects
from vision3d.laga.train_affinity import frozen_views, train_affinity
from vision3d.language.mask_features import MaskFeatures
from vision3d.masks.view_masks import ViewMasks
from vision3d.rendering.renderer import Renderer
from vision3d.scene.gaussian_scene import GaussianScene


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedConfig:
    """Settings of the trained engine."""

    affinity: AffinityConfig = field(default_factory=AffinityConfig)
    """Of the training."""
    grouping: GroupingConfig = field(default_factory=GroupingConfig)
    """Of the clusters."""
    minimum_masked_share: float = 0.5
    """Gaussians of which the views see less than this share inside masks belong to no object of that level; 0 = every
    Gaussian belongs to one, also what no view sees (published, for masks that cover the photos)."""


def train_objects(
    scene: GaussianScene,
    cameras: CameraBatch,
    masks: ViewMasks,
    features: MaskFeatures,
    *,
    config: TrainedConfig = TrainedConfig(),
    renderer: Renderer | None = None,
    progress: bool = False,
) -> SceneObjects:
    """Objects of every level; `features` lists the masks to group (its vectors are not looked at).

    Raises:
        InvalidInputError: masks and cameras differ in size, or the blocks do not fit the masks' levels.
        UnknownViewError: a view of the masks has no camera.
    """
    chosen = cameras_of_masks(cameras, masks)
    views = frozen_views(scene, chosen, config.affinity, renderer)
    trained = train_affinity(
        scene, chosen, masks, config=config.affinity, renderer=renderer, views=views, progress=progress
    )
    if config.affinity.train_opacity:
        opaque = replace(scene, opacity_logits=trained.opacity_logits)
        views = frozen_views(opaque, chosen, config.affinity, renderer)
    least = config.affinity.least_pixels(views.height, views.width)
    prototypes = mask_prototypes(trained, views, masks, features, minimum_pixels=least, progress=progress)
    groups = group_prototypes(
        prototypes,
        features.level,
        level_count=len(masks.level_names),
        view_count=len(views),
        config=config.grouping,
    )
    gaussian_object = assign_gaussians(trained, groups)
    masked = masked_shares(views, masks)
    gaussian_object = torch.where(masked >= config.minimum_masked_share, gaussian_object, -1)
    return SceneObjects(
        gaussian_object=gaussian_object.cpu(), mask_object=groups.mask_object, object_level=groups.object_level
    )


def masked_shares(views: FrozenViews, masks: ViewMasks) -> Float[Tensor, "level gaussian"]:
    """Share of what the views see of each Gaussian that lies inside masks of each level; 0 where they see nothing."""
    inside, total = 0, 0
    for view in range(len(views)):
        labels = torch.from_numpy(np.array(masks.labels[view]) >= 0).flatten(1).T
        values = torch.cat([labels, torch.ones(len(labels), 1)], 1).float()
        lifted = views.lift(view, values.to(views.cameras.device))
        inside, total = inside + lifted[:, :-1], total + lifted[:, -1:]
    return (inside / torch.as_tensor(total).clamp_min(1e-9)).T
