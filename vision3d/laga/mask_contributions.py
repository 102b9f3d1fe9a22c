"""`MaskContributions`: how much of every mask each Gaussian painted, as sparse matrices.

With A[pixel, gaussian] the blending weights of a view, the row of mask m is the sum of A over its pixels. One pass over
the views gives it for all masks of all levels; everything the training-free engine does works on these rows.

Source: the lift identity of FlashSplat, LUDVIG and others: A^T applied to a mask is the gradient of the rendered mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse import csr_array, vstack
from tqdm import tqdm

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError
from vision3d.language.mask_features import MaskFeatures
from vision3d.masks.view_masks import ViewMasks
from vision3d.rendering.catalogue import choose_renderer
from vision3d.rendering.render_views import splats_of
from vision3d.rendering.renderer import BlendingWeights, RasterOptions, Renderer
from vision3d.rendering.sparse_weights import group_weights
from vision3d.scene.gaussian_scene import GaussianScene


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskContributions:
    """What the views say about who painted what."""

    masks: csr_array
    """[mask gaussian] sum of blending weights over the mask's pixels, in pixels."""
    views: csr_array
    """[view gaussian] the same over all pixels of a view."""
    strong_masks: csr_array
    """Like `masks`, but of samples with at least the minimum weight only: plainly visible, not shining through."""
    strong_views: csr_array
    """Like `views`, of the same samples."""
    peak: Float[ndarray, " gaussian"]
    """Largest blending weight at any pixel of any view; 0 = never seen."""


def contributions_of_masks(
    scene: GaussianScene,
    cameras: CameraBatch,
    masks: ViewMasks,
    table: MaskFeatures,
    *,
    renderer: Renderer | None = None,
    minimum_weight: float = 0.1,
    options: RasterOptions = RasterOptions(),
    progress: bool = False,
) -> MaskContributions:
    """Contributions of all Gaussians to the masks listed in `table`; one view is held in memory at a time.

    Raises:
        InvalidInputError: masks and cameras differ in size, or the table lists views that the masks have not.
        UnknownViewError: a view of the masks has no camera.
    """
    check_mask_sizes(cameras, masks)
    check_table(masks, table)
    renderer = renderer or choose_renderer(scene.device)
    splats = splats_of(scene)
    rows: tuple[list[csr_array], list[csr_array]] = ([], [])
    seen: tuple[list[csr_array], list[csr_array]] = ([], [])
    peak = np.zeros(len(scene), np.float32)
    order = np.argsort(table.view.numpy(), kind="stable")
    bounds = np.searchsorted(table.view.numpy()[order], np.arange(len(masks.view_names) + 1))
    for view, name in enumerate(tqdm(masks.view_names, desc="contributions", disable=not progress)):
        blending = renderer.blending_weights(splats, cameras.select([name]), options=options)[0]
        np.maximum.at(peak, blending.gaussians.cpu().numpy(), blending.weights.cpu().numpy())
        own = order[bounds[view] : bounds[view + 1]]
        level, number = table.level.numpy()[own], table.number.numpy()[own]
        for kind, part in enumerate(_rows_of_view(blending, masks.labels[view], level, number, minimum_weight)):
            rows[kind].append(part)
        everywhere = np.zeros(blending.height * blending.width, np.int64)
        for kind, part in enumerate(group_weights(blending, everywhere, 1, minimum=minimum_weight)):
            seen[kind].append(part)
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    every, strong = (csr_array(csr_array(vstack(part))[back]) for part in rows)
    views, strong_views = (csr_array(vstack(part)) for part in seen)
    return MaskContributions(masks=every, views=views, strong_masks=strong, strong_views=strong_views, peak=peak)


def as_sparse(blending: BlendingWeights) -> csr_array:
    """The blending weights of one view as a scipy matrix [pixel gaussian]."""
    arrays = (blending.weights, blending.gaussians, blending.row_offsets)
    shape = (blending.height * blending.width, blending.gaussian_count)
    return csr_array(tuple(tensor.detach().cpu().numpy() for tensor in arrays), shape=shape)


def _rows_of_view(
    blending: BlendingWeights, labels: ndarray, level: ndarray, number: ndarray, minimum_weight: float
) -> tuple[csr_array, csr_array]:
    """Rows of the listed masks of one view in the order of the list: by all weights, and by strong ones."""
    parts: tuple[list[csr_array], list[csr_array]] = ([], [])
    listed = [np.zeros(0, np.int64)]
    for this in range(labels.shape[0]):
        own = np.flatnonzero(level == this)
        values = np.asarray(labels[this]).reshape(-1).astype(np.int64)
        group_of = np.full(max(int(values.max(initial=-1)), int(number[own].max(initial=-1))) + 2, -1)
        group_of[number[own]] = np.arange(len(own))
        groups = group_of[values]  # value -1 reads the last entry, which stays -1
        for kind, part in enumerate(group_weights(blending, groups, len(own), minimum=minimum_weight)):
            parts[kind].append(part)
        listed.append(own)
    back = np.argsort(np.concatenate(listed))
    every, strong = (csr_array(csr_array(vstack(part))[back]) for part in parts)
    return every, strong


def check_mask_sizes(cameras: CameraBatch, masks: ViewMasks) -> None:
    """Refuse masks of other sizes than their cameras' images.

    Raises:
        InvalidInputError: masks and images differ in size.
        UnknownViewError: a view of the masks has no camera.
    """
    width, height = cameras.select(masks.view_names).uniform_size
    if masks.labels.shape[2:] != (height, width):
        raise InvalidInputError(
            f"Expected masks of the cameras' size {width} x {height}, found {masks.labels.shape[3]} x "
            f"{masks.labels.shape[2]}. Make the masks from the photos at the size of the cameras."
        )


def check_table(masks: ViewMasks, table: MaskFeatures) -> None:
    """Refuse tables that list views or levels the masks have not.

    Raises:
        InvalidInputError: a view or a level is out of range.
    """
    for name, rows, count in (
        ("view", table.view, len(masks.view_names)),
        ("level", table.level, len(masks.level_names)),
    ):
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < count:
            raise InvalidInputError(
                f"Expected masks of {name}s 0 to {count - 1}, found {int(rows.min())} to {int(rows.max())}. "
                "Use the features that were made of these masks."
            )
