"""Rendering from frozen geometry: what can be done with `BlendingWeights` instead of the rasteriser.

When only per-Gaussian features change (affinity training, mask lifting), the image is the sparse product W @ features,
and its gradient the transposed product: a few milliseconds on sampled pixels.
"""

# Kernel arguments are spread from tuples, whose length pyright cannot count.
# pyright: reportCallIssue=false
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from torch import Tensor
from torch.autograd.function import once_differentiable

from vision3d.errors import InvalidInputError
from vision3d.rendering.cpu_autograd import KERNEL_LOCK, as_array
from vision3d.rendering.kernels import contributions, grouping
from vision3d.rendering.renderer import ALPHA_MAX, BlendingWeights, LabelWeights, Projection, TopContributors


def render_pixels(
    weights: BlendingWeights,
    channels: Float[Tensor, "gaussian dim"],
    pixels: Int[Tensor, " pixel"] | None = None,
) -> Float[Tensor, "pixel dim"]:
    """Composited channels at `pixels` (row-major numbers; None = the whole image); differentiable in `channels`.

    No background is added. Runs on the CPU kernels for CPU tensors and through torch elsewhere.

    Raises:
        InvalidInputError: `channels` has another number of Gaussians, or a pixel lies outside the image.
    """
    if channels.shape[0] != weights.gaussian_count:
        raise InvalidInputError(
            f"render_pixels: expected channels of {weights.gaussian_count} Gaussians, found {channels.shape[0]}. "
            "Use the weights exported from the same scene."
        )
    count = weights.height * weights.width
    if pixels is None:
        pixels = torch.arange(count, device=channels.device)
    elif pixels.numel() and not (int(pixels.min()) >= 0 and int(pixels.max()) < count):
        raise InvalidInputError(
            f"render_pixels: expected pixel numbers in [0, {count}), found {int(pixels.min())}..{int(pixels.max())}. "
            "A pixel's number is y * width + x."
        )
    if channels.device.type == "cpu":
        return _MultiplyRows.apply(channels.float(), weights, pixels)
    return _multiply_rows_torch(weights, channels, pixels)


class _MultiplyRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, channels: Tensor, weights: BlendingWeights, pixels: Tensor) -> Tensor:
        arrays = tuple(as_array(t) for t in (pixels.long(), weights.row_offsets, weights.gaussians, weights.weights))
        values = as_array(channels)
        out = np.empty((arrays[0].shape[0], values.shape[1]), np.float32)
        with KERNEL_LOCK:
            contributions.multiply_rows(*arrays, values, out)
        ctx.saved = (arrays, values.shape)
        return torch.from_numpy(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        arrays, shape = ctx.saved
        out = np.zeros(shape, np.float32)
        with KERNEL_LOCK:
            contributions.multiply_rows_transposed(*arrays, as_array(gradients[0]), out)
        return torch.from_numpy(out), None, None


def _multiply_rows_torch(weights: BlendingWeights, channels: Tensor, pixels: Tensor) -> Tensor:
    starts, lengths = weights.row_offsets[pixels], weights.row_offsets[pixels + 1] - weights.row_offsets[pixels]
    rows = torch.repeat_interleave(torch.arange(len(pixels), device=pixels.device), lengths)
    within = torch.arange(len(rows), device=rows.device) - torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
    entries = starts[rows] + within
    values = weights.weights[entries, None] * channels[weights.gaussians[entries].long()]
    return torch.zeros(len(pixels), channels.shape[1], device=channels.device).index_add(0, rows, values)


def entry_pixels(weights: BlendingWeights) -> Int[Tensor, " entry"]:
    """The pixel (row of the matrix) of each entry."""
    lengths = weights.row_offsets[1:] - weights.row_offsets[:-1]
    return torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)


