"""The training-free engine: masks grouped by what all views agree on, Gaussians given to the object that painted them.

Seconds instead of minutes, and nothing random. See `docs/laga.md` for how it compares with its rivals.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from scipy.sparse import csr_array

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.laga.mask_contributions import MaskContributions, contributions_of_masks
from vision3d.laga.mask_graph import MaskGraphConfig, dominant_rows, group_masks, object_weights
from vision3d.laga.scene_objects import SceneObjects
from vision3d.language.mask_features import MaskFeatures
from vision3d.masks.view_masks import ViewMasks
from vision3d.rendering.renderer import Renderer
from vision3d.scene.gaussian_scene import GaussianScene


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftConfig:
    """Settings of the training-free engine."""

    minimum_weight: float = 0.2
    """Blending weight from which a Gaussian is plainly visible at a pixel; masks are compared by such samples."""
    minimum_peak: float = 0.02
    """Gaussians whose blending weight stays below this at every pixel of every view are in no object (pruning)."""
    graph: MaskGraphConfig = field(default_factory=MaskGraphConfig)
    """When masks are one object."""


def lift_objects(
    scene: GaussianScene,
    cameras: CameraBatch,
    masks: ViewMasks,
    features: MaskFeatures,
    *,
    config: LiftConfig = LiftConfig(),
    renderer: Renderer | None = None,
    progress: bool = False,
) -> SceneObjects:
    """Objects of every level; `features` lists the masks to use (its vectors are not looked at).

    Raises:
        InvalidInputError: masks and cameras differ in size, or `features` lists views that the masks have not.
        UnknownViewError: a view of the masks has no camera.
    """
    contributions = contributions_of_masks(
        scene, cameras, masks, features, renderer=renderer, minimum_weight=config.minimum_weight, progress=progress
    )
    return objects_of_contributions(contributions, features, level_count=len(masks.level_names), config=config)


def objects_of_contributions(
    contributions: MaskContributions, table: MaskFeatures, *, level_count: int, config: LiftConfig = LiftConfig()
) -> SceneObjects:
    """The objects of every level from contributions that are already known."""
    mask_object = np.full(len(table), -1)
    gaussian_object, object_level = [], []
    first = 0
    for level in range(level_count):
        own = np.flatnonzero(table.level.numpy() == level)
        group = group_masks(
            csr_array(contributions.strong_masks[own]),
            table.view.numpy()[own],
            contributions.strong_views,
            config.graph,
        )
        count = int(group.max(initial=-1)) + 1
        mask_object[own] = np.where(group >= 0, first + group, -1)
        owner = gaussian_owner(contributions, own, group, minimum_peak=config.minimum_peak)
        gaussian_object.append(np.where(owner >= 0, first + owner, -1))
        object_level += [level] * count
        first += count
    return SceneObjects(
        gaussian_object=torch.from_numpy(np.stack(gaussian_object)),
        mask_object=torch.from_numpy(mask_object),
        object_level=torch.tensor(object_level, dtype=torch.long),
    )


def gaussian_owner(
    contributions: MaskContributions,
    own: Int[ndarray, " mask"],
    group: Int[ndarray, " mask"],
    *,
    minimum_peak: float = 0.0,
) -> Int[ndarray, " gaussian"]:
    """Object of one level that holds most of each Gaussian; -1 where more of it lies in no mask, or it is never seen.

    Args:
        contributions: of all masks.
        own: rows of the level's masks.
        group: object of each of them, -1 = none.
        minimum_peak: Gaussians that are never plainer than this belong nowhere.
    """
    rows = csr_array(contributions.masks[own])
    count = int(group.max(initial=-1)) + 1
    weights = object_weights(rows, group, count)
    owner = dominant_rows(weights)
    total = np.asarray(contributions.views.sum(axis=0)).ravel()
    masked = np.asarray(rows.sum(axis=0)).ravel()
    best = np.zeros(len(owner))
    if count:
        best = weights.max(axis=0).toarray().ravel()
    # what lies in no mask of this level competes like an object
    return np.where((best > total - masked) & (contributions.peak >= minimum_peak), owner, -1)
