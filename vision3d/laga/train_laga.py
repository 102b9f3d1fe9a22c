"""`train_laga`: from a fitted scene, masks and their vectors to a scene that can be asked."""

from __future__ import annotations

from dataclasses import asdict

import torch
from jaxtyping import Int
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.laga.laga_scene import LagaScene
from vision3d.laga.lift_objects import lift_objects
from vision3d.laga.object_descriptors import describe_objects
from vision3d.laga.object_looks import Looks, describe_by_looks
from vision3d.laga.scene_objects import SceneObjects
from vision3d.laga.train_config import TrainLagaConfig
from vision3d.laga.trained_objects import train_objects
from vision3d.language.mask_features import MaskFeatures
from vision3d.masks.view_masks import ViewMasks
from vision3d.scene.gaussian_scene import GaussianScene
from vlm_bridge.runs.run_record import to_json_value

WHOLE_LEVEL = "xl"
"""Name of the level that joins what the coarsest masks part in most views."""


def train_laga(
    scene: GaussianScene,
    cameras: CameraBatch,
    masks: ViewMasks,
    features: MaskFeatures,
    *,
    config: TrainLagaConfig = TrainLagaConfig(),
    encoder_name: str = "embedded",
    looks: Looks | None = None,
    progress: bool = False,
) -> LagaScene:
    """The scene with its objects and their descriptors.

    Objects are described by the masks that were grouped, as LaGa does, or, given `looks`, by what each of them looks
    like in the photos; then there is one more level, `xl`.

    Args:
        scene: fitted Gaussians; they are not changed.
        cameras: the views the masks belong to, found by name.
        masks: masks of these views.
        features: one vector per mask; its `view` is the row in `masks.view_names`.
        config: engine and settings.
        encoder_name: how the encoder of the features was asked for; kept for later queries.
        looks: the photos of the masks' views and the encoder of the features.
        progress: show progress bars.

    Raises:
        InvalidInputError: masks, features and cameras do not fit together.
        UnknownViewError: a view of the masks has no camera.
    """
    if config.engine == "lift":
        objects = lift_objects(
            scene, cameras, masks, features, config=config.lift, with_whole=looks is not None,
            progress=progress,
        )  # fmt: skip
    else:
        objects = train_objects(
            scene, cameras, masks, features, config=config.trained, with_whole=looks is not None, progress=progress
        )
    descriptors = describe_objects(
        features,
        objects.mask_object,
        object_count=len(objects),
        pixels=mask_pixels(masks, features),
        config=config.descriptors,
    )
    laga = LagaScene(
        scene=scene,
        gaussian_object=objects.gaussian_object,
        object_level=objects.object_level,
        object_masks=masks_per_object(objects),
        descriptors=descriptors,
        level_names=(*masks.level_names, WHOLE_LEVEL)[: len(objects.gaussian_object)],
        encoder_name=encoder_name,
        facts={"masks": masks.source, "views": len(masks.view_names), "config": to_json_value(asdict(config))},
    )
    if looks is None:
        return laga
    seen = cameras.select(masks.view_names)
    return describe_by_looks(laga, seen, looks, crops=config.crops, descriptors=config.descriptors, progress=progress)


def mask_pixels(masks: ViewMasks, features: MaskFeatures) -> Int[Tensor, " mask"]:
    """Number of pixels of each mask of the table."""
    sizes = torch.zeros(len(features), dtype=torch.long)
    for view in range(len(masks.view_names)):
        for level in range(len(masks.level_names)):
            own = ((features.view == view) & (features.level == level)).nonzero().flatten()
            labels = torch.from_numpy(masks.labels[view, level].astype("int64")).flatten()
            numbers = features.number[own]
            counts = torch.bincount(labels[labels >= 0], minlength=int(numbers.max()) + 1 if len(own) else 0)
            sizes[own] = counts[numbers]
    return sizes


def masks_per_object(objects: SceneObjects) -> Int[Tensor, " object"]:
    """How many masks each object was seen in."""
    known = objects.mask_object[objects.mask_object >= 0]
    return torch.bincount(known, minlength=len(objects))