def sparse_from_samples(
    gaussians: Int[Tensor, " sample"],
    pixels: Int[Tensor, " sample"],
    projection: Projection,
    *,
    height: int,
    width: int,
) -> BlendingWeights:
    """Blending weights of one view from (Gaussian, pixel) pairs, front to back inside each pixel.

    The pairs say who contributes; alpha and transmittance are worked out again here.
    """
    gaussians, pixels = gaussians.long(), pixels.long()
    centres = torch.stack([pixels % width + 0.5, torch.div(pixels, width, rounding_mode="floor") + 0.5], -1)
    dx, dy = (projection.means2d[0, gaussians] - centres).unbind(-1)
    xx, xy, yy = projection.conics[0, gaussians].unbind(-1)
    sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
    alpha = torch.clamp_max(projection.opacities[0, gaussians] * torch.exp(-sigma), ALPHA_MAX)
    order = torch.argsort(pixels, stable=True)
    gaussians, pixels, alpha = gaussians[order], pixels[order], alpha[order].double()
    row_offsets = torch.zeros(height * width + 1, dtype=torch.long, device=pixels.device)
    row_offsets[1:] = torch.bincount(pixels, minlength=height * width).cumsum(0)
    before = torch.cat([alpha.new_zeros(1), torch.log1p(-alpha).cumsum(0)])[:-1]
    at_row_start = torch.cat([before, before.new_zeros(1)])[row_offsets[pixels]]
    weights = (alpha * torch.exp(before - at_row_start)).float()
    return BlendingWeights(
        row_offsets=row_offsets,
        gaussians=gaussians.int(),
        weights=weights,
        height=height,
        width=width,
        gaussian_count=projection.means2d.shape[1],
    )


def label_weights_from_sparse(
    matrices: Sequence[BlendingWeights], labels: Int[Tensor, "view height width"], label_count: int
) -> LabelWeights:
    """`LabelWeights` from one matrix per view; label -1 = none."""
    count, device = matrices[0].gaussian_count, matrices[0].weights.device
    per_label = torch.zeros(count * label_count, device=device)
    total = torch.zeros(count, device=device)
    pixel_counts = torch.zeros(count, dtype=torch.long, device=device)
    for matrix, label_map in zip(matrices, labels, strict=True):
        gaussians = matrix.gaussians.long()
        total.index_add_(0, gaussians, matrix.weights)
        pixel_counts += torch.bincount(gaussians, minlength=count)
        label = label_map.reshape(-1)[entry_pixels(matrix)].long()
        known = label >= 0
        per_label.index_add_(0, gaussians[known] * label_count + label[known], matrix.weights[known])
    return LabelWeights(per_label=per_label.view(count, label_count), total=total, pixel_counts=pixel_counts)


def group_weights(
    matrix: BlendingWeights, groups: Int[np.ndarray, " pixel"], group_count: int, *, minimum: float
) -> tuple[csr_array, csr_array]:
    """How much of each group of pixels every Gaussian painted: by all weights, and by those >= `minimum` alone.

    Both are [group gaussian]. `groups` numbers the pixels row by row, -1 = in no group. Weights are added in the order
    of the pixels.
    """
    every, strong = (np.zeros((group_count, matrix.gaussian_count), np.float32) for _ in range(2))
    entries = (as_array(tensor.cpu()) for tensor in (matrix.row_offsets, matrix.gaussians, matrix.weights))
    grouping.sum_by_group(groups.astype(np.int64), *entries, np.float32(minimum), every, strong)
    return _filled(every), _filled(strong)


def _filled(dense: Float[np.ndarray, "group gaussian"]) -> csr_array:
    """The entries above 0 as a sparse matrix; several times as fast as scipy's own way."""
    offsets = np.zeros(len(dense) + 1, np.int64)
    grouping.count_filled(dense, offsets[1:])
    np.cumsum(offsets[1:], out=offsets[1:])
    columns, values = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
    grouping.gather_filled(dense, columns, values)
    return csr_array((values, columns, offsets), shape=dense.shape)


def top_contributors_from_sparse(matrices: Sequence[BlendingWeights], k: int) -> TopContributors:
    """`TopContributors` from one matrix per view.

    Raises:
        InvalidInputError: k is less than 1.
    """
    if k < 1:
        raise InvalidInputError(f"Expected k of at least 1, found {k}. Ask for one contributor or more.")
    gaussians, weights = [], []
    for matrix in matrices:
        pixels = entry_pixels(matrix)
        by_weight = torch.argsort(matrix.weights, descending=True, stable=True)
        order = by_weight[torch.argsort(pixels[by_weight], stable=True)]
        rank = torch.arange(len(order), device=order.device) - matrix.row_offsets[pixels[order]]
        kept = order[rank < k]
        slots = pixels[kept] * k + rank[rank < k]
        ids = torch.full((matrix.height * matrix.width * k,), -1, dtype=torch.int32, device=order.device)
        values = torch.zeros(len(ids), device=order.device)
        ids[slots] = matrix.gaussians[kept]
        values[slots] = matrix.weights[kept]
        gaussians.append(ids.view(matrix.height, matrix.width, k))
        weights.append(values.view(matrix.height, matrix.width, k))
    return TopContributors(gaussians=torch.stack(gaussians), weights=torch.stack(weights))
