"""`MaskPrototypes`: what the rendered affinity features say about every mask, one unit vector each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize
from tqdm import trange

from vision3d.laga.affinity_field import AffinityField, level_dims, normalise_blocks
from vision3d.laga.frozen_views import FrozenViews
from vision3d.language.mask_features import MaskFeatures
from vision3d.masks.view_masks import ViewMasks


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskPrototypes:
    """One vector per mask, in the order of the table of masks it was made for."""

    vectors: Float[Tensor, "mask dim"]
    """Unit length; channels that the mask's level does not look at are 0."""
    usable: Bool[Tensor, " mask"]
    """Masks with more than the minimum of pixels."""


def mask_prototypes(
    field: AffinityField,
    views: FrozenViews,
    masks: ViewMasks,
    table: MaskFeatures,
    *,
    minimum_pixels: int,
    progress: bool = False,
) -> MaskPrototypes:
    """The prototype of every mask of `table`: the mean of its pixels' features, each block normalised pixel by pixel.

    Args:
        field: features of the Gaussians.
        views: the views of the masks, row by row, with the field's opacities.
        masks: label maps.
        table: the masks asked for (its vectors are not looked at).
        minimum_pixels: masks of no more pixels are flagged.
        progress: show a bar.
    """
    dims = level_dims(field.block_dims)
    channels = normalise_blocks(field.features, field.block_dims)
    vectors = torch.zeros(len(table), sum(field.block_dims), device=channels.device)
    pixel_counts = torch.zeros(len(table), dtype=torch.long, device=channels.device)
    for view in trange(len(views), desc="prototypes", disable=not progress):
        rendered = normalise_blocks(views.render(view, channels), field.block_dims)
        for level, dim in enumerate(dims):
            rows = torch.nonzero((table.view == view) & (table.level == level))[:, 0].to(channels.device)
            if not len(rows):
                continue
            labels = torch.from_numpy(np.asarray(masks.labels[view, level]).reshape(-1).astype(np.int64))
            sums, counts = _sums_by_label(rendered[:, :dim], labels.to(rendered.device))
            numbers = table.number.to(rendered.device)[rows].long()
            known = numbers < len(counts)
            vectors[rows[known], :dim] = normalize(sums[numbers[known]], dim=-1)
            pixel_counts[rows[known]] = counts[numbers[known]]
    usable = (pixel_counts > minimum_pixels) & (vectors.norm(dim=-1) > 0)
    return MaskPrototypes(vectors=vectors, usable=usable)


def _sums_by_label(values: Float[Tensor, "pixel dim"], labels: Tensor) -> tuple[Tensor, Tensor]:
    inside = labels >= 0
    count = int(labels.max()) + 1 if len(labels) else 0
    sums = values.new_zeros(count, values.shape[1]).index_add_(0, labels[inside], values[inside])
    return sums, torch.bincount(labels[inside], minlength=count)
