"""How each object itself looks from every view, once it is known: its masks by rendering, and descriptors from these.

A proposer cuts a thing into other pieces in every photo. Once the views have agreed on objects, each pixel goes to the
object that paints most of it, and the photo cut out by this mask shows the whole visible object and nothing else. LaGa
describes an object by the proposed masks that were grouped; both ways are offered, see `train_laga`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from scipy.sparse import csr_array
from torch import Tensor
from tqdm import tqdm

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError
from vision3d.laga.laga_scene import LagaScene
from vision3d.laga.object_descriptors import DescriptorConfig, describe_objects
from vision3d.language.crops import CropSettings
from vision3d.language.image_text_encoder import ImageTextEncoder, check_same_encoder
from vision3d.language.mask_features import encode_views
from vision3d.masks.view_masks import ViewMasks
from vision3d.rendering.catalogue import choose_renderer
from vision3d.rendering.render_views import splats_of
from vision3d.rendering.renderer import BlendingWeights, RasterOptions, Renderer

_PAINTED_SHARE = 0.5
"""An object owns a pixel of which it paints at least this much."""
_VISIBLE_SHARE = 0.15
"""Views that show less than this of what an object's best view shows do not describe it: it is hidden or cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What it takes to see what an object looks like."""

    images: UInt8[Tensor, "view height width 3"]
    """Photos, in the order of the masks' views."""
    encoder: ImageTextEncoder
    """Encoder of pictures."""


def object_masks(
    laga: LagaScene, cameras: CameraBatch, *, renderer: Renderer | None = None, progress: bool = False
) -> ViewMasks:
    """The masks of all objects in every view, level by level; their number is that of the object.

    Example:
        `object_masks(laga, cameras).labels[view, level] == number` is where object `number` is seen.
    """
    renderer = renderer or choose_renderer(laga.scene.device)
    options = RasterOptions(antialiased=laga.antialiased)
    width, height = cameras.uniform_size
    kind = np.int16 if laga.object_count < 1 << 15 else np.int32
    labels = np.full((len(cameras), len(laga.level_names), height, width), -1, kind)
    owners = laga.gaussian_object.cpu().numpy()
    for view, name in enumerate(tqdm(cameras.names, desc="object views", disable=not progress)):
        camera = cameras.select([name])
        weights = renderer.blending_weights(splats_of(laga.scene), camera, options=options)[0]
        for level, owner in enumerate(owners):
            labels[view, level] = _owners_of_pixels(weights, owner).reshape(height, width)
    return ViewMasks(labels=labels, view_names=cameras.names, level_names=laga.level_names, source="objects")


def describe_by_looks(
    laga: LagaScene,
    cameras: CameraBatch,
    looks: Looks,
    *,
    crops: CropSettings = CropSettings(minimum_pixels=20),
    descriptors: DescriptorConfig = DescriptorConfig(),
    renderer: Renderer | None = None,
    progress: bool = False,
) -> LagaScene:
    """The scene with every object described by its own look in the photos.

    Args:
        laga: a scene that was taken apart.
        cameras: where the photos were taken.
        looks: the photos, in the order of the cameras, and the encoder of the scene.
        crops: how the looks are shown to it.
        descriptors: how vectors become descriptors.
        renderer: None takes the one that fits the scene's device.
        progress: show progress bars.

    Raises:
        InvalidInputError: the scene is of another encoder, or photos and cameras differ in number.
    """
    check_same_encoder(laga.encoder_id, looks.encoder, "The scene")
    if len(looks.images) != len(cameras):
        raise InvalidInputError(
            f"Expected {len(cameras)} photos, found {len(looks.images)}. Pass one per camera, in their order."
        )
    masks = object_masks(laga, cameras, renderer=renderer, progress=progress)
    labels, pixels = well_seen(masks, object_count=laga.object_count)
    seen = encode_views(looks.images, labels, looks.encoder, crops, progress=progress)
    sizes = pixels[seen.view, seen.number]
    found = describe_objects(seen, seen.number, object_count=laga.object_count, pixels=sizes, config=descriptors)
    return replace(laga, descriptors=found, facts=dict(laga.facts) | {"described_by": "looks"})


def well_seen(
    masks: ViewMasks, *, object_count: int
) -> tuple[Int[np.ndarray, "view level height width"], Int[Tensor, "view object"]]:
    """Label maps without objects of which their view shows too little, and the pixels of each object in every view."""
    pixels = np.stack([np.bincount(labels[labels >= 0], minlength=object_count) for labels in masks.labels])
    if not object_count:
        return masks.labels, torch.from_numpy(pixels)
    shown = pixels >= _VISIBLE_SHARE * pixels.max(0)
    view = np.arange(len(pixels))[:, None, None, None]
    labels = np.where((masks.labels >= 0) & shown[view, masks.labels], masks.labels, -1)
    return labels, torch.from_numpy(pixels)


def _owners_of_pixels(weights: BlendingWeights, owner: Int[np.ndarray, " gaussian"]) -> Int[np.ndarray, " pixel"]:
    """The object that paints most of each pixel, if that is enough; -1 = none."""
    shape = (len(weights.row_offsets) - 1, len(owner))
    parts = (weights.weights.cpu().numpy(), weights.gaussians.cpu().numpy(), weights.row_offsets.cpu().numpy())
    painted = csr_array(csr_array(parts, shape=shape) @ _membership(owner))
    painted.sort_indices()
    owners = np.full(shape[0], -1)
    filled = np.flatnonzero(np.diff(painted.indptr))
    if not len(filled):
        return owners
    strongest = np.maximum.reduceat(painted.data, painted.indptr[filled])
    lengths = np.diff(painted.indptr)[filled]
    is_best = painted.data == np.repeat(strongest, lengths)
    # of equal ones the object with the lowest number
    best = np.minimum.reduceat(np.where(is_best, painted.indices, len(owner)), painted.indptr[filled])
    owners[filled] = np.where(strongest >= _PAINTED_SHARE, best, -1)
    return owners


def _membership(owner: Int[np.ndarray, " gaussian"]) -> csr_array:
    known = np.flatnonzero(owner >= 0)
    count = int(owner.max(initial=-1)) + 1
    ones: Float[np.ndarray, " gaussian"] = np.ones(len(known), np.float32)
    return csr_array((ones, (known, owner[known])), shape=(len(owner), max(count, 1)))
