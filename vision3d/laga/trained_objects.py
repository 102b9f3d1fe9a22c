"""`train_objects`: the trained engine, from masks to objects.

Affinity features are learned by contrast and masks are grouped by their rendered features, as published. Every Gaussian
then goes to the object whose masks show most of it, which gives cleaner borders than the published choice, the object
it resembles most; `assign_by` takes either.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError
from vision3d.laga.affinity_config import AffinityConfig
from vision3d.laga.frozen_views import FrozenViews, cameras_of_masks
from vision3d.laga.gaussian_owner import gaussian_owner
from vision3d.laga.group_prototypes import GroupingConfig, PrototypeGroups, assign_gaussians, group_prototypes
from vision3d.laga.mask_contributions import MaskContributions, contributions_of_masks
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
    assign_by: Literal["masks", "features"] = "masks"
    """What gives a Gaussian to an object: `masks`, the object whose masks show most of it, none where more of it lies
    in no mask; `features`, the object with the most similar centre (published)."""
    minimum_masked_share: float = 0.5
    """With `features`: Gaussians of which the views see less than this share inside masks belong to no object of that
    level; 0 = every Gaussian belongs to one, also what no view sees (published, for masks that cover the photos)."""
    minimum_peak: float = 0.02
    """With `masks`: Gaussians whose blending weight stays below this at every pixel of every view are in no object."""
    whole_distance: float = 0.6
    """Cosine distance within which objects of the coarsest level are joined (average linkage) on one more level: things
    that the proposer parts in most views become whole. Its objects have no masks of their own, so it is made only where
    objects are described by how they look themselves."""

    def __post_init__(self) -> None:
        if self.assign_by not in ("masks", "features") or not 0 <= self.whole_distance <= 2:
            raise InvalidInputError(
                "TrainedConfig: expected assign_by of masks or features and a whole_distance of 0 to 2, found "
                f"{self.assign_by!r} and {self.whole_distance}."
            )


def train_objects(
    scene: GaussianScene,
    cameras: CameraBatch,
    masks: ViewMasks,
    features: MaskFeatures,
    *,
    config: TrainedConfig = TrainedConfig(),
    with_whole: bool = False,
    renderer: Renderer | None = None,
    progress: bool = False,
) -> SceneObjects:
    """Objects of every level; `features` lists the masks to group (its vectors are not looked at).

    Where there are several levels, `with_whole` adds a last, coarsest one, see `TrainedConfig.whole_distance`.

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
        scene = replace(scene, opacity_logits=trained.opacity_logits)
        views = frozen_views(scene, chosen, config.affinity, renderer)
    least = config.affinity.least_pixels(views.height, views.width)
    prototypes = mask_prototypes(trained, views, masks, features, minimum_pixels=least, progress=progress)
    groups = group_prototypes(
        prototypes,
        features.level,
        level_count=len(masks.level_names),
        view_count=len(views),
        config=config.grouping,
    )
    if config.assign_by == "features":
        gaussian_object = assign_gaussians(trained, groups)
        masked = masked_shares(views, masks)
        gaussian_object = torch.where(masked >= config.minimum_masked_share, gaussian_object, -1).cpu()
    else:
        contributions = contributions_of_masks(
            scene, chosen, masks, features, renderer=renderer, progress=progress
        )  # fmt: skip
        gaussian_object = owners_by_masks(
            contributions, features, groups, level_count=len(masks.level_names), minimum_peak=config.minimum_peak
        )
    object_level = groups.object_level
    if with_whole and len(masks.level_names) > 1 and len(object_level):
        whole = whole_objects(gaussian_object[-1], groups, level=len(masks.level_names) - 1, config=config)
        gaussian_object = torch.cat([gaussian_object, whole[None]])
        added = int(whole.max()) + 1 - len(object_level)
        object_level = torch.cat([object_level, torch.full((max(added, 0),), len(masks.level_names))])
    return SceneObjects(gaussian_object=gaussian_object, mask_object=groups.mask_object, object_level=object_level)


def owners_by_masks(
    contributions: MaskContributions,
    table: MaskFeatures,
    groups: PrototypeGroups,
    *,
    level_count: int,
    minimum_peak: float,
) -> Int[Tensor, "level gaussian"]:
    """Object whose masks show most of each Gaussian, level by level; -1 where more of it lies in no mask."""
    rows = []
    for level in range(level_count):
        own = np.flatnonzero(table.level.numpy() == level)
        first = int((groups.object_level < level).sum())
        group = groups.mask_object.numpy()[own]
        owner = gaussian_owner(contributions, own, np.where(group >= 0, group - first, -1), minimum_peak=minimum_peak)
        rows.append(np.where(owner >= 0, owner + first, -1))
    return torch.from_numpy(np.stack(rows))


def whole_objects(
    owner: Int[Tensor, " gaussian"], groups: PrototypeGroups, *, level: int, config: TrainedConfig
) -> Int[Tensor, " gaussian"]:
    """Object of each Gaussian on the level of wholes, numbered after all others.

    Args:
        owner: object of each Gaussian on the coarsest level of the masks.
        groups: the objects.
        level: number of that level.
        config: how far apart the centres of one whole may lie.
    """
    objects = torch.nonzero(groups.object_level == level)[:, 0]
    joined = np.zeros(len(objects), np.int64)
    if len(objects) > 1:
        tree = linkage(groups.centres[objects].double().numpy(), "average", metric="cosine")
        joined = np.unique(fcluster(tree, config.whole_distance, "distance"), return_inverse=True)[1]
    number = torch.full((len(groups.object_level) + 1,), -1)
    number[objects] = torch.from_numpy(joined) + len(groups.object_level)
    return number[owner]


def masked_shares(views: FrozenViews, masks: ViewMasks) -> Float[Tensor, "level gaussian"]:
    """Share of what the views see of each Gaussian that lies inside masks of each level; 0 where they see nothing."""
    inside, total = 0, 0
    for view in range(len(views)):
        labels = torch.from_numpy(np.array(masks.labels[view]) >= 0).flatten(1).T
        values = torch.cat([labels, torch.ones(len(labels), 1)], 1).float()
        lifted = views.lift(view, values.to(views.cameras.device))
        inside, total = inside + lifted[:, :-1], total + lifted[:, -1:]
    return (inside / torch.as_tensor(total).clamp_min(1e-9)).T
