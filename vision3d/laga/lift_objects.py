"""The training-free engine: what all views say about which Gaussians lie in one mask, put together without training.

Two ways of grouping: `superpoints` joins small groups of Gaussians by how often they share a mask, and forgives masks
that are wrong in most views; `mask_graph` joins whole masks that nearly all views agree on, and asks for good masks.
See `docs/laga.md` for how they compare.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_array
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.laga.co_membership import co_membership, joined, masks_of_clusters
from vision3d.laga.gaussian_owner import gaussian_owner
from vision3d.laga.mask_contributions import MaskContributions, contributions_of_masks
from vision3d.laga.mask_graph import MaskGraphConfig, group_masks
from vision3d.laga.scene_objects import SceneObjects
from vision3d.laga.superpoints import superpoints
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
    grouping: Literal["superpoints", "mask_graph"] = "superpoints"
    """How masks become objects."""
    superpoint_count: int = 2_000
    """Superpoints at the most."""
    together_shares: tuple[float, ...] = (0.25, 0.2, 0.2)
    """Share of the common views in which the parts of an object lie in one mask, on average; for the finest level
    first, the last one holds for all further levels."""
    whole_share: float = 0.08
    """The same for one more level, on which the coarsest masks are joined further: things that the proposer parts in
    most views become whole. Its objects have no masks of their own, so it is made only where objects are described by
    how they look themselves."""
    own_share: float = 0.6
    """A mask describes an object that makes at least this share of it,"""
    covered_share: float = 0.3
    """and of which it shows at least this share of what its view sees."""
    minimum_masks: int = 3
    """Objects described by fewer masks are dropped."""
    graph: MaskGraphConfig = field(default_factory=MaskGraphConfig)
    """When masks are one object, for `mask_graph`."""


def lift_objects(
    scene: GaussianScene,
    cameras: CameraBatch,
    masks: ViewMasks,
    features: MaskFeatures,
    *,
    config: LiftConfig = LiftConfig(),
    with_whole: bool = False,
    renderer: Renderer | None = None,
    progress: bool = False,
) -> SceneObjects:
    """Objects of every level; `features` lists the masks to use (its vectors are not looked at).

    Where there are several levels, `with_whole` adds a last, coarsest one, see `LiftConfig.whole_share`.

    Raises:
        InvalidInputError: masks and cameras differ in size, or `features` lists views that the masks have not.
        UnknownViewError: a view of the masks has no camera.
    """
    contributions = contributions_of_masks(
        scene, cameras, masks, features, renderer=renderer, minimum_weight=config.minimum_weight, progress=progress
    )
    return objects_of_contributions(
        contributions, features, scene.means.detach().cpu(), level_count=len(masks.level_names), config=config,
        with_whole=with_whole,
    )  # fmt: skip


def objects_of_contributions(
    contributions: MaskContributions,
    table: MaskFeatures,
    means: Float[Tensor, "gaussian 3"],
    *,
    level_count: int,
    config: LiftConfig = LiftConfig(),
    with_whole: bool = False,
) -> SceneObjects:
    """The objects of every level from contributions that are already known."""
    mask_object = np.full(len(table), -1)
    gaussian_object, object_level = [], []
    first = 0
    parts = _superpoints(contributions, table, means, config)
    shares = [config.together_shares[min(level, len(config.together_shares) - 1)] for level in range(level_count)]
    whole = with_whole and level_count > 1 and config.grouping == "superpoints"
    for level, least in enumerate([*shares, config.whole_share] if whole else shares):
        own = np.flatnonzero(table.level.numpy() == min(level, level_count - 1))
        if config.grouping == "superpoints":
            group, fallback = _joined_superpoints(contributions, table, own, parts, least, config)
        else:
            rows = csr_array(contributions.strong_masks[own])
            group = group_masks(rows, table.view.numpy()[own], contributions.strong_views, config.graph)
            fallback = np.full(len(means), -1)
        count = int(group.max(initial=-1)) + 1
        if level < level_count:
            mask_object[own] = np.where(group >= 0, first + group, -1)
        owner = gaussian_owner(contributions, own, group, fallback, minimum_peak=config.minimum_peak)
        gaussian_object.append(np.where(owner >= 0, first + owner, -1))
        object_level += [level] * count
        first += count
    return SceneObjects(
        gaussian_object=torch.from_numpy(np.stack(gaussian_object)),
        mask_object=torch.from_numpy(mask_object),
        object_level=torch.tensor(object_level, dtype=torch.long),
    )


def _superpoints(
    contributions: MaskContributions, table: MaskFeatures, means: Tensor, config: LiftConfig
) -> Int[ndarray, " gaussian"]:
    finest = np.flatnonzero(table.level.numpy() == 0)
    if config.grouping != "superpoints":
        return np.zeros(len(means), np.int64)
    rows = csr_array(contributions.masks[finest])
    return superpoints(means.numpy().astype(np.float64), rows, count=config.superpoint_count)


def _joined_superpoints(
    contributions: MaskContributions,
    table: MaskFeatures,
    own: Int[ndarray, " mask"],
    parts: Int[ndarray, " gaussian"],
    least: float,
    config: LiftConfig,
) -> tuple[Int[ndarray, " mask"], Int[ndarray, " gaussian"]]:
    """Object of each mask of one level, and of each Gaussian's superpoint; -1 = none."""
    view_of = table.view.numpy()[own]
    count = int(parts.max(initial=-1)) + 1
    gather = csr_array((np.ones(len(parts), np.float32), (parts, np.arange(len(parts)))), shape=(count, len(parts)))
    masks = (gather @ contributions.strong_masks[own].T).toarray()
    views = (gather @ contributions.strong_views.T).toarray()
    cluster = joined(co_membership(masks, views, view_of), least=least)
    group = masks_of_clusters(
        masks, views, view_of, cluster, own_share=config.own_share, covered_share=config.covered_share
    )
    names, sizes = np.unique(group[group >= 0], return_counts=True)
    number = np.full(int(cluster.max(initial=-1)) + 2, -1)
    number[names[sizes >= config.minimum_masks]] = np.arange((sizes >= config.minimum_masks).sum())
    return number[group], number[cluster[parts]]
